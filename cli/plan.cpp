// SPDX-License-Identifier: MIT
// lowbit plan: which format each layer gets under a budget of bits.
#include "lowbit/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <regex>

#include "commands.hpp"
#include "evaluator.hpp"
#include "faults.hpp"
#include "file_arguments.hpp"
#include "lowbit/checkpoint.hpp"
#include "lowbit/checkpoint_eval.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/html.hpp"
#include "lowbit/names.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/version.hpp"
#include "progress.hpp"
#include "selection_options.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

using nlohmann::ordered_json;

/// What is offered where nobody says: 3.5 to 8.25 bits, and the tensor as it is.
const std::vector<std::string> default_formats{"if3:mse",      "nvfp4:mse",        "if4:mse",
                                               "if6_e2m3:mse", "mxfp8_e4m3:floor", "keep"};
/// The same with --reference.
const std::vector<std::string> default_stored_formats{"stored", "keep"};

struct Options {
  std::vector<std::string> files;
  std::string reference;
  double budget = 0.0;
  std::vector<std::string> formats;
  std::string output;
  std::string html;
  std::vector<std::string> groups;
  std::string sensitivity;
  EvaluatorOptions evaluator;
  RawOptions raw;
  SelectionOptions selection;
  std::string progress = "auto";
};

/// Layers that a kernel fuses: those whose names are the same without what an expression matches.
class Groups {
 public:
  explicit Groups(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      try {
        expressions_.emplace_back(text);
      } catch (const std::regex_error& error) {
        throw Error(ErrorKind::usage,
                    fmt::format("--group {}: not a regular expression: {}", text, error.what()));
      }
    }
  }
  [[nodiscard]] std::string of(const std::string& name) const {
    for (std::size_t i = 0; i < expressions_.size(); ++i) {
      std::smatch match;
      if (!std::regex_search(name, match, expressions_[i])) continue;
      return fmt::format("{}:{}*{}", i, match.prefix().str(), match.suffix().str());
    }
    return {};
  }

 private:
  std::vector<std::regex> expressions_;
};

/// A number per layer and format, from a file: {"LAYER": {"FORMAT": number, ..}, ..}.
class Sensitivity {
 public:
  explicit Sensitivity(const std::string& path) : path_(path) {
    std::ifstream in(path);
    if (!in) refuse("cannot be read");
    try {
      json_ = nlohmann::json::parse(in);
    } catch (const nlohmann::json::exception&) {
      refuse("is not JSON");
    }
    if (!json_.is_object()) refuse("is no object of layers");
  }
  [[nodiscard]] double of(const std::string& layer, const std::string& format) const {
    const auto found = json_.find(layer);
    if (found == json_.end() || !found->is_object()) {
      refuse(fmt::format("lacks the layer \"{}\"", printable(layer)));
    }
    const auto number = found->find(format);
    if (number == found->end()) {
      if (format == "keep") return 0.0;
      refuse(fmt::format("lacks {} of the layer \"{}\"", format, printable(layer)));
    }
    if (!number->is_number() || number->get<double>() < 0.0) {
      refuse(fmt::format("{} of the layer \"{}\" is not a number of at least 0", format,
                         printable(layer)));
    }
    return number->get<double>();
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: {}; give {{\"LAYER\": {{\"FORMAT\": NUMBER}}}}", printable(path_), what));
  }
  std::string path_;
  nlohmann::json json_;
};

double relative(const ErrorStatistics& s) {
  return s.squared_error == 0.0 ? 0.0 : s.squared_error / s.squared_value;
}

/// Squared error over squared norm: of the output where the layer has a recorded input.
double objective_of(const EvalResult& result) {
  if (!result.output) return relative(result.errors);
  const OutputSums& s = result.output->both;
  return s.squared_error == 0.0 ? 0.0 : s.squared_error / s.squared_output;
}

struct Planned {
  std::vector<PlanLayer> layers;
  std::vector<std::string> inputs;  ///< per layer
  std::vector<std::string> notes;
  Plan plan;
};

/// What --format names; "stored" is the blocks of a checkpoint.
FormatSpec spec_of(const std::string& text, const Dialect& dialect, bool has_reference) {
  if (in_lower_case(text) != "stored") return format_spec_named(text, dialect);
  if (!has_reference) {
    throw Error(ErrorKind::usage,
                "--format stored: FILE is a quantized checkpoint then; give --reference ORIGINAL");
  }
  FormatSpec spec;
  spec.is_stored = true;
  return spec;
}

