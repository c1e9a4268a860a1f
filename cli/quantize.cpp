// SPDX-License-Identifier: MIT
// lowbit quantize: tensors to codes and scale bytes (block_tensor_file.hpp says how they lie).
#include <fmt/format.h>

#include <memory>
#include <set>

#include "activations.hpp"
#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/stream_files.hpp"
#include "lowbit/tensor_matrix.hpp"
#include "lowbit/version.hpp"
#include "processes.hpp"
#include "progress.hpp"
#include "quantize_input.hpp"
#include "recipe.hpp"
#include "remedied_file.hpp"
#include "selection_options.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string input;
  std::string output;
  std::string format;
  std::string rule;
  std::string recipe;
  std::string importance;
  std::string transform;
  std::string activations;
  std::string activation_map;
  std::string dialect = "canonical";
  std::vector<std::string> axes;
  std::vector<std::string> tensors;
  RawOptions raw;
  SelectionOptions selection;
  bool block_2d = false;
  bool hadamard = false;
  bool transposed = false;
  std::optional<float> amax;
  std::string scale_max;
  std::string scale_layout = "linear";
  std::string nonfinite = "error";
  unsigned threads = 0;
  bool stochastic = false;
  bool stochastic_unbiased = false;
  std::string random;
};

/// The format, rule, radius and largest scale of a request.
void apply(const FormatSpec& spec, const Options& options, QuantizeOptions& request) {
  request.format = spec.format;
  request.rule = spec.rule;
  request.search_radius = spec.search_radius;
  request.scale_max.reset();
  if (options.scale_max.empty()) return;
  // A recipe's MX formats have no such scale; of one format that was asked for it is an error.
  if (!options.recipe.empty() && spec.format->family() != ScaleFamily::nv) return;
  request.scale_max = scale_max_named(options.scale_max, *spec.format);
}

/// What all tensors share.
QuantizeOptions request_of(const Options& options) {
  QuantizeOptions request;
  request.dialect = &dialect_named(dialect_with(options.dialect, options.axes));
  if (options.recipe.empty()) {
    const FormatSpec spec = format_spec_named(options.format, *request.dialect, options.rule);
    require_block_format(spec);
    apply(spec, options, request);
  }
  request.amax = options.amax;
  request.block_2d = options.block_2d;
  if (options.hadamard) request.transforms = {hadamard()};
  if (!options.transform.empty()) request.transforms = Remedies::parse(options.transform).fixed();
  request.nonfinite = nonfinite_named(options.nonfinite);
  if (options.stochastic) request.rounding = ElementRounding::stochastic;
  if (options.stochastic_unbiased) request.rounding = ElementRounding::stochastic_unbiased;
  const bool random_needed = request.rounding != ElementRounding::nearest;
  if (random_needed && options.random.empty()) {
    throw Error(ErrorKind::usage,
                "stochastic rounding needs --random FILE with tensors rand0, rand1");
  }
  if (!random_needed && !options.random.empty()) {
    throw Error(ErrorKind::usage, "--random is for --stochastic and --stochastic-unbiased");
  }
  return request;
}

/// The tensors to quantize: those named, else those of the recipe, else the weights of the file.
/// \param notes  lines for people about what was taken
std::vector<SelectedTensor> chosen_tensors(const TensorFile& file, const Options& options,
                                           const std::optional<Recipe>& recipe,
                                           std::vector<std::string>& notes) {
  const SelectionRules rules = options.selection.rules();
  std::vector<SelectedTensor> chosen;
  for (const std::string& name : options.tensors) {
    const TensorInfo& tensor = file.at(name);
    if (!tensor.dtype->is_float()) {
      throw Error(ErrorKind::usage,
                  fmt::format("{}: tensor \"{}\": {} elements are not numbers to quantize",
                              printable(options.input), printable(name), tensor.dtype->name));
    }
    chosen.push_back(selected(tensor, file.metadata(), rules));
  }
  if (!options.tensors.empty()) return chosen;
  if (recipe) {
    for (const auto& [name, spec] : recipe->layers()) {
      const TensorInfo& tensor = file.at(name);
      if (spec.keeps()) continue;
      if (spec.codec != nullptr) {
        throw Error(ErrorKind::usage,
                    fmt::format("{}: {} of \"{}\" is a reference codec, which is evaluated and not "
                                "written; plan with block formats",
                                printable(options.recipe), spec.label(), printable(name)));
      }
      chosen.push_back(selected(tensor, file.metadata(), rules));
    }
    return chosen;
  }
  refuse_quantized(file, options.input, rules);
  const std::vector<std::string> paths{options.input};
  Selection selection = select_tensors({&file, 1}, paths, rules);
  if (selection.taken.empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no float tensor to quantize", printable(options.input)));
  }
  notes = selection.notes;
  for (const std::string& warning : padding_warnings(
           selection,
           block_format_named(options.format.substr(0, options.format.find(':'))).block_size)) {
    notes.push_back(warning);
  }
  return std::move(selection.taken);
}

