// SPDX-License-Identifier: MIT
#include "evaluator.hpp"

#include <fmt/format.h>

#include <cmath>
#include <set>
#include <thread>

#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "processes.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {

EvaluatorOptions::EvaluatorOptions() : threads(std::max(1U, std::thread::hardware_concurrency())) {}

const Dialect& EvaluatorOptions::chosen_dialect() const {
  return dialect_named(dialect_with(dialect, axes));
}

void EvaluatorOptions::add_to(CLI::App& command, FileArguments& files) {
  command.add_option("--dialect", dialect, "Whose arithmetic")
      ->type_name("D")
      ->capture_default_str();
  add_axes_option(command, axes);
  files
      .reads(command.add_option("--activations", activations,
                                "Recorded inputs of layers: NAME.input for NAME.weight"))
      ->type_name("FILE");
  files
      .reads(command.add_option("--activation-map", activation_map,
                                "JSON object of weight names and input names"))
      ->type_name("FILE");
  files
      .reads(command.add_option("--importance", importance,
                                "Weights of columns for optimal and search: NAME.importance, or "
                                "NAME.input for its second moments"))
      ->type_name("FILE");
  command.add_option("--scale-max", scale_max, scale_max_help)->type_name("M");
  command.add_option("--nonfinite", nonfinite, "NaN and infinities: error, saturate or skip")
      ->type_name("POLICY")
      ->capture_default_str();
  command.add_option("--threads", threads, "Threads; the numbers do not depend on it")
      ->capture_default_str();
}

Evaluator::Evaluator(const EvaluatorOptions& options, std::vector<FormatSpec> formats,
                     std::optional<Recipe> recipe)
    : options_(options),
      remedies_(Remedies::parse(options.transform)),
      formats_(std::move(formats)),
      recipe_(std::move(recipe)) {
  if (options.threads == 0) throw Error(ErrorKind::usage, "--threads 0: at least one is needed");
  skips_nonfinite_ = options.nonfinite == "skip";
  nonfinite_ = skips_nonfinite_ ? NonFinite::error : nonfinite_named(options.nonfinite);
  if (nonfinite_ == NonFinite::propagate) {
    throw Error(
        ErrorKind::usage,
        "--nonfinite propagate: NaN has no error to report; choose error, saturate or skip");
  }
  bool any_searches = recipe_.has_value();
  for (const FormatSpec& spec : formats_) {
    any_searches = any_searches || (spec.format != nullptr && searches(spec.rule));
    // What has no meaning is said before the first tensor is read.
    if (spec.format != nullptr) static_cast<void>(request_of(spec, {}));
  }
  if (!options.activations.empty()) {
    inputs_.emplace(options.activations, options.activation_map, ".input");
  } else if (!options.activation_map.empty()) {
    throw Error(ErrorKind::usage, "--activation-map needs --activations");
  }
  if (options.optimum &&
      !is_valid_rule(*find_block_format("nvfp4"), ScaleRule::optimal, &options.chosen_dialect())) {
    throw Error(ErrorKind::usage, fmt::format("--optimum: the search of scales knows the dialect "
                                              "canonical, not {}",
                                              options.dialect));
  }
  if (!remedies_.empty()) {
    if (options.optimum) {
      throw Error(ErrorKind::usage, "--optimum is for rules without remedies: no --transform");
    }
    for (const FormatSpec& spec : formats_) {
      if (spec.format != nullptr) continue;
      throw Error(ErrorKind::usage, fmt::format("--transform {}: {} is no block format",
                                                printable(options.transform), spec.label()));
    }
    if (remedies_.needs_inputs() && !inputs_) {
      throw Error(ErrorKind::usage,
                  fmt::format("--transform {} learns from inputs: give --activations",
                              printable(options.transform)));
    }
  }
  if (!options.output_dump.empty()) {
    if (!inputs_) throw Error(ErrorKind::usage, "--output-dump needs --activations");
    dump_.emplace(options.output_dump);
  }
  if (!options.accumulate.empty()) probe_accumulation();
  if (options.importance.empty()) return;
  if (!any_searches) {
    throw Error(ErrorKind::usage, "--importance: only the rules optimal and search look at it");
  }
  importance_.emplace(options.importance, "", ".importance");
}

