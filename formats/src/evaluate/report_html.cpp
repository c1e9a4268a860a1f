// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <limits>
#include <optional>

#include "lowbit/eval_report.hpp"
#include "lowbit/html.hpp"

namespace lowbit {
namespace {

std::string title_of(const EvalReport& report, const EvalTensor& tensor) {
  return report.files.size() > 1 ? tensor.file + ": " + tensor.name : tensor.name;
}

std::vector<std::string> labels_of(const EvalReport& report) {
  std::vector<std::string> labels;
  for (const FormatSpec& format : report.formats) labels.push_back(format.label());
  return labels;
}

/// 10764288 as 10,764,288.
std::string grouped(std::uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

const EvalMetric& metric_named(std::string_view name) {
  return *find_eval_metric(name);
}

html::HeatMap heat_map_of(const EvalReport& report, const EvalMetric& metric) {
  html::HeatMap map;
  map.corner = "tensor";
  map.columns = labels_of(report);
  map.low_is_bad = metric.low_is_bad;
  map.by_column = true;
  // Below one decibel, differences between layers are not worth a strong shade.
  map.least_range = 1.0;
  map.text = [](double value) { return fmt::format("{:.2f}", value); };
  for (const EvalTensor& tensor : report.tensors) {
    map.rows.push_back(title_of(report, tensor));
    for (const EvalResult& result : tensor.results) {
      map.values.push_back(metric.value(result).value_or(std::numeric_limits<double>::quiet_NaN()));
    }
  }
  return map;
}

/// Of the formats whose rule is neither end of the scale.
html::HeatMap gain_map_of(const EvalReport& report) {
  html::HeatMap map;
  map.corner = "tensor";
  map.low_is_bad = true;
  map.text = [](double value) { return fmt::format("{:.1f} %", value); };
  std::vector<std::size_t> shown;
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    const FormatSpec& spec = report.formats[k];
    if (!report.totals[k].gain || spec.rule == ScaleRule::static_6 ||
        spec.rule == ScaleRule::optimal) {
      continue;
    }
    shown.push_back(k);
    map.columns.push_back(spec.label());
  }
  const EvalMetric& metric = metric_named("gain_share");
  for (const EvalTensor& tensor : report.tensors) {
    map.rows.push_back(title_of(report, tensor));
    for (const std::size_t k : shown) {
      const std::optional<double> share = metric.value(tensor.results[k]);
      map.values.push_back(share ? 100.0 * *share : std::numeric_limits<double>::quiet_NaN());
    }
  }
  return map;
}

html::Table totals_of(const EvalReport& report) {
  html::Table table;
  table.columns.push_back({"format", false});
  std::vector<const char*> metrics{"sqnr_db",           "rel_l2",        "max_abs_error",
                                   "four_or_int_share", "clipped_share", "zeroed_share",
                                   "bits_per_element"};
  if (report.has_gains) metrics.insert(metrics.begin() + 1, "gain_share");
  for (const char* name : metrics) {
    table.columns.push_back({std::string(metric_named(name).heading), true});
  }
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    std::vector<std::string> row{report.formats[k].label()};
    for (const char* name : metrics) row.push_back(metric_named(name).cell(report.totals[k]));
    table.rows.push_back(std::move(row));
  }
  return table;
}

html::Chart bits_chart(const EvalReport& report) {
  html::Chart chart;
  chart.title = "Bits per element and SQNR, all tensors";
  chart.x.label = "bits per element";
  chart.y.label = "SQNR in dB (higher is better)";
  chart.mark = html::Mark::points;
  html::Series series{"formats", {}, false};
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    series.points.push_back({metric_named("bits_per_element").value(report.totals[k]).value_or(0),
                             metric_named("sqnr_db").value(report.totals[k]).value_or(0),
                             report.formats[k].label()});
  }
  chart.series = {series};
  return chart;
}

/// A histogram as a density, so that formats with other numbers of elements compare.
html::Series outline(const std::string& name, const Histogram& histogram) {
  html::Series series{name, {}, false};
  double total = 0.0;
  for (const std::uint64_t count : histogram.counts) total += static_cast<double>(count);
  if (total == 0.0) return series;
  const double width =
      (histogram.high - histogram.low) / static_cast<double>(histogram.counts.size());
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    const double x = histogram.low + width * static_cast<double>(i);
    series.points.push_back({x, 100.0 * static_cast<double>(histogram.counts[i]) / total, ""});
  }
  series.points.push_back({histogram.high, 0.0, ""});
  return series;
}

std::vector<std::string> histograms_of(const EvalReport& report) {
  // More outlines than these cannot be told apart.
  constexpr std::size_t most = 4;
  const EvalDetails& details = *report.details;
  html::Chart magnitudes;
  magnitudes.title = "Where elements lie in their block";
  magnitudes.x.label = "|x| / largest magnitude that the block can hold";
  magnitudes.y.label = "% of elements";
  magnitudes.mark = html::Mark::steps;
  magnitudes.note = "Beyond 1 an element is clipped.";
  html::Chart errors = magnitudes;
  errors.title = "Errors";
  errors.x.label = "(q - x) / largest magnitude that the block can hold";
  errors.note = "The ends hold what lies beyond them.";
  std::size_t left_out = 0;
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    if (details.formats[k].magnitudes.counts.empty()) continue;
    if (magnitudes.series.size() == most) {
      ++left_out;
      continue;
    }
    magnitudes.series.push_back(outline(report.formats[k].label(), details.formats[k].magnitudes));
    errors.series.push_back(outline(report.formats[k].label(), details.formats[k].errors));
  }
  if (left_out != 0) {
    magnitudes.note +=
        fmt::format(" The first {} block formats; {} more are in the JSON.", most, left_out);
  }
  html::Chart crests;
  crests.title = "Crest factors of blocks";
  crests.x.label = "largest magnitude / root mean square";
  crests.y.label = "% of blocks";
  crests.mark = html::Mark::steps;
  crests.note =
      "A block of equal magnitudes has 1, a block with one element that is not 0 the root of "
      "its size.";
  for (const auto& [size, histogram] : details.crests) {
    crests.series.push_back(outline(fmt::format("blocks of {}", size), histogram));
  }
  return {html::chart(magnitudes), html::chart(errors), html::chart(crests)};
}

