// SPDX-License-Identifier: MIT
/// \file
/// Every quantized weight of a checkpoint held to what quantize() makes of its original.
/// Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lowbit/checkpoint.hpp"
#include "lowbit/verify_quantize.hpp"

namespace lowbit {

/// A weight that was not compared, and why.
struct LeftOutWeight {
  std::string name;    ///< of the weight
  std::string reason;  ///< in words
};

/// What explains the weights of one format together.
struct CheckpointExplanation {
  const BlockFormat* format = nullptr;  ///< never null
  std::size_t weights = 0;              ///< compared, of this format
  std::size_t equal = 0;                ///< of these
  /// That explain every one of them; the layout is the first weight's, as each has its own.
  std::vector<Combination> combinations{};
};

/// What a comparison of a checkpoint found.
struct CheckpointVerification {
  std::vector<Verification> weights{};           ///< in the order of the checkpoint
  std::vector<LeftOutWeight> left_out{};         ///< without an original
  std::vector<CheckpointExplanation> formats{};  ///< one per format, in the order of the weights
  /// Exit code 0: at least one weight was compared, all are equal, none is left out, and for each
  /// format one combination explains all weights.
  bool equal = false;
};

/// How a checkpoint is compared.
struct CheckpointVerifyOptions {
  /// Whether the weight of that name is compared; absent: all are.
  std::function<bool(const std::string&)> accepts{};
  /// Changes what is declared of a weight, such as the dialect; absent: nothing is changed.
  std::function<void(VerifyRequest&)> adjust{};
  /// Called with each weight when it has been compared; may be absent.
  std::function<void(const Verification&)> done{};
};

/// Compares each quantized weight, in the layout of its convention, with its original quantized.
/// Format, layout and what the convention's files say of the rule are declared. A dialect that
/// nobody declares is searched for: first among those of the library behind the convention, then
/// among all. Weights of layers that a kernel fuses (q, k and v; gate and up) and that store the
/// same tensor scale are held to the largest amax of their originals. Matrices with a tensor scale
/// of their own (experts) are compared one by one, as NAME[0], NAME[1], ...
/// \param checkpoint  its faults are not looked at
/// \param original  the weights before quantization
/// \param options  what to compare
/// \throws Error as verify_quantized()
[[nodiscard]] CheckpointVerification verify_checkpoint(const Checkpoint& checkpoint,
                                                       const Checkpoint& original,
                                                       const CheckpointVerifyOptions& options = {});

/// One line per format, per weight that was left out, and a total; lines end in line feeds.
[[nodiscard]] std::string as_text(const CheckpointVerification& verification);
/// The object of as_json(std::span<const Verification>) with the keys `left_out` and `formats`.
[[nodiscard]] std::string as_json(const CheckpointVerification& verification);

}  // namespace lowbit
