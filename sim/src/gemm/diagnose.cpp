// SPDX-License-Identifier: MIT
#include "lowbit/sim/diagnose.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "gemm/mistakes.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/schedule_search.hpp"
#include "lowbit/sim/word_compare.hpp"

namespace lowbit::sim {
namespace {

/// Compares an output with the model under each mistake.
class Comparison {
 public:
  Comparison(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
             std::span<const std::uint32_t> expected, std::span<const std::uint32_t> output,
             std::span<const float> c, const Watch& watch)
      : a_(a),
        b_(b),
        model_(model),
        expected_(expected),
        output_(output),
        c_(c),
        watch_(watch),
        format_(*model.schedule.epilogue.output),
        m_(rows_of(a)),
        n_(rows_of(b)),
        sample_(sample_output(m_, n_, format_, expected, output, 8, 16)) {}

  Diagnosis run() {
    if (m_ == 0 || n_ == 0) return result_;
    for (const std::size_t i : sample_.rows) {
      for (const std::size_t j : sample_.columns) {
        ++result_.sampled;
        if (!same_word(format_, expected_[i * n_ + j], output_[i * n_ + j])) {
          ++result_.sample_mismatches;
        }
      }
    }
    observe();
    try {
      for_each_mistake({a_, b_, model_, m_, n_, !c_.empty()},
                       [this](const Mistaken& v) { attempt(v); });
    } catch (const Stopped&) {
      result_.complete = false;
    }
    settle();
    return result_;
  }

 private:
  struct Stopped {};

  [[nodiscard]] std::uint32_t finished(const Mistaken& v, std::uint32_t word) const {
    if (v.through == nullptr) return word;
    ConversionPolicy policy;
    policy.overflow = Overflow::infinity;
    return std::bit_cast<std::uint32_t>(
        to_float(*v.through, from_float(*v.through, std::bit_cast<float>(word), policy)));
  }

  [[nodiscard]] std::size_t at(const Mistaken& v, std::size_t i, std::size_t j) const {
    return v.transposed ? j * m_ + i : i * n_ + j;
  }

  [[nodiscard]] std::size_t mismatches(const Mistaken& v, const OutputSample& where) const {
    std::vector<float> part_c;
    if (!c_.empty()) {
      for (const std::size_t i : where.rows) {
        for (const std::size_t j : where.columns) part_c.push_back(c_[i * n_ + j]);
      }
    }
    const auto words =
        run_gemm(select_rows(v.a, where.rows), select_rows(v.b, where.columns), v.model, part_c);
    std::size_t count = 0;
    std::size_t index = 0;
    for (const std::size_t i : where.rows) {
      for (const std::size_t j : where.columns) {
        if (!same_word(format_, finished(v, words[index++]), output_[at(v, i, j)])) ++count;
      }
    }
    return count;
  }

  /// Tries one on the sample; keeps it if it mends half of the mismatches there.
  void attempt(const Mistaken& v) {
    if (watch_.stopped()) throw Stopped{};
    if (result_.tried++ % 16 == 0) watch_.tell("mistakes tried", result_.tried, 0);
    std::size_t count = 0;
    try {
      count = mismatches(v, sample_);
    } catch (const Error&) {
      return;  // the mistaken operands have no product under this model
    }
    if (2 * count > result_.sample_mismatches) return;
    Hypothesis h{v.name, result_.sampled, count, false, 0};
    if (count == 0) confirm(v, h);
    result_.hypotheses.push_back(std::move(h));
  }

  /// Compares one that explains the sample on a larger sample, then on every word.
  void confirm(const Mistaken& v, Hypothesis& h) {
    const OutputSample larger{spread(m_, 48), spread(n_, 64)};
    if (mismatches(v, larger) != 0) return;
    h.confirmed = larger.rows.size() * larger.columns.size();
    const std::uint64_t products = std::uint64_t{m_} * n_ * columns_of(a_);
    // A chain of single multiply-adds runs about eight times as long as an instruction.
    const bool chain = v.model.instruction != nullptr &&
                       v.model.instruction->parameters.rule == MmaRule::fma_chain;
    const std::uint64_t cost = chain ? 8 * products : products;
    if (confirmed_one_ && spent_ + cost > budget) return;
    spent_ += cost;
    const std::string phase = "every word: " + v.name;
    constexpr std::size_t part = 64;
    for (std::size_t first = 0; first < m_; first += part) {
      watch_.tell(phase, first, m_);
      if (watch_.stopped()) {
        result_.hypotheses.push_back(h);  // what is known so far
        throw Stopped{};
      }
      OutputSample rows{{}, all_columns()};
      for (std::size_t i = first; i < std::min(m_, first + part); ++i) rows.rows.push_back(i);
      if (mismatches(v, rows) != 0) {
        h.confirmed = 0;
        return;
      }
    }
    h.explains_all = confirmed_one_ = true;
    h.confirmed = m_ * n_;
  }

