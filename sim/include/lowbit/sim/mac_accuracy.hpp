// SPDX-License-Identifier: MIT
/// \file
/// What a unit's accumulator loses on a real product: its bit model against the exact dot products.
#pragma once

#include <cstddef>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/sim/mac_stream.hpp"
#include "lowbit/sim/watch.hpp"

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

/// Every row of A times every row of W as a unit computes it: A.rows x W.rows values, row-major.
/// The accumulator, as in accumulator_error(), is multiplied by both tensor scales and rounded to
/// FP32 once. \param shape  a unit of block formats \param a  tokens, blocks along K \param w
/// outputs, blocks along K \param threads  0: as many as the machine has; the values do not depend
/// on it \param watch  told of rows of A that are done; where it stops, the rows so far are
/// returned \throws Error(usage) where formats or columns differ or the unit lacks the format.
[[nodiscard]] std::vector<float> unit_outputs(const MacShape& shape, const BlockTensor& a,
                                              const BlockTensor& w, unsigned threads = 0,
                                              const Watch& watch = {});

}  // namespace lowbit::sim
