// SPDX-License-Identifier: MIT
// The records of libraries, one array a family; dialect.cpp joins them.
#pragma once

#include <span>

#include "lowbit/dialect.hpp"

namespace lowbit::detail {

[[nodiscard]] std::span<const Dialect> cuda_kernel_dialects();  ///< NVIDIA's kernels and twins
[[nodiscard]] std::span<const Dialect> pytorch_dialects();      ///< libraries on PyTorch, Triton
[[nodiscard]] std::span<const Dialect> native_dialects();       ///< C, C++ and array libraries

}  // namespace lowbit::detail
