// SPDX-License-Identifier: MIT
#include "eval_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lowbit/printable.hpp"
#include "lowbit/version.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

using nlohmann::ordered_json;

std::string cell(const Metric& metric, const ErrorStatistics& statistics) {
  const double value = metric.value(statistics);
  switch (metric.style) {
    case MetricStyle::significant:
      return fmt::format("{:.4g}", value);
    case MetricStyle::decibel:
      return fmt::format("{:.3f}", value);
    case MetricStyle::six_places:
      return fmt::format("{:.6f}", value);
    case MetricStyle::percent:
      return fmt::format("{:.3f}", 100.0 * value);
    case MetricStyle::two_places:
      return fmt::format("{:.2f}", value);
  }
  return {};
}

constexpr int metric_width = 11;

std::string text_line(const std::string& label, std::size_t label_width,
                      const ErrorStatistics& statistics) {
  std::string line = fmt::format("  {:<{}}", label, label_width);
  for (const Metric& metric : metrics())
    line += fmt::format("{:>{}}", cell(metric, statistics), metric_width);
  return line + "\n";
}

/// JSON numbers; NaN and infinity, which JSON lacks, become null.
ordered_json metrics_json(const EvalFormat& format, const ErrorStatistics& statistics) {
  ordered_json result{{"format", format.format->name},
                      {"rule", name_of(format.rule)},
                      {"elements", statistics.elements},
                      {"blocks", statistics.blocks}};
  for (const Metric& metric : metrics()) {
    const double value = metric.value(statistics);
    result[std::string(metric.name)] =
        std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
  }
  return result;
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

std::string csv_line(const EvalTensor& tensor, const EvalFormat& format,
                     const ErrorStatistics& statistics) {
  std::string line = fmt::format(
      "{},{},{},{},{},{},{},{}", csv_field(tensor.file), csv_field(tensor.name), tensor.dtype,
      tensor.shape.empty() ? "" : shape_text(tensor.shape), format.format->name,
      name_of(format.rule), statistics.elements, statistics.blocks);
  // Every digit: the shortest text that reads back as the same double.
  for (const Metric& metric : metrics()) line += fmt::format(",{}", metric.value(statistics));
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

std::string markdown_head(std::string_view first) {
  std::string head = fmt::format("| {} | format |", first);
  std::string rule = "|---|---|";
  for (const Metric& metric : metrics()) {
    head += fmt::format(" {} |", metric.heading == "max |err|" ? "max \\|err\\|" : metric.heading);
    rule += "---:|";
  }
  return head + "\n" + rule + "\n";
}

std::string markdown_line(const std::string& first, const EvalFormat& format,
                          const ErrorStatistics& statistics) {
  std::string line = fmt::format("| {} | {} |", first, format.label());
  for (const Metric& metric : metrics()) line += fmt::format(" {} |", cell(metric, statistics));
  return line + "\n";
}

std::string tensor_title(const EvalReport& report, const EvalTensor& tensor) {
  return report.files.size() > 1 ? tensor.file + ": " + tensor.name : tensor.name;
}

}  // namespace

std::string EvalFormat::label() const {
  return fmt::format("{}:{}", format->name, name_of(rule));
}

std::string metric_help() {
  std::string text;
  for (const Metric& metric : metrics())
    text += fmt::format("  {:<19}{}\n", metric.name, metric.formula);
  return text;
}

std::string as_text(const EvalReport& report) {
  std::size_t width = 8;
  for (const EvalFormat& format : report.formats) width = std::max(width, format.label().size());
  std::string head = fmt::format("  {:<{}}", "format", width);
  for (const Metric& metric : metrics())
    head += fmt::format("{:>{}}", metric.heading, metric_width);
  std::string text = head + "\n";
  for (const EvalTensor& tensor : report.tensors) {
    text += fmt::format("{}  {} {}\n", printable(tensor_title(report, tensor)), tensor.dtype,
                        shape_text(tensor.shape));
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      text += text_line(report.formats[k].label(), width, tensor.results[k]);
    }
  }
  for (const SkippedTensor& tensor : report.skipped) {
    text += fmt::format("skipped {}: {}\n", printable(tensor.name), tensor.reason);
  }
  text += fmt::format("total of {} tensors, {} elements, dialect {}\n", report.tensors.size(),
                      report.totals.empty() ? 0 : report.totals.front().elements, report.dialect);
  text += head + "\n";
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    text += text_line(report.formats[k].label(), width, report.totals[k]);
  }
  return text;
}

std::string as_json(const EvalReport& report) {
  ordered_json json{{"lowbit", LOWBIT_VERSION},
                    {"dialect", report.dialect},
                    {"axis", report.axis},
                    {"files", report.files}};
  json["metrics"] = ordered_json::array();
  for (const Metric& metric : metrics()) {
    json["metrics"].push_back({{"name", metric.name}, {"formula", metric.formula}});
  }
  json["tensors"] = ordered_json::array();
  for (const EvalTensor& tensor : report.tensors) {
    ordered_json entry{{"file", tensor.file},
                       {"name", tensor.name},
                       {"dtype", tensor.dtype},
                       {"shape", tensor.shape},
                       {"results", ordered_json::array()}};
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
  json["total"] = ordered_json::array();
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    json["total"].push_back(metrics_json(report.formats[k], report.totals[k]));
  }
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string as_csv(const EvalReport& report) {
  std::string text = "file,tensor,dtype,shape,format,rule,elements,blocks";
  for (const Metric& metric : metrics()) text += fmt::format(",{}", metric.name);
  text += "\n";
  for (const EvalTensor& tensor : report.tensors) {
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      text += csv_line(tensor, report.formats[k], tensor.results[k]);
    }
  }
  const EvalTensor total{"", "(total)", "", {}, {}};
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    text += csv_line(total, report.formats[k], report.totals[k]);
  }
  return text;
}

std::string as_markdown(const EvalReport& report) {
  std::string text =
      fmt::format("Total of {} tensors, dialect {}.\n\n", report.tensors.size(), report.dialect);
  text += markdown_head("");
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    text += markdown_line("total", report.formats[k], report.totals[k]);
  }
  text += "\n" + markdown_head("tensor");
  for (const EvalTensor& tensor : report.tensors) {
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      text += markdown_line(markdown_text(tensor_title(report, tensor)), report.formats[k],
                            tensor.results[k]);
    }
  }
  for (const SkippedTensor& tensor : report.skipped) {
    text += fmt::format("\nSkipped {}: {}.\n", markdown_text(tensor.name), tensor.reason);
  }
  text += "\nq is the dequantized and x the original value, n the number of elements:\n\n";
  for (const Metric& metric : metrics())
    text += fmt::format("- {}: `{}`\n", metric.name, metric.formula);
  return text;
}

}  // namespace lowbit::cli
