// SPDX-License-Identifier: MIT
// The exact product where an operand is a plain matrix of numbers, not of blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "lowbit/sim/gemm_model.hpp"

namespace lowbit::sim {

/// M x N words: every output is the exact sum of its products, rounded once (docs/exact.md). A
/// plain matrix has no tensor scale. NaN and infinity follow IEEE arithmetic.
[[nodiscard]] std::vector<std::uint32_t> exact_plain_gemm(const GemmOperand& a,
                                                          const GemmOperand& b,
                                                          const ExactOptions& options);
/// The exact sum of columns [first, last) of row i of a and row j of b, without tensor scales.
[[nodiscard]] ExactValue exact_plain_dot(const GemmOperand& a, std::size_t i, const GemmOperand& b,
                                         std::size_t j, std::size_t first, std::size_t last,
                                         NanScale nan_scale);

}  // namespace lowbit::sim
