// SPDX-License-Identifier: MIT
// The report that fits a screen.
#include "eval_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>

#include "lowbit/printable.hpp"

namespace lowbit::cli {
namespace {

constexpr std::size_t page_width = 100;
constexpr std::size_t most_formats = 11;
constexpr std::size_t most_reasons = 5;
constexpr std::size_t most_notes = 4;
constexpr int column = 8;

/// The text in at most `width` columns: cut in the middle, where names differ least.
std::string fitted(const std::string& text, std::size_t width) {
  if (text.size() <= width) return text;
  const std::size_t tail = (width - 2) * 2 / 3;
  return text.substr(0, width - 2 - tail) + ".." + text.substr(text.size() - tail);
}

/// A tensor's name in at most `width` columns: its longest words are cut, numbers of layers stay.
std::string fitted_name(std::string name, std::size_t width) {
  constexpr std::size_t shortest_word = 3;
  constexpr std::string_view ending = ".weight";
  if (name.size() > width && name.ends_with(ending)) name.resize(name.size() - ending.size());
  std::vector<std::string> words{""};
  for (const char c : name) {
    words.back() += c;
    if (c == '.' || c == '/') words.emplace_back();
  }
  const auto letters = [](const std::string& word) {
    return word.size() - (word.ends_with('.') || word.ends_with('/') ? 1 : 0);
  };
  std::size_t size = name.size();
  while (size > width) {
    const auto longest =
        std::max_element(words.begin(), words.end(),
                         [&](const auto& a, const auto& b) { return letters(a) < letters(b); });
    if (letters(*longest) <= shortest_word) break;
    longest->erase(letters(*longest) - 1, 1);
    --size;
  }
  std::string text;
  for (const std::string& word : words) text += word;
  return fitted(text, width);
}

/// Short forms of cells, for narrow columns.
std::string short_cell(const EvalMetric& metric, const EvalResult& result) {
  const std::optional<double> v = metric.value(result);
  if (!v) return "-";
  if (metric.style == MetricStyle::decibel) return fmt::format("{:.2f}", *v);
  if (metric.style == MetricStyle::six_places) return fmt::format("{:.4f}", *v);
  if (metric.style == MetricStyle::percent) return fmt::format("{:.2f}", 100.0 * *v);
  return fmt::format("{:.3g}", *v);
}

std::string more_formats(const EvalReport& report) {
  if (report.formats.size() <= most_formats) return {};
  return fmt::format("  .. and {} more formats: --per-tensor, --json or --csv show them\n",
                     report.formats.size() - most_formats);
}

/// The error of outputs, split by what causes it, beside that of the weights.
std::string split_totals(const EvalReport& report, std::size_t width) {
  constexpr int wide = 10;
  std::vector<const EvalMetric*> metrics{find_eval_metric("bits_per_element"),
                                         find_eval_metric("sqnr_db")};
  if (report.has_gains) metrics.push_back(find_eval_metric("gain_share"));
  std::string text = fmt::format("  {:<{}}", "format", width);
  for (const EvalMetric* metric : metrics) text += fmt::format("{:>{}}", metric->heading, wide);
  std::size_t shown = metrics.size();
  std::vector<const OutputPart*> parts;
  for (const OutputPart& part : output_parts()) {
    // A kernel's own sums are in the JSON where the page has no room.
    if (!report.has(part.source) || 2 + width + (shown + 1) * wide > page_width) continue;
    parts.push_back(&part);
    ++shown;
    text += fmt::format("{:>{}}", part.heading, wide);
  }
  text += "\n";
  for (std::size_t k = 0; k < std::min(most_formats, report.formats.size()); ++k) {
    text += fmt::format("  {:<{}}", fitted(report.formats[k].label(), width), width);
    for (const EvalMetric* metric : metrics) {
      const std::string cell = metric->cell(report.totals[k]);
      text += fmt::format("{:>{}}", cell.empty() ? "-" : cell, wide);
    }
    for (const OutputPart* part : parts) {
      const std::optional<double> mean = report.mean_output_db(k, *part);
      text += mean ? fmt::format("{:>{}.2f}", *mean, wide) : fmt::format("{:>{}}", "-", wide);
    }
    text += "\n";
  }
  return text + more_formats(report);
}

std::string totals(const EvalReport& report) {
  std::size_t width = 8;
  for (const FormatSpec& format : report.formats) width = std::max(width, format.label().size());
  width = std::min<std::size_t>(width, 24);
  if (report.has_outputs) return split_totals(report, width);
  // One more column than these would not fit the page.
  const std::string_view fourth = report.has_gains ? "gain_share" : "max_abs_error";
  const std::string_view shown[] = {"bits_per_element", "sqnr_db",     "rel_l2", "cosine", fourth,
                                    "clipped_share",    "zeroed_share"};
  std::string text = fmt::format("  {:<{}}", "format", width);
  for (const std::string_view name : shown) {
    text += fmt::format("{:>{}}", find_eval_metric(name)->heading, 10);
  }
  text += "\n";
  for (std::size_t k = 0; k < std::min(most_formats, report.formats.size()); ++k) {
    text += fmt::format("  {:<{}}", fitted(report.formats[k].label(), width), width);
    for (const std::string_view name : shown) {
      const std::string cell = find_eval_metric(name)->cell(report.totals[k]);
      text += fmt::format("{:>{}}", cell.empty() ? "-" : cell, 10);
    }
    text += "\n";
  }
  return text + more_formats(report);
}

/// The format that tensors are ordered by: the first one, but not one whose share of the possible
/// gain is the same for all of them.
std::size_t sort_format(const EvalReport& report, const EvalMetric& metric) {
  if (metric.source != MetricSource::gain) return 0;
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    const ScaleRule rule = report.formats[k].rule;
    if (report.totals[k].gain && rule != ScaleRule::static_6 && rule != ScaleRule::optimal) {
      return k;
    }
  }
  return 0;
}

std::string worst(const EvalReport& report, const SummaryOptions& options) {
  const EvalMetric& metric = *options.sort;
  const std::size_t count = std::min(options.worst, report.tensors.size());
  if (count == 0 || report.formats.empty()) return {};
  const std::size_t formats = std::min<std::size_t>(report.formats.size(), 8);
  const std::size_t name_width = page_width - 2 - formats * column;
  std::string text =
      fmt::format("worst {} of {} tensors by {} ({}) under {}:\n", count, report.tensors.size(),
                  metric.name, metric.heading, report.formats[sort_format(report, metric)].label());
  std::string head(2 + name_width, ' ');
  for (std::size_t k = 0; k < formats; ++k) {
    // "nvfp4:mse" does not fit: the column's number stands for it.
    head += fmt::format("{:>{}}", fmt::format("[{}]", k + 1), column);
  }
  text += head + "\n";
  const std::vector<std::size_t> order = worst_first(report, metric);
  for (std::size_t i = 0; i < count; ++i) {
    const EvalTensor& tensor = report.tensors[order[i]];
    text +=
        fmt::format("  {:<{}}", fitted_name(printable(tensor.name), name_width - 1), name_width);
    for (std::size_t k = 0; k < formats; ++k) {
      text += fmt::format("{:>{}}", short_cell(metric, tensor.results[k]), column);
    }
    text += "\n";
  }
  std::string legend = " ";
  for (std::size_t k = 0; k < formats; ++k) {
    legend += fmt::format(" [{}] {}", k + 1, report.formats[k].label());
    if (k + 1 == (formats + 1) / 2 && formats > 4) legend += "\n ";
  }
  return text + legend + "\n";
}

std::string left_out(const EvalReport& report) {
  if (report.skipped.empty()) return {};
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const SkippedTensor& tensor : report.skipped) {
    by_reason[tensor.reason].push_back(tensor.name);
  }
  std::vector<std::pair<std::string, std::vector<std::string>>> reasons(by_reason.begin(),
                                                                        by_reason.end());
  std::stable_sort(reasons.begin(), reasons.end(),
                   [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
  std::string text =
      fmt::format("left out: {} tensors; --all takes every float one\n", report.skipped.size());
  for (std::size_t i = 0; i < std::min(reasons.size(), most_reasons); ++i) {
    const auto& [reason, names] = reasons[i];
    const std::string line = fmt::format("  {:>5}  {}: {}{}", names.size(), printable(reason),
                                         printable(names.front()), names.size() > 1 ? ", .." : "");
    text += fitted(line, page_width) + "\n";
  }
  if (reasons.size() > most_reasons) {
    text += fmt::format("  .. and {} more reasons in --json\n", reasons.size() - most_reasons);
  }
  return text;
}

}  // namespace

std::vector<std::size_t> worst_first(const EvalReport& report, const EvalMetric& metric) {
  std::vector<std::size_t> order(report.tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (report.formats.empty()) return order;
  const std::size_t format = sort_format(report, metric);
  // NaN is the worst of all, a missing value no value at all.
  const auto key = [&](std::size_t i) {
    const std::optional<double> v = metric.value(report.tensors[i].results[format]);
    if (!v) return std::pair(1, 0.0);
    if (std::isnan(*v)) return std::pair(-1, 0.0);
    return std::pair(0, metric.low_is_bad ? *v : -*v);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  return order;
}

std::string as_summary(const EvalReport& report, const SummaryOptions& options) {
  const std::uint64_t elements = report.totals.empty() ? 0 : report.totals.front().errors.elements;
  std::string text = fmt::format("total of {} tensors, {} elements, dialect {}\n",
                                 report.tensors.size(), elements, report.dialect);
  text += totals(report);
  text += worst(report, options);
  text += left_out(report);
  for (std::size_t i = 0; i < std::min(report.notes.size(), most_notes); ++i) {
    text += fitted("note: " + report.notes[i], page_width) + "\n";
  }
  if (report.notes.size() > most_notes) {
    text += fmt::format("note: {} more notes in --json\n", report.notes.size() - most_notes);
  }
  return text;
}

}  // namespace lowbit::cli