void Evaluator::probe_accumulation() {
  if (!inputs_) throw Error(ErrorKind::usage, "--accumulate needs --activations");
  if (!remedies_.empty()) {
    throw Error(ErrorKind::usage,
                "--accumulate sums the products of a layer as it is: no --transform");
  }
  accumulation_.emplace(options_.accumulate);
  std::vector<FormatSpec> specs;
  for (const FormatSpec& spec : formats_) specs.push_back(spec);
  if (recipe_) {
    for (const auto& [name, spec] : recipe_->layers()) specs.push_back(spec);
  }
  // Values of many magnitudes: an expansion that is not exact shows before the first layer.
  constexpr std::size_t columns = 256;
  std::vector<float> x(4 * columns);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = std::ldexp(static_cast<float>(i * 37 % 101) - 50.0F, -static_cast<int>(i / 16 % 8));
  }
  std::string reason;
  bool takes_any = false;
  for (const FormatSpec& spec : specs) {
    if (spec.format == nullptr) continue;
    try {
      const BlockTensor t = quantize(x, 4, columns, request_of(spec, {}));
      static_cast<void>(accumulation_->outputs(t, t, 1, {}));
      takes_any = true;
    } catch (const Error& error) {
      untaken_.insert(spec.format);
      reason = error.what();
    }
  }
  if (!takes_any) {
    throw Error(ErrorKind::usage,
                fmt::format("--accumulate {}: it takes no format of the report{}",
                            printable(options_.accumulate), reason.empty() ? "" : ": " + reason));
  }
}

std::vector<std::string> Evaluator::notes() const {
  if (untaken_.empty()) return {};
  std::string names;
  for (const BlockFormat& format : block_formats()) {
    if (untaken_.contains(&format))
      names += fmt::format("{}{}", names.empty() ? "" : ", ", format.name);
  }
  return {fmt::format("no sums of {}: the model cannot take them", names)};
}

QuantizeOptions Evaluator::request_of(const FormatSpec& spec,
                                      std::span<const float> importance) const {
  QuantizeOptions request;
  request.format = spec.format;
  request.rule = spec.rule;
  request.search_radius = spec.search_radius;
  request.dialect = &options_.chosen_dialect();
  request.nonfinite = nonfinite_;
  if (!options_.scale_max.empty() && spec.format->family() == ScaleFamily::nv) {
    request.scale_max = scale_max_named(options_.scale_max, *spec.format);
  }
  if (searches(spec.rule)) request.importance = importance;
  return request;
}

EvalTensor Evaluator::evaluate_tensor(const SelectedTensor& entry, const std::string& file,
                                      const std::function<void(std::uint64_t)>& progress,
                                      EvalDetails* details) const {
  const TensorInfo& tensor = *entry.tensor;
  EvalTensor out = described(entry, file);
  std::vector<float> importance;
  if (importance_) importance = column_importance(*importance_, tensor.name, entry.view.length);
  std::vector<FormatSpec> formats = formats_;
  std::vector<QuantizeOptions> requests;
  for (FormatSpec& spec : formats) {
    if (spec.is_recipe) spec = recipe_->find(tensor.name);
    if (spec.format != nullptr) requests.push_back(request_of(spec, importance));
  }
  if (details != nullptr) add_details(entry, formats, importance, *details);
  if (!remedies_.empty()) {
    for (const FormatSpec& spec : formats) {
      progress(0);
      out.results.push_back(with_remedies(entry, spec, importance));
      if (out.results.back().output) {
        out.input = inputs_->find(out.name, entry.view.length)->tensor->name;
      }
    }
    progress(tensor.elements());
    return out;
  }
  EvaluateOptions how;
  how.view = entry.view;
  how.threads = options_.threads;
  how.progress = progress;
  how.ranks = &processes();
  // What the rules lie between is measured beside them, in the same pass.
  std::vector<FormatSpec> measured = formats;
  const std::vector<std::optional<GainPlaces>> gains =
      add_gain_formats(importance, measured, requests);
  const std::vector<ErrorStatistics> found = evaluate(tensor, measured, requests, nonfinite_, how);
  for (std::size_t k = 0; k < formats.size(); ++k) out.results.push_back({found[k]});
  for (std::size_t k = 0; k < gains.size(); ++k) {
    if (!gains[k]) continue;
    out.results[k].gain = PossibleGain{found[gains[k]->of_static].squared_error,
                                       found[gains[k]->of_optimal].squared_error};
  }
  if (inputs_) add_outputs(entry, formats, importance, out, progress);
  return out;
}

