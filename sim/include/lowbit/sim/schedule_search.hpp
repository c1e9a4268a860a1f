// SPDX-License-Identifier: MIT
/// \file
/// Which schedule made this output? Plausible ones are replayed and compared word for word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lowbit/sim/gemm_model.hpp"

namespace lowbit::sim {

/// Plausible schedules for a K of that many steps, beside `base`, which comes first: K order,
/// \param base  the first schedule of the result
/// \param steps  instructions along K
/// split-K, accumulators, promotion interval, reduction order and epilogue. Each differs from every
/// other in its plan or its epilogue; for 16 steps and more there are some hundred.
/// \param scaled  whether the operands have tensor scales, so that epilogues differ by them.
/// \param with_source  whether there is a C.
[[nodiscard]] std::vector<Schedule> plausible_schedules(const Schedule& base, std::size_t steps,
                                                        bool scaled, bool with_source);

/// Which plausible schedules reproduce an output.
struct ScheduleSearch {
  std::size_t tried = 0;          ///< schedules replayed on the sample
  std::size_t candidates = 0;     ///< schedules there were; more than `tried` where it was ended
  bool complete = true;           ///< false where the caller ended the search early
  std::vector<Schedule> matches;  ///< on every word, in the order of plausible_schedules
  /// Schedules that match each of `likely_words` sampled words and were not replayed on the others:
  /// the operands do not tell them from those in `matches` there.
  std::vector<Schedule> likely{};
  std::size_t likely_words = 0;        ///< words of the larger sample
  Schedule closest{};                  ///< where there is no match: fewest mismatches on the sample
  std::size_t closest_mismatches = 0;  ///< of all words, under `closest`
  std::size_t closest_first = 0;       ///< index of its first mismatch
  std::size_t sampled = 0;             ///< words that every schedule was tried on
};

/// How far a search goes.
struct ScheduleSearchOptions {
  /// Multiplications that comparing the schedules that fit the sample may take; the simplest of
  /// them is compared on every word whatever that takes.
  std::uint64_t budget = std::uint64_t{1} << 34;
  Watch watch{};  ///< is told of each part, and can end the search
};

/// Tries every plausible schedule on a sample of the outputs (rows and columns with mismatches
/// under the model's own schedule, and others spread over the matrix), those that match it on a
/// larger sample, as many whole rows as the budget allows, and then the simplest on all words; all
/// of them where the budget covers D.
/// \param a  A, M x K
/// \param b  B, N x K
/// \param model  the instruction and its own schedule
/// \param output  M x N words of model.schedule.epilogue.output
/// \param c  empty, or the M x N source values
/// \param expected  empty, or the M x N words of the model where the caller has them
/// \param options  budget, and who watches
/// \throws as run_gemm; Error(usage) for the exact model, which has no schedule.
[[nodiscard]] ScheduleSearch search_schedules(const GemmOperand& a, const GemmOperand& b,
                                              const GemmModel& model,
                                              std::span<const std::uint32_t> output,
                                              std::span<const float> c = {},
                                              std::span<const std::uint32_t> expected = {},
                                              const ScheduleSearchOptions& options = {});

/// Rows and columns of an output to try things on: up to `rows` and `columns` of them, mismatching
/// ones first, then spread evenly. Sorted.
struct OutputSample {
  std::vector<std::size_t> rows;     ///< sorted row numbers of D
  std::vector<std::size_t> columns;  ///< sorted column numbers of D
};
/// A sample of an m x n output: see OutputSample. Both spans hold m x n words of the format.
[[nodiscard]] OutputSample sample_output(std::size_t m, std::size_t n, const ElementFormat& format,
                                         std::span<const std::uint32_t> expected,
                                         std::span<const std::uint32_t> actual, std::size_t rows,
                                         std::size_t columns);

}  // namespace lowbit::sim
