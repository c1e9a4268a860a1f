// SPDX-License-Identifier: MIT
#include "lowbit/sim/difference_text.hpp"

#include <fmt/format.h>

#include <bit>
#include <iterator>

#include "lowbit/sim/diagnose.hpp"

namespace lowbit::sim {
namespace {

std::string ulps_text(const ElementFormat& format, std::uint32_t x, std::uint32_t y) {
  const auto ulps = ulp_distance(format, x, y);
  if (!ulps) return "NaN against a number";
  return *ulps == 0 ? "signs of zero" : fmt::format("{} ulp", *ulps);
}

std::string float_text(float x) {
  return word_text(f32, std::bit_cast<std::uint32_t>(x));
}

}  // namespace

std::string word_text(const ElementFormat& format, std::uint32_t word) {
  return fmt::format("0x{:0{}x} ({:.9g})", word, format.bits / 4, to_double(format, word));
}

std::string mismatch_text(const ElementFormat& format, const WordComparison& result,
                          std::span<const std::uint32_t> expected,
                          std::span<const std::uint32_t> output, std::size_t columns) {
  if (result.mismatches == 0) return "mismatches    0\n";
  std::string text = fmt::format(
      "mismatches    {} ({:.3g} %), largest {} ulp", result.mismatches,
      100.0 * static_cast<double>(result.mismatches) / static_cast<double>(result.words),
      result.largest_ulps);
  if (result.nan_against != 0) text += fmt::format(", {} NaN against a number", result.nan_against);
  if (result.zero_signs != 0) text += fmt::format(", {} signs of zero", result.zero_signs);
  return text + fmt::format("\nfirst         ({}, {}): model {}, output {}, {}\n",
                            result.first / columns, result.first % columns,
                            word_text(format, expected[result.first]),
                            word_text(format, output[result.first]),
                            ulps_text(format, expected[result.first], output[result.first]));
}

std::string trace_text(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                       std::size_t row, std::size_t column) {
  const OutputTrace trace = trace_output(a, b, model, row, column);
  std::string text;
  if (trace.lines.empty()) return text;
  const auto out = std::back_inserter(text);
  if (trace.part_at) {
    const TraceLine& line = trace.lines[*trace.part_at];
    fmt::format_to(out,
                   "running sums  of ({}, {}) differ from the exact ones from chunk {}, k {} to {} "
                   "(accumulator "
                   "{}): {} {}, exact {}\n",
                   row, column, line.step, line.first_k, line.last_k - 1, line.accumulator,
                   model.instruction == nullptr ? "an FP32 accumulator" : "model",
                   float_text(line.model), float_text(*line.exact));
  } else if (trace.lines[0].exact) {
    fmt::format_to(
        out,
        "running sums  of ({}, {}): every partial sum is exact in FP32 ({} chunks), so neither "
        "order nor rounding of the accumulation explains the mismatch\n",
        row, column, trace.lines.size());
  }
  constexpr std::size_t most = 12;
  const std::size_t middle = trace.part_at.value_or(0);
  const std::size_t first = middle > most / 2 ? middle - most / 2 : 0;
  for (std::size_t i = first; i < trace.lines.size() && i < first + most; ++i) {
    const TraceLine& line = trace.lines[i];
    fmt::format_to(out, "  chunk {:>4}  k {:>6} to {:<6}  acc {}  {}{}\n", line.step, line.first_k,
                   line.last_k - 1, line.accumulator, float_text(line.model),
                   trace.part_at == i ? "  <- parts from the exact sum" : "");
  }
  if (first + most < trace.lines.size()) {
    fmt::format_to(out, "  ... {} more\n", trace.lines.size() - first - most);
  }
  return text;
}

std::string diagnosis_text(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                           std::span<const std::uint32_t> expected,
                           std::span<const std::uint32_t> output, std::span<const float> c,
                           const Watch& watch) {
  const Diagnosis d = diagnose(a, b, model, expected, output, c, watch);
  std::string text;
  const auto out = std::back_inserter(text);
  for (const std::string& seen : d.observations) fmt::format_to(out, "observed      {}\n", seen);
  for (const Hypothesis& h : d.hypotheses) {
    if (h.explains_all) {
      fmt::format_to(out, "explained by  {}: every word agrees then\n", h.name);
    } else if (h.confirmed != 0) {
      fmt::format_to(out, "also fits     {}: each of {} sampled words agrees then\n", h.name,
                     h.confirmed);
    } else {
      fmt::format_to(out,
                     "closer with   {}: {} of {} sampled words differ then, {} under the model\n",
                     h.name, h.sample_mismatches, h.sampled, d.sample_mismatches);
    }
  }
  if (!d.complete) {
    fmt::format_to(out, "interrupted   after {} usual mistakes\n", d.tried);
  } else if (d.hypotheses.empty()) {
    fmt::format_to(out, "explained by  none of {} usual mistakes of layout, scale and arithmetic\n",
                   d.tried);
  }
  return text;
}

}  // namespace lowbit::sim