TensorToQuantize to_quantize(const SelectedTensor& entry, const Options& options,
                             const QuantizeOptions& request) {
  const TensorInfo& tensor = *entry.tensor;
  TensorToQuantize t{tensor.name, {&tensor, entry.view, options.transposed}, request, {}, {}};
  t.request.input_type = input_type_of(*tensor.dtype);
  t.record = record_of(t.request);
  if (options.selection.axis()) {
    t.record.axis = *options.selection.axis();
  } else {
    t.record.weight_layout = name_of(entry.layout);
  }
  t.record.transposed = options.transposed;
  t.record.scale_layout = *find_scale_layout(options.scale_layout);
  t.record.shape = tensor.shape;
  t.record.dtype = tensor.dtype;
  return t;
}

/// The inputs that remedies learn from. \throws Error(usage) for options that do not go together.
std::optional<RecordedInputs> remedy_inputs(const Options& options) {
  if (options.transform.empty()) {
    if (!options.activations.empty() || !options.activation_map.empty()) {
      throw Error(ErrorKind::usage, "--activations is what --transform learns from: name remedies");
    }
    return std::nullopt;
  }
  const Remedies remedies = Remedies::parse(options.transform);
  const std::string list = printable(options.transform);
  if (options.hadamard) {
    throw Error(ErrorKind::usage,
                fmt::format("--transform {} and --rht: name hadamard in the list", list));
  }
  if (remedies.fixed().empty() && (options.block_2d || options.transposed || options.stochastic ||
                                   options.stochastic_unbiased)) {
    throw Error(ErrorKind::usage,
                fmt::format("--transform {} takes rows of the weight to nearest: no --block-2d, "
                            "--transpose, --stochastic or --stochastic-unbiased",
                            list));
  }
  if (remedies.fixed().empty() && processes().size() != 1) {
    throw Error(
        ErrorKind::usage,
        fmt::format("--transform {} is not split among processes: run it without mpirun", list));
  }
  if (options.activations.empty()) {
    if (!remedies.needs_inputs()) return std::nullopt;
    throw Error(ErrorKind::usage,
                fmt::format("--transform {} learns from inputs: give --activations", list));
  }
  return std::optional<RecordedInputs>(std::in_place, options.activations, options.activation_map,
                                       ".input");
}

/// One line of what remedies add to the layers.
void note_cost(const std::string& transform, const TransformCost& cost,
               const std::vector<SelectedTensor>& chosen) {
  std::uint64_t elements = 0;
  for (const SelectedTensor& entry : chosen) elements += entry.tensor->elements();
  note(fmt::format(
      "{} adds {:.4f} bits per element and {:.6g} multiply-adds per token to {} tensors",
      printable(transform), cost.bits / static_cast<double>(elements), cost.multiply_adds,
      chosen.size()));
}

void run(Options& options) {
  if (!find_scale_layout(options.scale_layout)) {
    std::string known;
    for (const ScaleLayout layout : scale_layouts()) {
      known += fmt::format("{}{}", known.empty() ? "" : ", ", name_of(layout));
    }
    throw Error(ErrorKind::usage,
                fmt::format("--scale-layout {}: not one of {}", options.scale_layout, known));
  }
  if (options.format.empty() == options.recipe.empty()) {
    throw Error(ErrorKind::usage, "either --format or --recipe says what the tensors become");
  }
  if (!options.recipe.empty() && (!options.tensors.empty() || !options.rule.empty())) {
    throw Error(ErrorKind::usage,
                "--recipe names tensors and rules itself: no --tensor, no --rule");
  }
  const std::optional<RecordedInputs> inputs = remedy_inputs(options);
  QuantizeOptions request = request_of(options);
  std::optional<Recipe> recipe;
  if (!options.recipe.empty()) recipe = Recipe::read(options.recipe, *request.dialect);
  std::optional<RecordedInputs> importance;
  if (!options.importance.empty()) importance.emplace(options.importance, "", ".importance");
  const TensorFile file = TensorFile::open(options.input, options.raw.layout());
  std::vector<std::string> notes;
  const std::vector<SelectedTensor> chosen = chosen_tensors(file, options, recipe, notes);
  RandomNumbers random;
  if (!options.random.empty()) {
    if (chosen.size() != 1) {
      throw Error(ErrorKind::usage, fmt::format("--random holds the numbers of one tensor; {} are "
                                                "to be quantized: name one with --tensor",
                                                chosen.size()));
    }
    random = random_numbers(options.random);
    request.random0 = random.first;
    request.random1 = random.second;
  }
  std::vector<TensorToQuantize> wanted;
  for (const SelectedTensor& entry : chosen) {
    const TensorInfo* const tensor = entry.tensor;
    try {
      if (recipe) apply(recipe->find(tensor->name), options, request);
      wanted.push_back(to_quantize(entry, options, request));
      if (importance && (!recipe || searches(*request.rule))) {
        wanted.back().importance = column_importance(*importance, tensor->name, entry.view.length);
        wanted.back().record.importance_given = true;
      }
    } catch (const Error& error) {
      throw Error(error.kind(),
                  fmt::format("{}: tensor \"{}\", byte {}: {}", printable(tensor->file),
                              printable(tensor->name), tensor->offset, error.what()));
    }
  }
  // Where no tensor is named, those that are not quantized are copied unchanged.
  std::vector<OutputTensor> others;
  std::map<std::string, std::string> metadata{{"lowbit.version", LOWBIT_VERSION}};
  if (options.tensors.empty()) {
    std::set<const TensorInfo*> quantized_ones;
    for (const SelectedTensor& entry : chosen) quantized_ones.insert(entry.tensor);
    for (const TensorInfo& tensor : file.tensors()) {
      if (quantized_ones.contains(&tensor)) continue;
      if (tensor.dtype->name.starts_with("GGML_")) {
        note(fmt::format("tensor \"{}\" of {} is left out: safetensors has no such dtype",
                         printable(tensor.name), tensor.dtype->name));
        continue;
      }
      others.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
    }
  }
  const Remedies remedies = Remedies::parse(options.transform);
  TransformCost cost;
  if (remedies.empty() || !remedies.fixed().empty()) {
    quantize_to_file(options.output, wanted, metadata, others, options.threads, processes());
    for (const SelectedTensor& entry : chosen) {
      for (const auto& transform : request.transforms) {
        const TransformCost added = transform->cost(entry.view.rows(), entry.view.length);
        cost.bits += added.bits;
        cost.multiply_adds += added.multiply_adds;
      }
    }
  } else {
    cost = write_remedied(options.output, remedies, chosen, wanted, inputs ? &*inputs : nullptr,
                          metadata, others);
  }
  if (!remedies.empty()) note_cost(options.transform, cost, chosen);
  for (const std::string& text : notes) note(text);
}

}  // namespace