/// The errors of a checkpoint's weights as they are stored, by name.
std::map<std::string, ErrorStatistics> stored_errors(const Options& options) {
  if (options.files.size() != 1 || !options.evaluator.activations.empty() || options.raw.layout()) {
    throw Error(ErrorKind::usage,
                "--reference takes one checkpoint, and neither --activations nor --dtype: the "
                "errors are those of weights");
  }
  const Checkpoint checkpoint = Checkpoint::open(options.files.front());
  const Checkpoint original = Checkpoint::open(options.reference);
  refuse_faults(checkpoint);
  refuse_faults(original);
  const EvalReport report = evaluate_checkpoint(
      checkpoint, original, options.selection.rules().names, [](std::uint64_t) {});
  std::map<std::string, ErrorStatistics> errors;
  for (const EvalTensor& tensor : report.tensors) {
    errors.emplace(tensor.name, tensor.results.front().errors);
  }
  return errors;
}

Planned planned(const Options& options) {
  const Dialect& dialect = options.evaluator.chosen_dialect();
  const SelectionRules rules = options.selection.rules();
  const Groups groups(options.groups);
  const bool has_reference = !options.reference.empty();
  std::vector<FormatSpec> formats;
  std::vector<FormatSpec> measured;
  for (const std::string& text : options.formats) {
    formats.push_back(spec_of(text, dialect, has_reference));
    if (!formats.back().is_stored) measured.push_back(formats.back());
  }
  const std::optional<Sensitivity> sensitivity =
      options.sensitivity.empty() ? std::nullopt
                                  : std::optional<Sensitivity>(std::in_place, options.sensitivity);
  const Evaluator evaluator(options.evaluator, measured, std::nullopt);
  std::map<std::string, ErrorStatistics> stored;
  if (has_reference) stored = stored_errors(options);

  const std::vector<std::string> paths =
      expanded_paths(has_reference ? std::vector{options.reference} : options.files);
  std::vector<TensorFile> files;
  for (const std::string& path : paths) {
    files.push_back(TensorFile::open(path, options.raw.layout()));
    refuse_quantized(files.back(), path, rules);
  }
  Selection selection = select_tensors(files, paths, rules);
  if (has_reference) {
    // Of the original, what the checkpoint holds in blocks.
    std::erase_if(selection.taken,
                  [&](const SelectedTensor& t) { return !stored.contains(t.tensor->name); });
  }
  if (selection.taken.empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no float tensor to plan for; `lowbit inspect` lists what there is",
                            printable(paths.front())));
  }
  std::uint64_t elements = 0;
  for (const SelectedTensor& entry : selection.taken) elements += entry.tensor->elements();
  Planned out;
  out.notes = selection.notes;
  Progress progress(options.progress, elements);
  std::size_t paired = 0;
  for (const SelectedTensor& entry : selection.taken) {
    const EvalTensor found = evaluator.evaluate_tensor(
        entry, paths[entry.file], [&](std::uint64_t n) { progress.advance(n); });
    PlanLayer layer{found.name, entry.tensor->elements(), {}, groups.of(found.name)};
    auto result = found.results.begin();
    for (const FormatSpec& format : formats) {
      const EvalResult of_format =
          format.is_stored ? EvalResult{stored.at(found.name), {}} : *result++;
      const std::string label = format.label();
      layer.choices.push_back(
          {label, of_format.errors.bits,
           sensitivity ? sensitivity->of(found.name, label) : objective_of(of_format)});
    }
    paired += found.input.empty() ? 0 : 1;
    out.inputs.push_back(found.input);
    out.layers.push_back(std::move(layer));
  }
  if (stored.size() > out.layers.size()) {
    out.notes.push_back(fmt::format("{} of {} weights in blocks are not among those selected",
                                    stored.size() - out.layers.size(), stored.size()));
  }
  if (evaluator.has_inputs() && paired == 0) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no recorded input fits a weight; name them NAME.input or give "
                            "--activation-map",
                            printable(options.evaluator.activations)));
  }
  if (evaluator.has_inputs() && paired < out.layers.size() && !sensitivity) {
    out.notes.push_back(
        fmt::format("{} of {} layers have no recorded input: their weight error "
                    "stands for their output's",
                    out.layers.size() - paired, out.layers.size()));
  }
  out.plan = make_plan(out.layers, options.budget);
  return out;
}

