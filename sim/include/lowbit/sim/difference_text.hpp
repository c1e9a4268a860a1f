// SPDX-License-Identifier: MIT
/// \file
/// What `lowbit verify gemm` says of an output that differs from its model, as lines of text. Each
/// line ends in a line feed. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "lowbit/sim/gemm_model.hpp"
#include "lowbit/sim/word_compare.hpp"

namespace lowbit::sim {

/// A word in hexadecimal and, in parentheses, its value.
[[nodiscard]] std::string word_text(const ElementFormat& format, std::uint32_t word);

/// \param format  of the words
/// \param result  of compare_words()
/// \param expected  M x N words of the model
/// \param output  M x N words to compare
/// Counts, and the first mismatch. \param columns  N, of the row-major M x N words
[[nodiscard]] std::string mismatch_text(const ElementFormat& format, const WordComparison& result,
                                        std::span<const std::uint32_t> expected,
                                        std::span<const std::uint32_t> output, std::size_t columns);

/// The running sums of output (row, column) around the place where they part from the exact ones;
/// empty where nothing can be said.
[[nodiscard]] std::string trace_text(const GemmOperand& a, const GemmOperand& b,
                                     const GemmModel& model, std::size_t row, std::size_t column);

/// Which usual mistakes would explain the mismatches (diagnose.hpp).
[[nodiscard]] std::string diagnosis_text(const GemmOperand& a, const GemmOperand& b,
                                         const GemmModel& model,
                                         std::span<const std::uint32_t> expected,
                                         std::span<const std::uint32_t> output,
                                         std::span<const float> c = {}, const Watch& watch = {});

}  // namespace lowbit::sim
