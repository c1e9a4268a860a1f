// SPDX-License-Identifier: MIT
/// \file
/// The numbers that a report says of a tensor under a format: errors of the tensor itself and,
/// where inputs of its layer were recorded, of the layer's output.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lowbit/block_format.hpp"
#include "lowbit/metrics.hpp"
#include "lowbit/output_error.hpp"

namespace lowbit {

/// Errors of outputs that something else computed from the quantized X and W.
struct ComputedErrors {
  OutputSums total;  ///< against the original Y
  OutputSums sums;   ///< against the products of the quantized X and W in binary64
};

/// Errors of Y = X W^T by which operand is quantized, and by what computes it.
struct OutputErrors {
  OutputSums weights_only;                 ///< W
  OutputSums inputs_only;                  ///< X
  OutputSums both;                         ///< X and W
  std::optional<ComputedErrors> model{};   ///< of a model of the accumulation
  std::optional<ComputedErrors> kernel{};  ///< of a kernel's recorded output
};

/// Squared errors that a format's rules lie between: those of `static_6` and of `optimal`.
struct PossibleGain {
  double static_error = 0.0;   ///< of `static_6`; of IF formats that of their float elements
  double optimal_error = 0.0;  ///< of `optimal`, without importance

  /// Adds what another tensor gave.
  void add(const PossibleGain& other);
};

/// The format whose `static_6` a format's rules are measured from: itself, or the format of its
/// float elements. \return null for MX formats, whose rules are not measured from it.
[[nodiscard]] const BlockFormat* static_base(const BlockFormat& format);

/// What an evaluation of one tensor under one format gives.
struct EvalResult {
  ErrorStatistics errors;                ///< of the tensor
  std::optional<OutputErrors> output{};  ///< of the layer's output, where inputs were recorded
  /// What remedies add to the layer; the bits are in `errors`, too
  std::optional<TransformCost> cost{};
  std::optional<PossibleGain> gain{};  ///< where somebody asked for it and the format has it
};

/// What a number of the report is computed from.
enum class MetricSource : std::uint8_t { tensor, gain, output, model, kernel };

/// One number of the report; `lowbit eval --help`, every form of the report and docs/eval.md are
/// made from these records.
struct EvalMetric {
  std::string_view name;     ///< in JSON, CSV and --fail-above
  std::string_view heading;  ///< in tables; a heading with % holds 100 times the value
  MetricStyle style;         ///< how tables write it
  std::string_view formula;  ///< in words of the original x and the dequantized q
  bool low_is_bad;           ///< as with SQNR
  MetricSource source;       ///< which part of a result it needs
  /// Computes it; that of an output is of both operands quantized
  std::function<std::optional<double>(const EvalResult&)> compute;

  /// The number; nothing where the result lacks what the metric needs.
  [[nodiscard]] std::optional<double> value(const EvalResult& result) const;
  /// The number as tables write it; empty where there is none.
  [[nodiscard]] std::string cell(const EvalResult& result) const;
};

/// One part of the split of an output's error.
struct OutputPart {
  std::string_view name;     ///< in JSON
  std::string_view heading;  ///< in tables
  MetricSource source;       ///< output, model or kernel
  /// Its sums, or null where the result lacks them
  const OutputSums* (*find)(const OutputErrors&);
};
/// Weights, inputs, both; the sums of a model alone and with the quantized operands; a kernel's.
[[nodiscard]] std::span<const OutputPart> output_parts();

/// Those of the tensor, then those of the output, in the order in which reports list them.
[[nodiscard]] std::span<const EvalMetric> eval_metrics();
/// The metric of that name, or nullptr.
[[nodiscard]] const EvalMetric* find_eval_metric(std::string_view name);

}  // namespace lowbit
