// SPDX-License-Identifier: MIT
// SVDQuant's low-rank branch.
#pragma once

#include <vector>

#include "lowbit/transform.hpp"

namespace lowbit::detail {

/// Factors of BF16 numbers, and what is left of the weights.
struct SvdBranch {
  std::vector<float> left;   ///< outputs x rank
  std::vector<float> right;  ///< rank x K
  std::vector<float> rest;   ///< outputs x K
};
/// \param rank  1 to min(outputs, K)
[[nodiscard]] SvdBranch svd_branch(const MatrixView& weights, std::size_t rank);

}  // namespace lowbit::detail
