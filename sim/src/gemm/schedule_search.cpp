// SPDX-License-Identifier: MIT
#include "lowbit/sim/schedule_search.hpp"

#include <algorithm>
#include <set>

#include "lowbit/error.hpp"
#include "lowbit/sim/word_compare.hpp"

namespace lowbit::sim {
namespace {

/// A sorted set of `count` indices below `limit`: the wanted ones first, then evenly spread ones.
std::vector<std::size_t> choose(std::size_t limit, std::size_t count,
                                const std::vector<std::size_t>& wanted) {
  count = std::min(count, limit);
  std::set<std::size_t> chosen;
  for (const std::size_t w : wanted) {
    if (chosen.size() < (count + 1) / 2) chosen.insert(w);
  }
  for (std::size_t i = 0; i < count && chosen.size() < count; ++i) chosen.insert(i * limit / count);
  for (std::size_t i = 0; chosen.size() < count; ++i) chosen.insert(i);
  return {chosen.begin(), chosen.end()};
}

}  // namespace

OutputSample sample_output(std::size_t m, std::size_t n, const ElementFormat& format,
                           std::span<const std::uint32_t> expected,
                           std::span<const std::uint32_t> actual, std::size_t rows,
                           std::size_t columns) {
  std::vector<std::size_t> wanted_rows;
  std::vector<std::size_t> wanted_columns;
  for (std::size_t i = 0; i < m * n && wanted_rows.size() < 4 * rows; ++i) {
    if (same_word(format, expected[i], actual[i])) continue;
    wanted_rows.push_back(i / n);
    wanted_columns.push_back(i % n);
  }
  return {choose(m, rows, wanted_rows), choose(n, columns, wanted_columns)};
}

std::vector<Schedule> plausible_schedules(const Schedule& base, std::size_t steps, bool scaled,
                                          bool with_source) {
  std::vector<Schedule> all{base};
  std::vector<std::pair<Plan, Epilogue>> known{{plan(base, steps), base.epilogue}};
  const auto add = [&](const Schedule& s) {
    std::pair<Plan, Epilogue> key{plan(s, steps), s.epilogue};
    // An interval that does not end inside an accumulator adds its sum to 0 once, which is the same
    // as no promotion. One accumulator has no reduction order; two have only one.
    std::size_t longest = 0;
    std::size_t widest = key.first.slices.size();
    for (const auto& slice : key.first.slices) {
      widest = std::max(widest, slice.size());
      for (const auto& list : slice) longest = std::max(longest, list.size());
    }
    // Slices of one accumulator each are one slice of as many accumulators.
    const bool single = std::all_of(key.first.slices.begin(), key.first.slices.end(),
                                    [](const auto& slice) { return slice.size() == 1; });
    if (single && key.first.slices.size() > 1) {
      std::vector<std::vector<std::uint32_t>> merged;
      for (auto& slice : key.first.slices) merged.push_back(std::move(slice[0]));
      key.first.slices.assign(1, std::move(merged));
    }
    if (key.first.promote >= longest) key.first.promote = 0;
    if (widest <= 2) key.first.reduction = Reduction::sequential;
    if (std::find(known.begin(), known.end(), key) != known.end()) return;
    known.push_back(std::move(key));
    all.push_back(s);
  };

  std::vector<Epilogue> epilogues;
  const auto add_combines = [&](Epilogue e) {
    epilogues.push_back(e);
    if (!with_source) return;
    for (const Combine combine : {Combine::fma, Combine::mul_add, Combine::fma_source}) {
      e.combine = combine;
      epilogues.push_back(e);
    }
  };
  add_combines(base.epilogue);
  if (scaled && !base.epilogue.alpha) {
    for (const AlphaRule rule : {AlphaRule::product, AlphaRule::rational, AlphaRule::sequential,
                                 AlphaRule::exact, AlphaRule::none}) {
      Epilogue e = base.epilogue;
      e.scale = rule;
      add_combines(e);
    }
  }

  // Orders of addition under the given epilogue, then the epilogues under a few orders.
  std::vector<Schedule> pending;
  Schedule s;
  s.column_order = base.column_order;
  s.prescale = base.prescale;
  const auto orders = [&](const Epilogue& epilogue, bool few) {
    s.epilogue = epilogue;
    using Sizes = std::vector<std::size_t>;
    for (const StepOrder order : {StepOrder::forward, StepOrder::backward}) {
      for (const std::size_t split : few ? Sizes{1, 2, 4} : Sizes{1, 2, 3, 4, 5, 6, 8, 12, 16}) {
        for (const std::size_t run : split == 1 || few ? Sizes{0} : Sizes{0, 1, 2, 4}) {
          for (const std::size_t accumulators : few ? Sizes{1} : Sizes{1, 2, 4, 8}) {
            if (split * accumulators > 16 || (run != 0 && accumulators > 1)) continue;
            for (const std::size_t turn : accumulators == 1 ? Sizes{1} : Sizes{1, 2, 4, 8}) {
              for (const std::size_t promote : few ? Sizes{0, 4} : Sizes{0, 1, 2, 4, 8, 16}) {
                for (const Reduction reduction :
                     {Reduction::sequential, Reduction::pairwise, Reduction::reverse}) {
                  if (order == StepOrder::backward && reduction != Reduction::sequential) continue;
                  s.order = order;
                  s.split_k = split;
                  s.split_run = run;
                  s.accumulators = accumulators;
                  s.accumulator_run = turn;
                  s.promote = promote;
                  s.reduction = reduction;
                  pending.push_back(s);
                }
              }
            }
          }
        }
      }
    }
  };
  orders(base.epilogue, false);
  for (const Epilogue& e : epilogues) orders(e, true);
  // The simplest schedule first: it is kept of several equivalent ones, and it is the likeliest of
  // several that match.
  const auto complexity = [](const Schedule& x) {
    return (x.split_k > 1 ? 2 : 0) + (x.split_run != 0 ? 1 : 0) + (x.accumulators > 1 ? 3 : 0) +
           (x.accumulator_run > 1 ? 1 : 0) + (x.promote != 0 ? 1 : 0) +
           (x.order == StepOrder::backward ? 2 : 0) +
           (x.reduction != Reduction::sequential ? 1 : 0);
  };
  std::stable_sort(pending.begin(), pending.end(), [&](const Schedule& x, const Schedule& y) {
    return complexity(x) < complexity(y);
  });
  for (const Schedule& candidate : pending) add(candidate);
  return all;
}

ScheduleSearch search_schedules(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                                std::span<const std::uint32_t> output, std::span<const float> c) {
  if (model.instruction == nullptr) {
    throw Error(ErrorKind::usage, "the exact model has no schedule to search for");
  }
  const std::size_t m = rows_of(a);
  const std::size_t n = rows_of(b);
  if (output.size() != m * n) throw Error(ErrorKind::usage, "output of another shape than M x N");
  const ElementFormat& format = *model.schedule.epilogue.output;
  const Instruction& instruction = *model.instruction;

  // All schedules prepare operands alike.
  const auto prepare = [&](const GemmOperand& operand, MmaSide side) {
    return prepare_operand(operand, instruction, side, model.schedule, model.nan_scale);
  };
  const PreparedOperand whole_a = prepare(a, MmaSide::a);
  const PreparedOperand whole_b = prepare(b, MmaSide::b);
  const TensorScales scales = tensor_scales(a, b, whole_a, whole_b);
  const auto whole = [&](const Schedule& s) {
    return compare_words(
        format, replay(instruction, whole_a.operand, whole_b.operand, s, scales, c, model.threads),
        output);
  };

  ScheduleSearch result;
  const auto expected = replay(instruction, whole_a.operand, whole_b.operand, model.schedule,
                               scales, c, model.threads);
  const OutputSample sample = sample_output(m, n, format, expected, output, 8, 32);
  const PreparedOperand part_a = prepare(select_rows(a, sample.rows), MmaSide::a);
  const PreparedOperand part_b = prepare(select_rows(b, sample.columns), MmaSide::b);
  std::vector<std::uint32_t> part_output;
  std::vector<float> part_c;
  for (const std::size_t r : sample.rows) {
    for (const std::size_t col : sample.columns) {
      part_output.push_back(output[r * n + col]);
      if (!c.empty()) part_c.push_back(c[r * n + col]);
    }
  }
  result.sampled = part_output.size();

  const bool scaled = scales.amax_a != scales.constant_a || scales.amax_b != scales.constant_b;
  const auto candidates =
      plausible_schedules(model.schedule, whole_a.operand.steps(), scaled, !c.empty());
  result.tried = candidates.size();
  std::size_t fewest = part_output.size() + 1;
  for (const Schedule& s : candidates) {
    const auto words =
        replay(instruction, part_a.operand, part_b.operand, s, scales, part_c, model.threads);
    const std::size_t mismatches = compare_words(format, words, part_output).mismatches;
    if (mismatches < fewest) {
      fewest = mismatches;
      result.closest = s;
    }
    if (mismatches == 0 && whole(s).mismatches == 0) result.matches.push_back(s);
  }
  if (result.matches.empty()) {
    const WordComparison closest = whole(result.closest);
    result.closest_mismatches = closest.mismatches;
    result.closest_first = closest.first;
  }
  return result;
}

}  // namespace lowbit::sim