std::string as_recipe(const Options& options, const Planned& found) {
  const Plan& plan = found.plan;
  ordered_json json{{"lowbit", LOWBIT_VERSION},
                    {"recipe", 1},
                    {"files", options.files},
                    {"dialect", options.evaluator.chosen_dialect().name},
                    {"budget", options.budget},
                    {"bits_per_element", plan.bits_per_element()},
                    {"objective", !options.sensitivity.empty()             ? "sensitivity"
                                  : !options.evaluator.activations.empty() ? "output"
                                                                           : "weight"},
                    {"error", plan.error},
                    {"lower_bound", plan.lower_bound},
                    {"gap", plan.gap()},
                    {"notes", found.notes}};
  if (!options.reference.empty()) json["reference"] = options.reference;
  json["layers"] = ordered_json::array();
  for (std::size_t i = 0; i < found.layers.size(); ++i) {
    const PlanLayer& layer = found.layers[i];
    const PlanChoice& choice = layer.choices[plan.chosen[i]];
    ordered_json entry{{"name", layer.name},
                       {"format", choice.format},
                       {"elements", layer.elements},
                       {"bits", choice.bits},
                       {"error", choice.error}};
    if (!layer.group.empty()) entry["group"] = layer.group;
    entry["choices"] = ordered_json::array();
    for (const PlanChoice& each : layer.choices) {
      // A number that JSON lacks is null: the format cannot be chosen.
      entry["choices"].push_back({{"format", each.format},
                                  {"bits", each.bits},
                                  {"error", std::isfinite(each.error) ? ordered_json(each.error)
                                                                      : ordered_json(nullptr)}});
    }
    json["layers"].push_back(std::move(entry));
  }
  json["pareto"] = ordered_json::array();
  for (const PlanPoint& point : plan.pareto) {
    json["pareto"].push_back(
        {{"bits_per_element", point.bits_per_element}, {"error", point.error}});
  }
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

/// What was decided, in at most 40 lines.
std::string as_text(const Options& options, const Planned& found) {
  constexpr std::size_t most = 24;
  const Plan& plan = found.plan;
  std::string text = fmt::format(
      "{} layers, {} elements: {:.4f} bits per element of {:.4f} allowed\n"
      "sum of squared relative errors {:.6g}, at least {:.6g} for any plan (gap {:.3g})\n",
      found.layers.size(), plan.elements, plan.bits_per_element(), options.budget, plan.error,
      plan.lower_bound, plan.gap());
  for (std::size_t k = 0; k < options.formats.size() && k < 8; ++k) {
    std::size_t layers = 0;
    std::uint64_t elements = 0;
    for (std::size_t i = 0; i < found.layers.size(); ++i) {
      if (plan.chosen[i] != k) continue;
      ++layers;
      elements += found.layers[i].elements;
    }
    text += fmt::format("  {:<20}{:>6} layers {:>6.2f} % of the elements\n",
                        found.layers.front().choices[k].format, layers,
                        100.0 * static_cast<double>(elements) / static_cast<double>(plan.elements));
  }
  std::vector<std::size_t> order(found.layers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto choice_of = [&](std::size_t i) -> const PlanChoice& {
    return found.layers[i].choices[plan.chosen[i]];
  };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return choice_of(a).error > choice_of(b).error;
  });
  text += fmt::format("  {:<65}{:<20}{:>10}\n", "layers, the largest errors first", "", "error");
  for (std::size_t k = 0; k < std::min(most, order.size()); ++k) {
    const PlanChoice& choice = choice_of(order[k]);
    std::string name = printable(found.layers[order[k]].name);
    if (name.size() > 64) name = ".." + name.substr(name.size() - 62);
    text += fmt::format("  {:<65}{:<20}{:>10.3g}\n", name, choice.format, choice.error);
  }
  if (found.layers.size() > most) {
    text += fmt::format("  .. and {} more layers: -o writes all\n", found.layers.size() - most);
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(3, found.notes.size()); ++i) {
    text += "note: " + found.notes[i].substr(0, 94) + "\n";
  }
  return text;
}