void add_quantize(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("quantize", "Tensors to block formats: codes and scale bytes");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files
      .reads(command->add_option("IN", options->input,
                                 "safetensors (or *.index.json), .npy, .npz, GGUF, raw"))
      ->required();
  files.writes(command->add_option("-o,--output", options->output, "A safetensors file"))
      ->type_name("OUT")
      ->required();
  command->add_option("--format", options->format, "The block format; `lowbit formats` lists them")
      ->type_name("F[:RULE]");
  files
      .reads(
          command->add_option("--recipe", options->recipe, "Each tensor's own format, of a plan"))
      ->type_name("FILE");
  files
      .reads(command->add_option("--importance", options->importance,
                                 "Weights of columns for the rules optimal and search: "
                                 "NAME.importance, or NAME.input for its second moments"))
      ->type_name("FILE");
  command
      ->add_option("--rule", options->rule,
                   "How scales are chosen; the format's default where absent")
      ->type_name("R");
  command->add_option("--dialect", options->dialect, "Whose arithmetic")
      ->type_name("D")
      ->capture_default_str();
  add_axes_option(*command, options->axes);
  command
      ->add_option("--tensor", options->tensors,
                   "Only this tensor (repeatable); else the weights, the others kept as they are")
      ->type_name("NAME")
      ->allow_extra_args(false);
  options->selection.add_to(*command);
  command
      ->add_option("--transform", options->transform,
                   "Remedies before and while weights are quantized, with commas between; the file "
                   "says what its layers need")
      ->type_name("LIST");
  files
      .reads(command->add_option("--activations", options->activations,
                                 "What remedies learn from: NAME.input for NAME.weight"))
      ->type_name("FILE");
  files
      .reads(command->add_option("--activation-map", options->activation_map,
                                 "JSON object of weight names and input names"))
      ->type_name("FILE");
  command->add_flag("--block-2d", options->block_2d,
                    "One scale for each square block (16x16, MX 32x32)");
  command->add_flag("--rht", options->hadamard, "The 16-point random Hadamard transform first");
  command->add_flag("--transpose", options->transposed, "Quantize the transposed matrix");
  command->add_option("--amax", options->amax, "The tensor's amax, instead of measuring it")
      ->type_name("V");
  command->add_option("--scale-max", options->scale_max, scale_max_help)->type_name("M");
  command
      ->add_option(
          "--scale-layout", options->scale_layout,
          "Order of scale bytes: linear, swizzled (128x4 tiles), 8x4, transposed, padded or "
          "padded_transposed")
      ->type_name("LAYOUT")
      ->capture_default_str();
  command
      ->add_option("--nonfinite", options->nonfinite,
                   "NaN and infinities: error, propagate or saturate")
      ->type_name("POLICY")
      ->capture_default_str();
  CLI::Option* stochastic =
      command->add_flag("--stochastic", options->stochastic, "Stochastic rounding of elements");
  command
      ->add_flag("--stochastic-unbiased", options->stochastic_unbiased, "The same with range 16/17")
      ->excludes(stochastic);
  files
      .reads(command->add_option("--random", options->random,
                                 "Tensors rand0, rand1: numbers in [0, 1), one per element"))
      ->type_name("FILE");
  command
      ->add_option("--threads", options->threads,
                   "Threads, 0: one per core; the file does not depend on it")
      ->capture_default_str();
  options->raw.add_to(*command);
  add_quiet(*command);
  command->footer("Which tensors:\n" + std::string(selection_help()) +
                  "\nRemedies for --transform:\n" + std::string(remedy_help()));
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
