// SPDX-License-Identifier: MIT
// lowbit quantize: tensors to codes and scale bytes (block_tensor_file.hpp says how they lie).
#include <fmt/format.h>

#include <memory>
#include <set>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/version.hpp"
#include "quantize_input.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string input;
  std::string output;
  std::string format;
  std::string rule;
  std::string dialect = "canonical";
  std::vector<std::string> tensors;
  RawOptions raw;
  NameFilter filter;
  bool block_2d = false;
  bool hadamard = false;
  bool transposed = false;
  int axis = -1;
  std::optional<float> amax;
  std::string scale_max;
  std::string scale_layout = "linear";
  std::string nonfinite = "error";
  bool stochastic = false;
  bool stochastic_unbiased = false;
  std::string random;
};

/// What all tensors share.
QuantizeOptions request_of(const Options& options) {
  QuantizeOptions request;
  request.dialect = &dialect_named(options.dialect);
  const FormatChoice choice = format_choice_named(options.format, options.rule, request.dialect);
  request.format = choice.format;
  request.rule = choice.rule.value_or(default_rule(*request.format, request.dialect));
  if (!options.scale_max.empty())
    request.scale_max = scale_max_named(options.scale_max, *request.format);
  request.amax = options.amax;
  request.block_2d = options.block_2d;
  if (options.hadamard) request.transforms = {hadamard()};
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

/// The tensors to quantize: the named ones, or else every float tensor that the filter accepts.
std::vector<const TensorInfo*> chosen_tensors(const TensorFile& file, const Options& options) {
  std::vector<const TensorInfo*> chosen;
  for (const std::string& name : options.tensors) {
    const TensorInfo& tensor = file.at(name);
    if (!tensor.dtype->is_float()) {
      throw Error(ErrorKind::usage,
                  fmt::format("{}: tensor \"{}\": {} elements are not numbers to quantize",
                              printable(options.input), printable(name), tensor.dtype->name));
    }
    chosen.push_back(&tensor);
  }
  if (!options.tensors.empty()) return chosen;
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.dtype->is_float() && options.filter.accepts(tensor.name)) chosen.push_back(&tensor);
  }
  if (chosen.empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no float tensor to quantize", printable(options.input)));
  }
  return chosen;
}

NamedBlockTensor quantize_one(const TensorInfo& tensor, const Options& options,
                              QuantizeOptions request) {
  const QuantizeInput input = quantize_input(tensor, options.axis, options.transposed);
  request.input_type = input_type_of(*tensor.dtype);
  NamedBlockTensor named;
  named.name = tensor.name;
  named.tensor = quantize(input.values, input.rows, input.columns, request);
  named.record = record_of(request);
  named.record.axis = options.axis;
  named.record.transposed = options.transposed;
  named.record.scale_layout = *find_scale_layout(options.scale_layout);
  named.record.shape = tensor.shape;
  named.record.dtype = tensor.dtype;
  return named;
}

void run(Options& options) {
  options.filter.compile();
  if (!find_scale_layout(options.scale_layout)) {
    throw Error(ErrorKind::usage, fmt::format("--scale-layout {}: neither linear nor swizzled",
                                              options.scale_layout));
  }
  QuantizeOptions request = request_of(options);
  const TensorFile file = TensorFile::open(options.input, options.raw.layout());
  const std::vector<const TensorInfo*> chosen = chosen_tensors(file, options);
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
  std::vector<NamedBlockTensor> quantized;
  for (const TensorInfo* tensor : chosen) {
    try {
      quantized.push_back(quantize_one(*tensor, options, request));
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
    const std::set<const TensorInfo*> quantized_ones(chosen.begin(), chosen.end());
    for (const TensorInfo& tensor : file.tensors()) {
      if (quantized_ones.contains(&tensor)) continue;
      if (tensor.dtype->name.starts_with("GGML_")) {
        fmt::print(stderr,
                   "lowbit: tensor \"{}\" of {} is left out: safetensors has no such dtype\n",
                   printable(tensor.name), tensor.dtype->name);
        continue;
      }
      others.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
    }
  }
  write_block_tensors(options.output, quantized, metadata, others);
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
      ->type_name("F[:RULE]")
      ->required();
  command
      ->add_option("--rule", options->rule,
                   "How scales are chosen; the format's default where absent")
      ->type_name("R");
  command->add_option("--dialect", options->dialect, "Whose arithmetic")
      ->type_name("D")
      ->capture_default_str();
  command
      ->add_option(
          "--tensor", options->tensors,
          "Only this tensor (repeatable); default: all float tensors, the others copied unchanged")
      ->type_name("NAME")
      ->allow_extra_args(false);
  options->filter.add_to(*command);
  command->add_flag("--block-2d", options->block_2d,
                    "One scale for each square block (16x16, MX 32x32)");
  command->add_flag("--rht", options->hadamard, "The 16-point random Hadamard transform first");
  command->add_flag("--transpose", options->transposed, "Quantize the transposed matrix");
  command->add_option("--axis", options->axis, "Dimension along which blocks run; -1 is the last")
      ->capture_default_str();
  command->add_option("--amax", options->amax, "The tensor's amax, instead of measuring it")
      ->type_name("V");
  command->add_option("--scale-max", options->scale_max, "Largest E4M3 scale: 448 or 256")
      ->type_name("M");
  command->add_option("--scale-layout", options->scale_layout, "linear or swizzled (128x4 tiles)")
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
  options->raw.add_to(*command);
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
