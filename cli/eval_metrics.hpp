// SPDX-License-Identifier: MIT
// The numbers that `lowbit eval` reports of a tensor under a format: errors of the tensor itself
// and, where inputs were recorded, of the layer's output.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lowbit/metrics.hpp"
#include "lowbit/output_error.hpp"

namespace lowbit::cli {

/// Errors of Y = X W^T by which operand is quantized.
struct OutputErrors {
  OutputSums weights_only;
  OutputSums inputs_only;
  OutputSums both;
};

struct EvalResult {
  ErrorStatistics errors;
  std::optional<OutputErrors> output{};
};

struct EvalMetric {
  std::string_view name;
  std::string_view heading;
  MetricStyle style;
  std::string_view formula;
  bool low_is_bad;
  const Metric* of_tensor;                 ///< or
  double (*of_output)(const OutputSums&);  ///< of the output with both operands quantized

  /// Nothing where the result has no output errors.
  [[nodiscard]] std::optional<double> value(const EvalResult& result) const;
  /// Empty likewise.
  [[nodiscard]] std::string cell(const EvalResult& result) const;
};

/// Those of the tensor, then those of the output.
[[nodiscard]] std::span<const EvalMetric> eval_metrics();
[[nodiscard]] const EvalMetric* find_eval_metric(std::string_view name);
/// The metric of an option's value. \throws Error(usage) that lists all.
[[nodiscard]] const EvalMetric& eval_metric_named(std::string_view option, std::string_view text,
                                                  std::string_view name);
/// "NAME  FORMULA" lines.
[[nodiscard]] std::string metric_help();

}  // namespace lowbit::cli
