// SPDX-License-Identifier: MIT
#include "lowbit/eval_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lowbit/printable.hpp"
#include "lowbit/selection.hpp"
#include "lowbit/version.hpp"

namespace lowbit {
namespace {

using nlohmann::ordered_json;

constexpr int metric_width = 11;

/// The metrics that the report has.
std::vector<const EvalMetric*> shown_metrics(const EvalReport& report) {
  std::vector<const EvalMetric*> shown;
  for (const EvalMetric& metric : eval_metrics()) {
    if (report.has(metric.source)) shown.push_back(&metric);
  }
  return shown;
}

std::string text_line(const EvalReport& report, const std::string& label, std::size_t label_width,
                      const EvalResult& result) {
  std::string line = fmt::format("  {:<{}}", label, label_width);
  for (const EvalMetric* metric : shown_metrics(report)) {
    line += fmt::format("{:>{}}", metric->cell(result), metric_width);
  }
  return line + "\n";
}

/// JSON numbers; NaN and infinity, which JSON lacks, become null.
ordered_json number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json output_json(const OutputSums& sums) {
  return {{"rel_l2", number(sums.rel_l2())},
          {"sqnr_db", number(sums.sqnr_db())},
          {"cosine", number(sums.cosine())}};
}

ordered_json metrics_json(const FormatSpec& format, const EvalResult& result) {
  ordered_json json{
      {"format", format.name()},
      {"rule", format.format == nullptr ? ordered_json(nullptr) : ordered_json(format.rule_name())},
      {"elements", result.errors.elements},
      {"blocks", result.errors.blocks}};
  for (const EvalMetric& metric : eval_metrics()) {
    const std::optional<double> value = metric.value(result);
    if (!value) continue;
    json[std::string(metric.name)] = number(*value);
    // The old name, for one version.
    if (metric.name == "rel_l2") json[std::string(old_name_of_rel_l2)] = number(*value);
  }
  if (result.output) {
    for (const OutputPart& part : output_parts()) {
      const OutputSums* const sums = part.find(*result.output);
      if (sums != nullptr) json["output"][std::string(part.name)] = output_json(*sums);
    }
  }
  if (result.cost) {
    json["remedies"] = {{"bits", result.cost->bits}, {"multiply_adds", result.cost->multiply_adds}};
  }
  return json;
}

ordered_json histogram_json(const Histogram& histogram) {
  return {{"low", histogram.low}, {"high", histogram.high}, {"counts", histogram.counts}};
}

ordered_json details_json(const EvalReport& report) {
  ordered_json json;
  json["formats"] = ordered_json::array();
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    const FormatDetails& found = report.details->formats[k];
    ordered_json entry{{"format", report.formats[k].label()}};
    if (!found.magnitudes.counts.empty()) {
      entry["magnitudes"] = histogram_json(found.magnitudes);
      entry["errors"] = histogram_json(found.errors);
    }
    entry["worst_blocks"] = ordered_json::array();
    for (const BlockPicture& block : found.worst) {
      entry["worst_blocks"].push_back({{"tensor", block.tensor},
                                       {"row", block.row},
                                       {"block", block.block},
                                       {"scale_byte", block.scale_byte},
                                       {"times_mean", block.times_mean},
                                       {"values", block.values},
                                       {"dequantized", block.dequantized},
                                       {"codes", block.codes}});
    }
    json["formats"].push_back(std::move(entry));
  }
  json["crest_factors"] = ordered_json::array();
  for (const auto& [size, histogram] : report.details->crests) {
    ordered_json entry = histogram_json(histogram);
    entry["block_size"] = size;
    json["crest_factors"].push_back(std::move(entry));
  }
  return json;
}

/// A field of RFC 4180: quoted where it holds a separator, a quote or a line break.
std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string csv_line(const EvalReport& report, const EvalTensor& tensor, const FormatSpec& format,
                     const EvalResult& result) {
  std::string line =
      fmt::format("{},{},{},{},{},{},{},{}", csv_field(tensor.file), csv_field(tensor.name),
                  tensor.dtype, tensor.shape.empty() ? "" : shape_text(tensor.shape), format.name(),
                  format.rule_name(), result.errors.elements, result.errors.blocks);
  // Every digit: the shortest text that reads back as the same double.
  for (const EvalMetric* metric : shown_metrics(report)) {
    const std::optional<double> value = metric->value(result);
    line += value ? fmt::format(",{}", *value) : ",";
  }
  return line + "\n";
}

std::string markdown_text(std::string_view text) {
  std::string escaped;
  for (const char c : printable(text)) {
    if (std::string_view("|\\`*_<>[]").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string markdown_head(const EvalReport& report, std::string_view first) {
  std::string head = fmt::format("| {} | format |", first);
  std::string rule = "|---|---|";
  for (const EvalMetric* metric : shown_metrics(report)) {
    head +=
        fmt::format(" {} |", metric->heading == "max |err|" ? "max \\|err\\|" : metric->heading);
    rule += "---:|";
  }
  return head + "\n" + rule + "\n";
}

std::string markdown_line(const EvalReport& report, const std::string& first,
                          const FormatSpec& format, const EvalResult& result) {
  std::string line = fmt::format("| {} | {} |", first, format.label());
  for (const EvalMetric* metric : shown_metrics(report)) {
    line += fmt::format(" {} |", metric->cell(result));
  }
  return line + "\n";
}

std::string tensor_title(const EvalReport& report, const EvalTensor& tensor) {
  return report.files.size() > 1 ? tensor.file + ": " + tensor.name : tensor.name;
}

}  // namespace

EvalTensor described(const SelectedTensor& entry, std::string file) {
  const TensorInfo& tensor = *entry.tensor;
  return {std::move(file),
          tensor.name,
          std::string(tensor.dtype->name),
          tensor.shape,
          entry.view.rows(),
          entry.view.length,
          "",
          {}};
}

bool EvalReport::has(MetricSource source) const {
  switch (source) {
    case MetricSource::tensor:
      return true;
    case MetricSource::gain:
      return has_gains;
    case MetricSource::output:
      return has_outputs;
    case MetricSource::model:
      return !accumulate.empty();
    case MetricSource::kernel:
      return has_kernel;
  }
  return false;
}

std::optional<double> EvalReport::mean_output_db(std::size_t format, const OutputPart& part) const {
  double sum = 0.0;
  std::size_t layers = 0;
  for (const EvalTensor& tensor : tensors) {
    const std::optional<OutputErrors>& output = tensor.results[format].output;
    const OutputSums* const sums = output ? part.find(*output) : nullptr;
    if (sums == nullptr) continue;
    const double error = sums->rel_l2();
    sum += error * error;
    ++layers;
  }
  if (layers == 0) return std::nullopt;
  return -10.0 * std::log10(sum / static_cast<double>(layers));
}

std::string as_text(const EvalReport& report) {
  std::size_t width = 8;
  for (const FormatSpec& format : report.formats) width = std::max(width, format.label().size());
  std::string head = fmt::format("  {:<{}}", "format", width);
  for (const EvalMetric* metric : shown_metrics(report)) {
    head += fmt::format("{:>{}}", metric->heading, metric_width);
  }
  std::string text = head + "\n";
  for (const EvalTensor& tensor : report.tensors) {
    text += fmt::format("{}  {} {}\n", printable(tensor_title(report, tensor)), tensor.dtype,
                        shape_text(tensor.shape));
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      text += text_line(report, report.formats[k].label(), width, tensor.results[k]);
    }
  }
  for (const SkippedTensor& tensor : report.skipped) {
    text += fmt::format("skipped {}: {}\n", printable(tensor.name), tensor.reason);
  }
  text += fmt::format("total of {} tensors, {} elements, dialect {}\n", report.tensors.size(),
                      report.totals.empty() ? 0 : report.totals.front().errors.elements,
                      report.dialect);
  text += head + "\n";
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    text += text_line(report, report.formats[k].label(), width, report.totals[k]);
  }
  return text;
}

std::string as_json(const EvalReport& report) {
  ordered_json json{{"lowbit", LOWBIT_VERSION},
                    {"dialect", report.dialect},
                    {"axis", report.axis ? ordered_json(*report.axis) : ordered_json(nullptr)},
                    {"weight_layout", report.weight_layout},
                    {"files", report.files}};
  if (!report.transform.empty()) json["transform"] = report.transform;
  if (!report.accumulate.empty()) json["accumulate"] = report.accumulate;
  json["metrics"] = ordered_json::array();
  for (const EvalMetric* metric : shown_metrics(report)) {
    json["metrics"].push_back({{"name", metric->name}, {"formula", metric->formula}});
  }
  json["tensors"] = ordered_json::array();
  for (const EvalTensor& tensor : report.tensors) {
    ordered_json entry{{"file", tensor.file},   {"name", tensor.name}, {"dtype", tensor.dtype},
                       {"shape", tensor.shape}, {"rows", tensor.rows}, {"columns", tensor.columns}};
    if (report.has_outputs) {
      entry["input"] = tensor.input.empty() ? ordered_json(nullptr) : ordered_json(tensor.input);
    }
    entry["results"] = ordered_json::array();
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      entry["results"].push_back(metrics_json(report.formats[k], tensor.results[k]));
    }
    json["tensors"].push_back(std::move(entry));
  }
  json["skipped"] = ordered_json::array();
  for (const SkippedTensor& tensor : report.skipped) {
    json["skipped"].push_back(
        {{"file", tensor.file}, {"name", tensor.name}, {"reason", tensor.reason}});
  }
  json["notes"] = report.notes;
  json["total"] = ordered_json::array();
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    json["total"].push_back(metrics_json(report.formats[k], report.totals[k]));
  }
  if (report.details) json["details"] = details_json(report);
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string as_csv(const EvalReport& report) {
  std::string text = "file,tensor,dtype,shape,format,rule,elements,blocks";
  for (const EvalMetric* metric : shown_metrics(report)) text += fmt::format(",{}", metric->name);
  text += "\n";
  for (const EvalTensor& tensor : report.tensors) {
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      text += csv_line(report, tensor, report.formats[k], tensor.results[k]);
    }
  }
  const EvalTensor total{"", "(total)", "", {}, 0, 0, "", {}};
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    text += csv_line(report, total, report.formats[k], report.totals[k]);
  }
  return text;
}

std::string as_markdown(const EvalReport& report) {
  std::string text =
      fmt::format("Total of {} tensors, dialect {}.\n\n", report.tensors.size(), report.dialect);
  text += markdown_head(report, "");
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    text += markdown_line(report, "total", report.formats[k], report.totals[k]);
  }
  text += '\n';
  text += markdown_head(report, "tensor");
  for (const EvalTensor& tensor : report.tensors) {
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      text += markdown_line(report, markdown_text(tensor_title(report, tensor)), report.formats[k],
                            tensor.results[k]);
    }
  }
  for (const SkippedTensor& tensor : report.skipped) {
    text += fmt::format("\nSkipped {}: {}.\n", markdown_text(tensor.name), tensor.reason);
  }
  text += "\nq is the dequantized and x the original value, n the number of elements:\n\n";
  for (const EvalMetric* metric : shown_metrics(report)) {
    text += fmt::format("- {}: `{}`\n", metric->name, metric->formula);
  }
  return text;
}

}  // namespace lowbit