std::vector<std::optional<Evaluator::GainPlaces>> Evaluator::add_gain_formats(
    std::span<const float> importance, std::vector<FormatSpec>& formats,
    std::vector<QuantizeOptions>& requests) const {
  std::vector<std::optional<GainPlaces>> places(formats.size());
  if (!options_.optimum) return places;
  const auto place_of = [&](const BlockFormat& format, ScaleRule rule) {
    // Weighted by the columns, a search is not what rules are measured by.
    const bool may_be_there = importance.empty() || !searches(rule);
    for (std::size_t i = 0; may_be_there && i < formats.size(); ++i) {
      if (formats[i].format == &format && formats[i].rule == rule) return i;
    }
    FormatSpec spec;
    spec.format = &format;
    spec.rule = rule;
    formats.push_back(spec);
    requests.push_back(request_of(spec, {}));
    return formats.size() - 1;
  };
  for (std::size_t k = 0; k < formats_.size(); ++k) {
    const BlockFormat* const base =
        formats_[k].format == nullptr ? nullptr : static_base(*formats_[k].format);
    if (base == nullptr) continue;
    places[k] = GainPlaces{place_of(*base, ScaleRule::static_6),
                           place_of(*formats_[k].format, ScaleRule::optimal)};
  }
  return places;
}

EvalResult Evaluator::with_remedies(const SelectedTensor& entry, const FormatSpec& spec,
                                    std::span<const float> importance) const {
  const std::size_t columns = entry.view.length;
  const std::string& name = entry.tensor->name;
  const std::vector<float> w = read_matrix(*entry.tensor, entry.view, nonfinite_);
  const MatrixView weights{w, entry.view.rows(), columns};
  const std::optional<RecordedInput> input =
      inputs_ ? inputs_->find(name, columns) : std::optional<RecordedInput>{};
  std::vector<float> x;
  if (input) x = read_matrix(*input->tensor, {input->tokens, columns, 1}, nonfinite_);
  const MatrixView inputs{x, input ? input->tokens : 0, columns};
  if (remedies_.needs_inputs() && !input) {
    throw Error(ErrorKind::usage,
                fmt::format("--transform {}: no recorded input fits \"{}\"; record it or leave the "
                            "tensor out with --exclude",
                            remedies_.text(), printable(name)));
  }
  const RemediedLayer layer = remedies_.apply(weights, inputs, request_of(spec, importance));
  EvalResult result;
  result.errors =
      error_statistics(layer.weights(), layer.quantized(), layer.dequantized(), layer.choices());
  add_tensor_scale(result.errors, *spec.format);
  result.cost = layer.cost();
  result.errors.bits += static_cast<std::uint64_t>(std::llround(layer.cost().bits));
  if (!input) return result;
  const LayerOutput output(x, w, columns, options_.threads);
  const auto compare = [&](bool inputs_too, bool weights_too) {
    return output.compare_operands(layer.input_operand(inputs, inputs_too),
                                   layer.weight_operand(weights_too), layer.operand_columns(),
                                   options_.threads);
  };
  OutputErrors& errors = result.output.emplace();
  errors.weights_only = compare(false, true);
  errors.inputs_only = compare(true, false);
  errors.both = compare(true, true);
  if (dump_) {
    const std::vector<float> kernel = dump_->find(name, output.tokens(), output.outputs());
    const LayerOutput products(layer.input_operand(inputs, true), layer.weight_operand(true),
                               layer.operand_columns(), options_.threads);
    if (!kernel.empty()) {
      errors.kernel =
          ComputedErrors{output.compare_outputs(kernel), products.compare_outputs(kernel)};
    }
  }
  return result;
}

