// SPDX-License-Identifier: MIT
/// \file
/// What a unit's accumulator loses on a real product: its bit model against the exact dot products.
#pragma once

#include <cstddef>

#include "lowbit/block_tensor.hpp"
#include "lowbit/sim/mac_stream.hpp"

namespace lowbit::sim {

/// What the accumulator of a unit loses against the exact value.
struct AccumulatorError {
  std::size_t outputs = 0;   ///< dot products compared
  std::size_t inexact = 0;   ///< of them, those whose accumulator is not the exact value
  double relative_rmse = 0;  ///< sqrt(sum of (accumulator - exact)^2 / sum of exact^2)
};

/// Rows [0, rows) of A times every row of W (all of A where it has fewer). The accumulator is the
/// raw integer of `exact` and the FP32 result of the other units, before any tensor scale; NaN
/// scale bytes read as the unit reads them. For `exact` any error is one of window or width.
/// \throws Error(usage) where formats or columns differ or the unit lacks the format. Thread-safe.
[[nodiscard]] AccumulatorError accumulator_error(const MacShape& shape, const BlockTensor& a,
                                                 const BlockTensor& w, std::size_t rows);

}  // namespace lowbit::sim
