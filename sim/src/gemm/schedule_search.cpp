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

namespace {

/// Some rows and columns of D, prepared once for all schedules.
class Part {
 public:
  Part(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
       std::span<const std::uint32_t> output, std::span<const float> c, const OutputSample& where)
      : model_(model),
        a_(prepare_operand(select_rows(a, where.rows), *model.instruction, MmaSide::a,
                           model.schedule, model.nan_scale)),
        b_(prepare_operand(select_rows(b, where.columns), *model.instruction, MmaSide::b,
                           model.schedule, model.nan_scale)),
        scales_(tensor_scales(a, b, a_, b_)) {
    const std::size_t n = rows_of(b);
    for (const std::size_t row : where.rows) {
      for (const std::size_t column : where.columns) {
        output_.push_back(output[row * n + column]);
        if (!c.empty()) c_.push_back(c[row * n + column]);
      }
    }
  }

  [[nodiscard]] WordComparison compare(const Schedule& s) const {
    return compare_words(
        *model_.schedule.epilogue.output,
        replay(*model_.instruction, a_.operand, b_.operand, s, scales_, c_, model_.threads),
        output_);
  }
  [[nodiscard]] std::size_t words() const { return output_.size(); }
  [[nodiscard]] std::size_t steps() const { return a_.operand.steps(); }
  [[nodiscard]] const TensorScales& scales() const { return scales_; }

 private:
  const GemmModel& model_;
  PreparedOperand a_, b_;
  TensorScales scales_;
  std::vector<std::uint32_t> output_;
  std::vector<float> c_;
};

class Search {
 public:
  Search(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
         std::span<const std::uint32_t> output, std::span<const float> c,
         const ScheduleSearchOptions& options)
      : a_(a), b_(b), model_(model), output_(output), c_(c), options_(options) {}

  ScheduleSearch run(std::span<const std::uint32_t> expected) {
    const Part sample(
        a_, b_, model_, output_, c_,
        sample_output(m_, n_, *model_.schedule.epilogue.output, expected, output_, 8, 32));
    result_.sampled = sample.words();
    const bool scaled = sample.scales().amax_a != sample.scales().constant_a ||
                        sample.scales().amax_b != sample.scales().constant_b;
    const auto candidates =
        plausible_schedules(model_.schedule, sample.steps(), scaled, !c_.empty());
    result_.candidates = candidates.size();
    std::vector<Schedule> fitting;
    std::size_t fewest = sample.words() + 1;
    for (const Schedule& s : candidates) {
      if (stopped()) break;
      if (result_.tried++ % 16 == 0) {
        options_.watch.tell("schedules tried", result_.tried, candidates.size());
      }
      const std::size_t mismatches = sample.compare(s).mismatches;
      if (mismatches < fewest) {
        fewest = mismatches;
        result_.closest = s;
      }
      if (mismatches == 0) fitting.push_back(s);
    }
    confirm(std::move(fitting));
    if (result_.matches.empty()) {
      const Hits all = hits(result_.closest);
      result_.closest_mismatches = all.mismatches;
      result_.closest_first = all.first;
    }
    return std::move(result_);
  }

 private:
  struct Hits {
    std::size_t mismatches = 0;
    std::size_t first = 0;
  };

  [[nodiscard]] bool stopped() {
    if (options_.watch.stopped()) result_.complete = false;
    return !result_.complete;
  }
  [[nodiscard]] std::vector<std::size_t> columns() const {
    std::vector<std::size_t> all(n_);
    for (std::size_t j = 0; j < n_; ++j) all[j] = j;
    return all;
  }
  [[nodiscard]] Part rows_part(std::size_t first, std::size_t last) const {
    OutputSample where{{}, columns()};
    for (std::size_t i = first; i < last; ++i) where.rows.push_back(i);
    return {a_, b_, model_, output_, c_, where};
  }

