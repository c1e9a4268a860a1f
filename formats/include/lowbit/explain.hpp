// SPDX-License-Identifier: MIT
/// \file
/// One block's quantization step by step, in one dialect or in two beside each other, with the
/// margin of each decision. Thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {

/// One number or code on the way.
struct ExplainStep {
  std::string name;    ///< "block amax", "candidate 6: scale byte", "column 3: scaled"
  std::string first;   ///< in the first dialect: decimals and bits
  std::string second;  ///< in the second; empty where there is none
  std::string dump;    ///< what the dump holds; empty where it has no such step
  /// How near the decision was: the distance from the tie in steps, or of two errors in percent;
  /// empty where nothing is decided. Of the first dialect, and of the second where it differs.
  std::string margin;
  bool differs = false;  ///< between the dialects; bit by bit
};

/// A block, step by step.
struct Explanation {
  std::string first;               ///< "nvfp4 static_6 canonical"
  std::string second;              ///< of the second dialect; empty where there is none
  std::size_t row = 0;             ///< of the block
  std::size_t block = 0;           ///< its index along the row
  std::vector<ExplainStep> steps;  ///< in the order in which they happen
  /// Index of the first step that differs between the dialects.
  std::optional<std::size_t> first_difference{};
};

/// \param values  rows x columns
/// \param rows  of the matrix
/// \param columns  of the matrix
/// \param first  the request in the first dialect
/// \param second  the same in another; null: one dialect alone
/// \param row  any row of the block
/// \param block  its index along the row
/// \param dump  a dump to show beside them, of the same format and shape; null: none
/// \throws Error as trace_block(); Error(usage) for a dump of another format or shape.
[[nodiscard]] Explanation explain_block(std::span<const float> values, std::size_t rows,
                                        std::size_t columns, const QuantizeOptions& first,
                                        const QuantizeOptions* second, std::size_t row,
                                        std::size_t block, const BlockTensor* dump = nullptr);

/// A table, a line for each step; the first step that differs is marked.
[[nodiscard]] std::string as_text(const Explanation& explanation);
/// {"row", "block", "first", "second", "first_difference", "steps": [{"step", "first", "second",
/// "dump", "margin", "differs"}]}; first_difference is a step's name or null.
[[nodiscard]] std::string as_json(const Explanation& explanation);

}  // namespace lowbit
