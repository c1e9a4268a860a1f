// SPDX-License-Identifier: MIT
/// \file
/// Inputs with the bytes and decisions that a dialect gives, for projects in any language to test
/// against without lowbit. docs/vectors.md describes the files. Thread-safe.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lowbit/dtype.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {

/// One input of the vectors.
struct VectorInput {
  std::string name;              ///< "ties", "zeros", ...
  const Dtype* dtype = nullptr;  ///< BF16 or F32
  std::size_t rows = 0;          ///< of the matrix
  std::size_t columns = 0;       ///< of the matrix
  std::vector<float> values;     ///< exact in the dtype
};
/// The inputs, the same on every machine: ties, random numbers, underflow, zeros and -0, NaN,
/// infinities, huge and tiny numbers, a last block that is not whole.
[[nodiscard]] const std::vector<VectorInput>& vector_inputs();

/// What was written.
struct VectorSummary {
  std::size_t dialects = 0;  ///< that have cases
  std::size_t cases = 0;     ///< of all dialects, each counted once
  std::size_t bytes = 0;     ///< of all files
};

/// Writes vectors.json, inputs.safetensors and expected.safetensors to a folder, which is created.
/// A case or an array that several dialects share is written once.
/// \param folder  to write to; files of these names are replaced
/// \param dialects  whose vectors
/// \param format  null: every block format that the dialect has
/// \param rule  absent: every rule of the format but `optimal` and `search`
/// \throws Error(invalid_input) where a file cannot be written; Error(usage) where no dialect has
///         the format and rule.
VectorSummary write_vectors(const std::filesystem::path& folder, std::span<const Dialect> dialects,
                            const BlockFormat* format = nullptr,
                            std::optional<ScaleRule> rule = std::nullopt);

}  // namespace lowbit