  /// All mismatches of one schedule; until the caller ends the search, those so far.
  Hits hits(const Schedule& s) {
    Hits all;
    constexpr std::size_t part = 64;
    for (std::size_t first = 0; first < m_; first += part) {
      options_.watch.tell("every word of the closest schedule", first, m_);
      if (stopped()) break;
      const WordComparison c = rows_part(first, std::min(m_, first + part)).compare(s);
      if (all.mismatches == 0 && c.mismatches != 0) all.first = first * n_ + c.first;
      all.mismatches += c.mismatches;
    }
    return all;
  }

  /// Leaves the schedules that match the part, and says so as it goes on.
  void prune(std::vector<Schedule>& schedules, const Part& part, std::string_view phase) {
    std::vector<Schedule> left;
    std::size_t done = 0;
    for (const Schedule& s : schedules) {
      if (done++ % 16 == 0) options_.watch.tell(phase, done, schedules.size());
      if (stopped() || part.compare(s).mismatches == 0) left.push_back(s);
    }
    schedules = std::move(left);
  }

  void confirm(std::vector<Schedule> fitting) {
    if (fitting.empty() || stopped()) return keep_likely(std::move(fitting), result_.sampled);
    // As many whole rows as the budget allows, spread over D.
    const auto per_row = static_cast<std::uint64_t>(fitting.size()) * n_ *
                         std::max<std::uint64_t>(1, columns_of(a_));
    const auto rows = std::min<std::uint64_t>(
        m_, std::max<std::uint64_t>(4, options_.budget / std::max<std::uint64_t>(1, per_row)));
    OutputSample larger{choose(m_, static_cast<std::size_t>(rows), {}), columns()};
    prune(fitting, {a_, b_, model_, output_, c_, larger}, "schedules compared on whole rows");
    const std::size_t words = larger.rows.size() * n_;
    if (stopped()) return keep_likely(std::move(fitting), result_.sampled);
    if (larger.rows.size() == m_) {
      result_.matches = std::move(fitting);
      return;
    }
    // The simplest on all words; where it fails, the next one.
    while (!fitting.empty()) {
      const Schedule simplest = fitting.front();
      fitting.erase(fitting.begin());
      bool all = true;
      constexpr std::size_t part = 64;
      for (std::size_t first = 0; all && first < m_; first += part) {
        options_.watch.tell("every word of the simplest schedule", first, m_);
        if (stopped()) {
          fitting.insert(fitting.begin(), simplest);
          return keep_likely(std::move(fitting), words);
        }
        const Part chunk = rows_part(first, std::min(m_, first + part));
        all = chunk.compare(simplest).mismatches == 0;
        // Where a word tells it from the output, the others are held to the same rows.
        if (!all) prune(fitting, chunk, "schedules compared on more rows");
      }
      if (all) {
        result_.matches.push_back(simplest);
        break;
      }
    }
    keep_likely(std::move(fitting), words);
  }

  void keep_likely(std::vector<Schedule> schedules, std::size_t words) {
    result_.likely = std::move(schedules);
    result_.likely_words = words;
  }

  const GemmOperand& a_;
  const GemmOperand& b_;
  const GemmModel& model_;
  std::span<const std::uint32_t> output_;
  std::span<const float> c_;
  const ScheduleSearchOptions& options_;
  std::size_t m_ = rows_of(a_);
  std::size_t n_ = rows_of(b_);
  ScheduleSearch result_;
};

}  // namespace

ScheduleSearch search_schedules(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                                std::span<const std::uint32_t> output, std::span<const float> c,
                                std::span<const std::uint32_t> expected,
                                const ScheduleSearchOptions& options) {
  if (model.instruction == nullptr) {
    throw Error(ErrorKind::usage, "the exact model has no schedule to search for");
  }
  const std::size_t count = rows_of(a) * rows_of(b);
  if (output.size() != count || (!expected.empty() && expected.size() != count)) {
    throw Error(ErrorKind::usage, "output of another shape than M x N");
  }
  std::vector<std::uint32_t> replayed;
  if (expected.empty()) {
    replayed = run_gemm(a, b, model, c);
    expected = replayed;
  }
  return Search(a, b, model, output, c, options).run(expected);
}

}  // namespace lowbit::sim