std::string picture_of(const FormatSpec& format, const BlockPicture& block) {
  html::Chart chart;
  chart.title =
      fmt::format("{}: {}, row {}, block {}", format.label(), block.tensor, block.row, block.block);
  chart.note = fmt::format(
      "Scale byte {:02x}{}. The squared error is {:.1f} times that of the tensor's mean "
      "block.",
      block.scale_byte,
      format.format->is_integer_block(block.scale_byte) ? ", an integer block" : "",
      block.times_mean);
  chart.x.label = "element";
  chart.y.label = "value";
  chart.mark = html::Mark::points;
  chart.x.low = -0.5;
  chart.x.high = static_cast<double>(block.values.size()) - 0.5;
  html::Series x{"original", {}, true};
  html::Series q{"dequantized", {}, false};
  html::Table table{{{"element", true},
                     {"code", true},
                     {"original", true},
                     {"dequantized", true},
                     {"error", true}},
                    {}};
  for (std::size_t i = 0; i < block.values.size(); ++i) {
    const auto place = static_cast<double>(i);
    x.points.push_back({place, block.values[i], ""});
    q.points.push_back({place, block.dequantized[i], ""});
    table.rows.push_back({fmt::format("{}", i), fmt::format("{:x}", block.codes[i]),
                          fmt::format("{:.6g}", block.values[i]),
                          fmt::format("{:.6g}", block.dequantized[i]),
                          fmt::format("{:.3g}", block.dequantized[i] - block.values[i])});
  }
  chart.series = {x, q};
  return html::chart(chart) + html::folded("Values and codes", html::table(table));
}

}  // namespace

std::string as_html(const EvalReport& report) {
  std::string files;
  for (const std::string& file : report.files) files += (files.empty() ? "" : ", ") + file;
  html::Page page("What formats do to the weights", files);
  const std::uint64_t elements = report.totals.empty() ? 0 : report.totals.front().errors.elements;
  page.tiles({{fmt::format("{}", report.tensors.size()), "tensors"},
              {grouped(elements), "elements"},
              {fmt::format("{}", report.formats.size()), "formats"},
              {fmt::format("{}", report.skipped.size()), "left out"},
              {report.dialect, "dialect"}});
  for (const std::string& note : report.notes) page.text("Note: " + note);
  page.section("Totals");
  page.add(html::table(totals_of(report))).add(html::chart(bits_chart(report)));
  if (report.has_outputs) {
    page.section("Layer outputs: SQNR in dB");
    page.text(
        "Y = X W^T with weights and inputs quantized, against the layer as it is. Layers without a "
        "recorded input have no value.");
    page.add(html::heat_map(heat_map_of(report, metric_named("output_sqnr_db"))));
  }
  page.section("Weights: SQNR in dB");
  page.add(html::heat_map(heat_map_of(report, metric_named("sqnr_db"))));
  if (report.has_gains) {
    page.section("Share of the possible gain");
    page.text(
        "How much of what the best scale of every block saves over static_6 a rule saves, in "
        "squared error: 0 is static_6, 100 % is optimal. An IF format is measured against its own "
        "optimum, from static_6 of its float elements.");
    page.add(html::heat_map(gain_map_of(report)));
  }
  if (report.details) {
    page.section("Blocks");
    page.beside(histograms_of(report));
    page.section("The worst blocks");
    page.text(
        "Of each block format the blocks whose squared error is the largest multiple of their "
        "tensor's mean.");
    std::vector<std::string> pictures;
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      for (const BlockPicture& block : report.details->formats[k].worst) {
        pictures.push_back("<div>" + picture_of(report.formats[k], block) + "</div>\n");
      }
    }
    page.beside(pictures);
  }
  if (!report.skipped.empty()) {
    html::Table table{{{"tensor", false}, {"why", false}}, {}};
    for (const SkippedTensor& tensor : report.skipped)
      table.rows.push_back({tensor.name, tensor.reason});
    page.section("Left out");
    page.folded(fmt::format("{} tensors", report.skipped.size()), html::table(table));
  }
  html::Table formulas{{{"metric", false}, {"formula", false}}, {}};
  for (const EvalMetric& metric : eval_metrics()) {
    if (!report.has(metric.source)) continue;
    formulas.rows.push_back({std::string(metric.name), std::string(metric.formula)});
  }
  page.section("Metrics");
  page.text("x is the original as FP32, q the dequantized value, n the number of elements.");
  page.folded("Formulas", html::table(formulas));
  return page.str();
}

}  // namespace lowbit
