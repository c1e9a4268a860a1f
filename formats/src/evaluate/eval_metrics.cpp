// SPDX-License-Identifier: MIT
#include "lowbit/eval_metrics.hpp"

#include <fmt/format.h>

#include <vector>

namespace lowbit {
namespace {

using Compute = std::function<std::optional<double>(const EvalResult&)>;

Compute of_output(double (*metric)(const OutputSums&)) {
  return [metric](const EvalResult& result) {
    return result.output ? std::optional(metric(result.output->both)) : std::nullopt;
  };
}

std::optional<double> share_of_gain(const EvalResult& result) {
  if (!result.gain) return std::nullopt;
  const double possible = result.gain->static_error - result.gain->optimal_error;
  // Where nothing can be gained there is no share of it.
  if (!(possible > 0.0)) return std::nullopt;
  return (result.gain->static_error - result.errors.squared_error) / possible;
}

const OutputSums* total_of(const std::optional<ComputedErrors>& errors) {
  return errors ? &errors->total : nullptr;
}
const OutputSums* sums_of(const std::optional<ComputedErrors>& errors) {
  return errors ? &errors->sums : nullptr;
}

std::vector<EvalMetric> all_metrics() {
  std::vector<EvalMetric> list;
  for (const Metric& metric : metrics()) {
    const bool low_is_bad = metric.name == "sqnr_db" || metric.name == "cosine";
    list.push_back({metric.name, metric.heading, metric.style, metric.formula, low_is_bad,
                    MetricSource::tensor,
                    [&metric](const EvalResult& r) { return metric.value(r.errors); }});
  }
  list.push_back(
      {"gain_share", "gain %", MetricStyle::percent,
       "(error of static_6 - error) / (error of static_6 - error of optimal), in sum (q - x)^2",
       true, MetricSource::gain, share_of_gain});
  list.push_back(
      {"output_rel_l2", "out L2", MetricStyle::six_places,
       "sqrt(sum (z - y)^2 / sum y^2), with y of Y = X W^T and z of the quantized X and W", false,
       MetricSource::output, of_output([](const OutputSums& s) { return s.rel_l2(); })});
  list.push_back({"output_sqnr_db", "out dB", MetricStyle::decibel,
                  "10 log10(sum y^2 / sum (z - y)^2); infinite where z = y", true,
                  MetricSource::output,
                  of_output([](const OutputSums& s) { return s.sqnr_db(); })});
  list.push_back({"output_cosine", "out cosine", MetricStyle::six_places,
                  "sum y z / sqrt(sum y^2 sum z^2); 1 where z = y, 0 where all z = 0", true,
                  MetricSource::output, of_output([](const OutputSums& s) { return s.cosine(); })});
  const auto decibels = [&](std::string_view name, std::string_view heading,
                            std::string_view formula, MetricSource source, auto member) {
    list.push_back({name, heading, MetricStyle::decibel, formula, true, source,
                    [member](const EvalResult& result) -> std::optional<double> {
                      if (!result.output || !((*result.output).*member)) return std::nullopt;
                      return ((*result.output).*member)->total.sqnr_db();
                    }});
  };
  decibels("output_model_sqnr_db", "model dB",
           "output_sqnr_db, with z as the model of --accumulate sums it", MetricSource::model,
           &OutputErrors::model);
  decibels("output_kernel_sqnr_db", "kernel dB", "output_sqnr_db, with z of --output-dump",
           MetricSource::kernel, &OutputErrors::kernel);
  return list;
}

}  // namespace

std::span<const OutputPart> output_parts() {
  using Errors = const OutputErrors&;
  static const OutputPart parts[] = {
      {"weights_only", "W dB", MetricSource::output, [](Errors e) { return &e.weights_only; }},
      {"inputs_only", "X dB", MetricSource::output, [](Errors e) { return &e.inputs_only; }},
      {"both", "both dB", MetricSource::output, [](Errors e) { return &e.both; }},
      {"accumulation", "sums dB", MetricSource::model, [](Errors e) { return sums_of(e.model); }},
      {"model", "model dB", MetricSource::model, [](Errors e) { return total_of(e.model); }},
      {"kernel", "kernel dB", MetricSource::kernel, [](Errors e) { return total_of(e.kernel); }},
      {"kernel_sums", "its sums dB", MetricSource::kernel,
       [](Errors e) { return sums_of(e.kernel); }},
  };
  return parts;
}

void PossibleGain::add(const PossibleGain& other) {
  static_error += other.static_error;
  optimal_error += other.optimal_error;
}

const BlockFormat* static_base(const BlockFormat& format) {
  if (format.family() != ScaleFamily::nv) return nullptr;
  if (!format.is_adaptive()) return &format;
  for (const BlockFormat& base : block_formats()) {
    if (!base.is_adaptive() && *base.scale == *format.scale && *base.element == *format.element &&
        base.block_size == format.block_size) {
      return &base;
    }
  }
  return nullptr;
}

std::optional<double> EvalMetric::value(const EvalResult& result) const {
  return compute(result);
}

std::string EvalMetric::cell(const EvalResult& result) const {
  const std::optional<double> v = value(result);
  if (!v) return {};
  switch (style) {
    case MetricStyle::significant:
      return fmt::format("{:.4g}", *v);
    case MetricStyle::decibel:
      return fmt::format("{:.3f}", *v);
    case MetricStyle::six_places:
      return fmt::format("{:.6f}", *v);
    case MetricStyle::percent:
      return fmt::format("{:.3f}", 100.0 * *v);
    case MetricStyle::two_places:
      return fmt::format("{:.2f}", *v);
  }
  return {};
}

std::span<const EvalMetric> eval_metrics() {
  static const std::vector<EvalMetric> list = all_metrics();
  return list;
}

const EvalMetric* find_eval_metric(std::string_view name) {
  if (name == old_name_of_rel_l2) name = "rel_l2";
  for (const EvalMetric& metric : eval_metrics()) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

}  // namespace lowbit
