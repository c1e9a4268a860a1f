// SPDX-License-Identifier: MIT
/// \file
/// The error of a checkpoint that is quantized already, against the weights that it was made from.
#pragma once

#include <functional>
#include <string>

#include "lowbit/checkpoint.hpp"
#include "lowbit/eval_report.hpp"
#include "lowbit/selection.hpp"

namespace lowbit {

/// Scores every weight in blocks, dequantized by its own convention, against the original.
/// \param checkpoint  without faults
/// \param original  with float tensors of the same names and shapes; what it lacks is in `skipped`
/// \param names  which weights are scored
/// \param progress  called with the elements done; what it throws comes out
/// \return one format, "stored"; EvalTensor::dtype is the weight's block format
/// \throws Error(invalid_input) for faults, NaN or infinities in the original; Error(usage) where
/// the
///         checkpoint has no weight in blocks, or the original none of them.
[[nodiscard]] EvalReport evaluate_checkpoint(const Checkpoint& checkpoint,
                                             const Checkpoint& original, const NamePatterns& names,
                                             const std::function<void(std::uint64_t)>& progress);

}  // namespace lowbit