void Evaluator::add_details(const SelectedTensor& entry, const std::vector<FormatSpec>& formats,
                            std::span<const float> importance, EvalDetails& details) const {
  const std::vector<float> w = read_matrix(*entry.tensor, entry.view, nonfinite_);
  std::set<int> sizes;
  for (std::size_t k = 0; k < formats.size(); ++k) {
    if (formats[k].format == nullptr) continue;
    sizes.insert(formats[k].format->block_size);
    QuantizeOptions request = request_of(formats[k], importance);
    request.input_type = input_type_of(*entry.tensor->dtype);
    details.add(k, entry.tensor->name, w, entry.view.length, request);
  }
  for (const int size : sizes) details.add_crests(w, entry.view.length, size);
}

/// A matrix through a format and back.
Evaluator::Passed Evaluator::through(const FormatSpec& spec, const std::vector<float>& x,
                                     std::size_t columns, const Dtype& dtype, OperandSide side,
                                     std::span<const float> importance) const {
  if (spec.keeps()) return {x, {}};
  const std::size_t rows = x.size() / columns;
  if (spec.codec != nullptr) return {round_trip(*spec.codec, x, rows, columns), {}};
  QuantizeOptions request = request_of(spec, importance);
  request.input_type = input_type_of(dtype);
  request.side = side;
  Passed out{std::vector<float>(x.size()), quantize(x, rows, columns, request)};
  dequantize(out.blocks, out.values, request.dialect);
  return out;
}

void Evaluator::add_outputs(const SelectedTensor& entry, const std::vector<FormatSpec>& formats,
                            std::span<const float> importance, EvalTensor& out,
                            const std::function<void(std::uint64_t)>& progress) const {
  const std::size_t columns = entry.view.length;
  const std::optional<RecordedInput> input = inputs_->find(out.name, columns);
  if (!input) return;
  out.input = input->tensor->name;
  const std::vector<float> w = read_matrix(*entry.tensor, entry.view, nonfinite_);
  const std::vector<float> x = read_matrix(*input->tensor, {input->tokens, columns, 1}, nonfinite_);
  const LayerOutput layer(x, w, columns, options_.threads);
  const std::vector<float> kernel =
      dump_ ? dump_->find(out.name, layer.tokens(), layer.outputs()) : std::vector<float>{};
  sim::Watch watch;
  watch.report = [&](std::string_view, std::uint64_t, std::uint64_t) { progress(0); };
  for (std::size_t k = 0; k < formats.size(); ++k) {
    progress(0);
    const Passed wq =
        through(formats[k], w, columns, *entry.tensor->dtype, OperandSide::weights, importance);
    // The importance of the columns of weights says nothing about inputs.
    const Passed xq =
        through(formats[k], x, columns, *input->tensor->dtype, OperandSide::inputs, {});
    OutputErrors& errors = out.results[k].output.emplace();
    errors.weights_only = layer.compare({}, wq.values, options_.threads);
    errors.inputs_only = layer.compare(xq.values, {}, options_.threads);
    errors.both = layer.compare(xq.values, wq.values, options_.threads);
    const bool is_summed =
        accumulation_ && formats[k].format != nullptr && !untaken_.contains(formats[k].format);
    if (!is_summed && kernel.empty()) continue;
    const LayerOutput products(xq.values, wq.values, columns, options_.threads);
    const auto errors_of = [&](const std::vector<float>& z) {
      return ComputedErrors{layer.compare_outputs(z), products.compare_outputs(z)};
    };
    if (is_summed) {
      errors.model =
          errors_of(accumulation_->outputs(xq.blocks, wq.blocks, options_.threads, watch));
    }
    if (!kernel.empty()) errors.kernel = errors_of(kernel);
  }
}

}  // namespace lowbit::cli