/// The curve of plans, and each layer's choice.
std::string as_page(const Options& options, const Planned& found) {
  const Plan& plan = found.plan;
  html::Page page("A format for each layer",
                  fmt::format("{} bits per element allowed", options.budget));
  page.tiles({{fmt::format("{:.4f}", plan.bits_per_element()), "bits per element"},
              {fmt::format("{:.4g}", plan.error), "sum of squared relative errors"},
              {fmt::format("{:.4g}", plan.lower_bound), "at least, of any plan"},
              {fmt::format("{}", found.layers.size()), "layers"}});
  for (const std::string& note : found.notes) page.text("Note: " + note);
  html::Chart curve;
  curve.title = "Bits and error of plans";
  curve.x.label = "bits per element";
  curve.y.label = "sum of squared relative errors";
  curve.x.logarithmic = true;
  curve.y.logarithmic = true;
  curve.mark = html::Mark::line_points;
  curve.series = {{"plans without a budget, step by step", {}, false}, {"this plan", {}, false}};
  for (const PlanPoint& point : plan.pareto) {
    curve.series[0].points.push_back({point.bits_per_element, point.error, ""});
  }
  curve.series[1].points.push_back({plan.bits_per_element(), plan.error, "this plan"});
  html::BarChart share;
  share.title = "Elements by format";
  share.unit = "% of the elements";
  share.series = {{"share", {}}};
  html::HeatMap map;
  map.corner = "layer";
  map.by_column = true;
  map.text = [](double value) { return fmt::format("{:.3g}", value); };
  html::Table chosen{
      {{"layer", false}, {"format", false}, {"bits per element", true}, {"error", true}}, {}};
  for (std::size_t k = 0; k < options.formats.size(); ++k) {
    std::uint64_t elements = 0;
    for (std::size_t i = 0; i < found.layers.size(); ++i) {
      if (plan.chosen[i] == k) elements += found.layers[i].elements;
    }
    share.labels.push_back(found.layers.front().choices[k].format);
    share.series[0].values.push_back(100.0 * static_cast<double>(elements) /
                                     static_cast<double>(plan.elements));
    map.columns.push_back(found.layers.front().choices[k].format);
  }
  for (std::size_t i = 0; i < found.layers.size(); ++i) {
    const PlanLayer& layer = found.layers[i];
    const PlanChoice& choice = layer.choices[plan.chosen[i]];
    chosen.rows.push_back({layer.name, choice.format,
                           fmt::format("{:.2f}", static_cast<double>(choice.bits) /
                                                     static_cast<double>(layer.elements)),
                           fmt::format("{:.3g}", choice.error)});
    map.rows.push_back(layer.name);
    for (const PlanChoice& each : layer.choices) map.values.push_back(each.error);
  }
  page.beside({html::chart(curve), html::bar_chart(share)});
  page.section("Chosen").add(html::table(chosen));
  page.section("Errors of every layer and format").add(html::heat_map(map));
  return page.str();
}

void run(Options& options) {
  if (!(options.budget > 0.0) || !std::isfinite(options.budget)) {
    throw Error(ErrorKind::usage, "--budget: the bits per element are a positive number");
  }
  if (options.formats.empty()) {
    options.formats = options.reference.empty() ? default_formats : default_stored_formats;
  }
  std::optional<OutputFile> file;
  if (!options.output.empty() && options.output != "-") file.emplace(options.output);
  std::optional<OutputFile> page;
  if (!options.html.empty()) page.emplace(options.html);
  const Planned found = planned(options);
  const std::string recipe = as_recipe(options, found);
  if (file) {
    file->write(recipe);
    file->commit();
  }
  if (page) {
    page->write(as_page(options, found));
    page->commit();
  }
  fmt::print("{}", options.output == "-" ? recipe : as_text(options, found));
}

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("plan", "A format for each layer, under a budget of bits per element");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files
      .reads(command->add_option("FILE", options->files,
                                 "safetensors (or *.index.json, or a folder of them), .npy, .npz, "
                                 "GGUF, raw"))
      ->required();
  files
      .reads(command->add_option("--reference", options->reference,
                                 "FILE is a quantized checkpoint of this model: `stored` is what "
                                 "it holds, the other formats are of the original"))
      ->type_name("PATH");
  command->add_option("--budget", options->budget, "Average bits per element, scales included")
      ->type_name("BITS")
      ->required();
  command
      ->add_option("--format,--formats", options->formats,
                   "What a layer may get (repeatable, or with commas); keep: it stays as it is")
      ->type_name("F[:RULE]")
      ->delimiter(',')
      ->allow_extra_args(false);
  files.writes(command->add_option("-o,--output", options->output, "The recipe, - for stdout"))
      ->type_name("PATH");
  files.writes(command->add_option("--html", options->html, "A page with the curve of plans"))
      ->type_name("PATH");
  command
      ->add_option("--group", options->groups,
                   "Layers that are alike but for what this matches get one format (repeatable)")
      ->type_name("RE")
      ->allow_extra_args(false);
  files
      .reads(command->add_option("--sensitivity", options->sensitivity,
                                 "JSON: a number per layer and format instead of the error"))
      ->type_name("FILE");
  options->selection.add_to(*command);
  options->evaluator.add_to(*command, files);
  options->raw.add_to(*command);
  command->add_option("--progress", options->progress, "A bar on a terminal: auto or never")
      ->type_name("MODE")
      ->capture_default_str();
  add_quiet(*command);
  std::string defaults;
  for (const std::string& format : default_formats) defaults += " " + format;
  command->footer("Which tensors:\n" + std::string(selection_help()) +
                  "\nFormats where none is given:" + defaults + "\nwith --reference: stored keep");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
