// SPDX-License-Identifier: MIT
/// \file
/// From one convention of quantized checkpoints to another: the codes and scale bytes stay, their
/// order, names and tensor scales change. What a convention cannot hold exactly is said.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lowbit/checkpoint.hpp"

namespace lowbit {

/// What became of one tensor, where that is not the same numbers.
struct ConvertNote {
  std::string tensor;    ///< its name
  std::string text;      ///< one line
  bool is_loss = false;  ///< whether a value that was stored is no longer what it was
};
/// What was written.
struct Conversion {
  std::size_t weights = 0;         ///< in blocks
  std::size_t exact = 0;           ///< of those, with exactly the same values
  std::size_t copied = 0;          ///< other tensors
  std::vector<ConvertNote> notes;  ///< in the order of the tensors
};

/// The conventions that convert_checkpoint() writes.
[[nodiscard]] std::vector<std::string_view> conversion_targets();

/// Writes the checkpoint in another convention.
/// \param checkpoint  without faults
/// \param to  one of conversion_targets()
/// \param out  gguf and lowbit: a file. Others: a *.safetensors file, or a folder, which gets
///             model.safetensors and config.json (that of the checkpoint with another quantization)
/// \param original  the weights before quantization, for the SQNR of notes about losses; or null
/// \throws Error(usage) for another convention and for tensors that the target cannot hold;
///         Error(invalid_input) for a checkpoint with faults and where nothing can be written.
Conversion convert_checkpoint(const Checkpoint& checkpoint, const CheckpointConvention& to,
                              const std::filesystem::path& out,
                              const Checkpoint* original = nullptr);

}  // namespace lowbit
