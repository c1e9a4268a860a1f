// SPDX-License-Identifier: MIT
/// \file
/// Why does an output differ from its model? The mistakes that GEMM kernels make most often, each
/// replayed on the operands and compared word for word: a layout, scale or arithmetic that explains
/// every word is named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lowbit/sim/gemm_model.hpp"

namespace lowbit::sim {

/// One mistake that a kernel could have made, and how well it explains the output.
struct Hypothesis {
  std::string name;                   ///< what a kernel would have done, in words
  std::size_t sampled = 0;            ///< outputs it was tried on
  std::size_t sample_mismatches = 0;  ///< sampled outputs that still differ under it
  bool explains_all = false;          ///< every word of the output is as it would be then
  /// Words that agree under it, where sample_mismatches is 0: all of them, or those of the larger
  /// sample where several mistakes explain the output and confirming each would take too long.
  std::size_t confirmed = 0;
};

/// What the usual mistakes explain of an output that differs from its model.
struct Diagnosis {
  std::size_t tried = 0;              ///< hypotheses replayed
  std::size_t sampled = 0;            ///< outputs in the sample
  std::size_t sample_mismatches = 0;  ///< of the model itself
  bool complete = true;               ///< false where the caller ended the search early
  /// Those that explain every word that they were compared on (the first of them on all words);
  /// where there are none, the best few that mend at least half of the sampled mismatches.
  std::vector<Hypothesis> hypotheses;
  /// Facts about the output that need no replay: all zero, all mismatches in some rows or columns,
  /// a constant ratio to the model.
  std::vector<std::string> observations;
};

/// \param a  A, M x K
/// \param b  B, N x K
/// \param model  what the output was meant to be
/// \param expected  M x N words that the model gives
/// \param c  empty, or the M x N source values
/// \param output  M x N words of model.schedule.epilogue.output that differ from `expected`, what
///                run_gemm(a, b, model, c) gives.
/// \param watch  is told of each mistake tried, and can end the search.
/// Every mistake is tried on a sample of rows and columns first. The first that explains the sample
/// is compared on all words; further ones too while that takes at most 2^33 products.
[[nodiscard]] Diagnosis diagnose(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                                 std::span<const std::uint32_t> expected,
                                 std::span<const std::uint32_t> output,
                                 std::span<const float> c = {}, const Watch& watch = {});

/// How the sums of one output run.
struct TraceLine {
  std::uint32_t step;          ///< chunk index along K
  std::size_t accumulator;     ///< that it goes to
  std::size_t first_k;         ///< positions along K, [first_k, last_k)
  std::size_t last_k;          ///< one past the last position
  float model;                 ///< the accumulator after the step, promoted sums included
  std::optional<float> exact;  ///< the exact sum of the same products, rounded to FP32
};
/// The running sums of one output.
struct OutputTrace {
  std::vector<TraceLine> lines;        ///< one per step, in the order in which they run
  std::optional<std::size_t> part_at;  ///< the first line whose two sums differ
};
/// The running sums of output (row, column) in the model's own order, before the epilogue, beside
/// the exact ones. Under the exact model the chunks are of 64 columns and `model` is what adding
/// their exact sums in FP32, to nearest, would give: from where an FP32 accumulator must round.
/// Dense operands, and schedules with a column order, have no exact column.
[[nodiscard]] OutputTrace trace_output(const GemmOperand& a, const GemmOperand& b,
                                       const GemmModel& model, std::size_t row, std::size_t column);

}  // namespace lowbit::sim