  /// `count` indices below `limit`, evenly spread.
  [[nodiscard]] static std::vector<std::size_t> spread(std::size_t limit, std::size_t count) {
    count = std::min(limit, count);
    std::vector<std::size_t> all(count);
    for (std::size_t i = 0; i < count; ++i) all[i] = (2 * i + 1) * limit / (2 * count);
    return all;
  }
  [[nodiscard]] std::vector<std::size_t> all_columns() const { return spread(n_, n_); }

  void observe() {
    const WordComparison whole = compare_words(format_, expected_, output_);
    if (whole.zeros == whole.words) {
      result_.observations.emplace_back("every word of the output is zero");
      return;
    }
    std::size_t low_row = m_, high_row = 0, low_column = n_, high_column = 0;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    std::size_t ratios = 0;
    for (std::size_t i = 0; i < m_ * n_; ++i) {
      const double x = to_double(format_, expected_[i]);
      const double y = to_double(format_, output_[i]);
      if (std::isfinite(x) && std::isfinite(y) && x != 0 && y != 0) {
        low = std::min(low, y / x);
        high = std::max(high, y / x);
        ++ratios;
      }
      if (same_word(format_, expected_[i], output_[i])) continue;
      low_row = std::min(low_row, i / n_);
      high_row = std::max(high_row, i / n_);
      low_column = std::min(low_column, i % n_);
      high_column = std::max(high_column, i % n_);
    }
    if (low_row > 0 || high_row + 1 < m_) {
      result_.observations.push_back(
          fmt::format("all mismatches lie in rows {} to {} of {}", low_row, high_row, m_));
    }
    if (low_column > 0 || high_column + 1 < n_) {
      result_.observations.push_back(
          fmt::format("all mismatches lie in columns {} to {} of {}", low_column, high_column, n_));
    }
    if (whole.zero_signs == whole.mismatches) {
      result_.observations.emplace_back("all mismatches are signs of zero");
    }
    const double tolerance = std::ldexp(4.0, -format_.mantissa_bits) * std::abs(high);
    const bool constant = ratios > 3 && high - low <= tolerance;
    if (constant && std::abs(low - 1) > 2 * tolerance) {
      result_.observations.push_back(fmt::format(
          "the output is the model's times {:.9g} throughout: a scale", (low + high) / 2));
    }
  }

  void settle() {
    auto& all = result_.hypotheses;
    const bool settled =
        std::any_of(all.begin(), all.end(), [](const Hypothesis& h) { return h.explains_all; });
    if (settled) {
      std::erase_if(all, [](const Hypothesis& h) { return h.confirmed == 0; });
      std::stable_sort(all.begin(), all.end(), [](const Hypothesis& x, const Hypothesis& y) {
        return x.confirmed > y.confirmed;
      });
      return;
    }
    std::stable_sort(all.begin(), all.end(), [](const Hypothesis& x, const Hypothesis& y) {
      return x.sample_mismatches < y.sample_mismatches;
    });
    if (all.size() > 5) all.resize(5);
  }

  const GemmOperand& a_;
  const GemmOperand& b_;
  const GemmModel& model_;
  std::span<const std::uint32_t> expected_;
  std::span<const std::uint32_t> output_;
  std::span<const float> c_;
  const Watch& watch_;
  const ElementFormat& format_;
  std::size_t m_;
  std::size_t n_;
  OutputSample sample_;
  /// Products that confirming further explanations may take, after the first one.
  static constexpr std::uint64_t budget = std::uint64_t{1} << 33;
  std::uint64_t spent_ = 0;
  bool confirmed_one_ = false;
  Diagnosis result_;
};

}  // namespace

Diagnosis diagnose(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                   std::span<const std::uint32_t> expected, std::span<const std::uint32_t> output,
                   std::span<const float> c, const Watch& watch) {
  return Comparison(a, b, model, expected, output, c, watch).run();
}

}  // namespace lowbit::sim
