// SPDX-License-Identifier: MIT
/// \file
/// What is wrong, or looks wrong, with a quantized checkpoint: the mistakes that users meet when
/// one program writes it and another one reads it. docs/checkpoints.md lists the kinds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lowbit/checkpoint.hpp"

namespace lowbit {

/// One finding.
struct LintFinding {
  std::string kind;    ///< one word for programs, listed in docs/checkpoints.md
  std::string file;    ///< that holds the tensor
  std::string tensor;  ///< the weight, or empty
  std::string text;    ///< what was found, with numbers
  /// `KIND: tensor "NAME": TEXT`
  [[nodiscard]] std::string line() const;
};

/// The original of a quantized weight, as a matrix in the order of its rows.
/// \param tensor  of some checkpoint
/// \param original  the checkpoint that was quantized
/// \return rows x columns values; nullopt where the original has no float tensor of that name and
///         shape (gpt-oss stores experts transposed: both orders are taken)
[[nodiscard]] std::optional<std::vector<float>> original_of(const QuantizedTensor& tensor,
                                                            const Checkpoint& original);

/// Findings that need no original: faults, scale bytes that are NaN, negative, 0 under codes that
/// are not, or saturated, and tensor scales that fused layers need equal. With an original also:
/// another order of codes or scale bytes than the declared one, an inverted tensor scale, and
/// weights that are not the original's.
/// \param checkpoint  to look at; its faults are findings
/// \param original  or null
/// \return in the order of the checkpoint's tensors
[[nodiscard]] std::vector<LintFinding> lint(const Checkpoint& checkpoint,
                                            const Checkpoint* original = nullptr);

}  // namespace lowbit
