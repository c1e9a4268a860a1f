// SPDX-License-Identifier: MIT
/// \file
/// The numbers that a report says of a tensor under a format: errors of the tensor itself and,
/// where inputs of its layer were recorded, of the layer's output.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lowbit/metrics.hpp"
#include "lowbit/output_error.hpp"

namespace lowbit {

/// Errors of Y = X W^T by which operand is quantized.
struct OutputErrors {
  OutputSums weights_only;  ///< W
  OutputSums inputs_only;   ///< X
  OutputSums both;          ///< X and W
};

/// What an evaluation of one tensor under one format gives.
struct EvalResult {
  ErrorStatistics errors;                ///< of the tensor
  std::optional<OutputErrors> output{};  ///< of the layer's output, where inputs were recorded
  /// What remedies add to the layer; the bits are in `errors`, too
  std::optional<TransformCost> cost{};
};

/// One number of the report; `lowbit eval --help`, every form of the report and docs/eval.md are
/// made from these records.
struct EvalMetric {
  std::string_view name;     ///< in JSON, CSV and --fail-above
  std::string_view heading;  ///< in tables; a heading with % holds 100 times the value
  MetricStyle style;         ///< how tables write it
  std::string_view formula;  ///< in words of the original x and the dequantized q
  bool low_is_bad;           ///< as with SQNR
  const Metric* of_tensor;   ///< null for a metric of the output
  double (*of_output)(const OutputSums&);  ///< of the output with both operands quantized, or null

  /// The number; nothing where the result has no output errors and the metric needs them.
  [[nodiscard]] std::optional<double> value(const EvalResult& result) const;
  /// The number as tables write it; empty where there is none.
  [[nodiscard]] std::string cell(const EvalResult& result) const;
};

/// Those of the tensor, then those of the output, in the order in which reports list them.
[[nodiscard]] std::span<const EvalMetric> eval_metrics();
/// The metric of that name, or nullptr.
[[nodiscard]] const EvalMetric* find_eval_metric(std::string_view name);

}  // namespace lowbit
