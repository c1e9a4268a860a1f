// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "lowbit/block_tensor.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/dtype.hpp"

namespace lowbit {

/// Every element of the tensor, in row order, as a value of F32, F16 or BF16, held in floats. Where
/// the dialect dequantizes exactly, the exact value is rounded once, to the type asked for, to
/// nearest even; beyond its range to infinity. Other dialects give FP32 values, which are then
/// rounded. \param out  rows x columns floats. \param threads  at most so many; 0: one per core;
/// the result does not depend on it. \throws Error(usage) for other types; what dequantize()
/// throws. Thread-safe.
void dequantize_as(const Dtype& dtype, const BlockTensor& tensor, const Dialect& dialect,
                   std::span<float> out, unsigned threads = 0);

}  // namespace lowbit
