// SPDX-License-Identifier: MIT
// lowbit verify quantize: another program's codes and scale bytes against a dialect, byte for byte.
#include <fmt/format.h>

#include <memory>

#include "commands.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/compare_quantized.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/tensor_matrix.hpp"
#include "lowbit/weight_layout.hpp"
#include "quantize_input.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string input, dump, tensor, rule, dialect, scale_max, nonfinite, random;
  std::optional<float> amax;
};

/// The request that the dump's record describes, with what the user says instead.
QuantizeOptions request_of(const NamedBlockTensor& dump, const Options& options,
                           const RandomNumbers& random) {
  QuantizeOptions request = request_of(dump.record, dump.tensor.amax);
  if (!options.rule.empty()) request.rule = scale_rule_named(options.rule, *request.format);
  if (!options.dialect.empty()) request.dialect = &dialect_named(options.dialect);
  if (!request.rule) request.rule = default_rule(*request.format);
  if (!options.scale_max.empty())
    request.scale_max = scale_max_named(options.scale_max, *request.format);
  if (options.amax) request.amax = options.amax;
  if (!options.nonfinite.empty()) request.nonfinite = nonfinite_named(options.nonfinite);
  const bool stochastic = request.rounding != ElementRounding::nearest;
  if (stochastic == options.random.empty()) {
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: tensor \"{}\" was rounded {}", printable(options.dump),
                    printable(dump.name),
                    stochastic ? "stochastically; give the random numbers with --random FILE"
                               : "to nearest; leave --random out"));
  }
  request.random0 = random.first;
  request.random1 = random.second;
  return request;
}

/// Compares one tensor; true where every byte is the same.
bool verify_one(const NamedBlockTensor& dump, const TensorInfo& tensor, const Options& options,
                const RandomNumbers& random) {
  QuantizeOptions request = request_of(dump, options, random);
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  AxisView view;
  try {
    view = recorded_view(shape, dump.record.weight_layout, dump.record.axis);
  } catch (const Error& error) {
    throw Error(ErrorKind::invalid_input, error.what());
  }
  const TensorMatrix input = matrix_of(tensor, view, dump.record.transposed);
  request.input_type = input_type_of(*tensor.dtype);
  if (dump.tensor.rows != input.rows || dump.tensor.columns != input.columns) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: tensor \"{}\" is {}x{}, the dump's {}x{}",
                            printable(options.input), printable(dump.name), input.rows,
                            input.columns, dump.tensor.rows, dump.tensor.columns));
  }
  const BlockTensor want = quantize(input.values, input.rows, input.columns, request);
  const QuantizedDifference difference = compare_quantized(want, dump.tensor);
  fmt::print("{}\n",
             difference_text(difference, dump.name, want, dump.tensor, input.values, request));
  return difference.equal();
}

void run(const Options& options) {
  const TensorFile source = TensorFile::open(options.input);
  const TensorFile dump = TensorFile::open(options.dump);
  std::vector<std::string> names = block_tensor_names(dump);
  if (!options.tensor.empty()) names = {options.tensor};
  if (names.empty()) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: holds no block-quantized tensor (NAME.values and a metadata entry "
                            "NAME.format)",
                            printable(options.dump)));
  }
  RandomNumbers random;
  if (!options.random.empty()) random = random_numbers(options.random);
  bool same = true;
  for (const std::string& name : names) {
    const NamedBlockTensor tensor = read_block_tensor(dump, options.dump, name);
    same = verify_one(tensor, source.at(name), options, random) && same;
  }
  if (!same) throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
}

}  // namespace

void add_verify_quantize(CLI::App& verify) {
  CLI::App* command = verify.add_subcommand(
      "quantize",
      "Codes and scale bytes of a dump against a dialect, byte for byte; exit 1 where "
      "they differ, with the first block's decisions");
  const auto options = std::make_shared<Options>();
  command->add_option("IN", options->input, "The tensors before quantization")->required();
  command
      ->add_option("DUMP", options->dump,
                   "A safetensors file laid out as `lowbit quantize` writes it (docs/files.md); "
                   "what it does not record has its default")
      ->required();
  command->add_option("--tensor", options->tensor, "One tensor; every quantized one by default");
  command->add_option("--rule", options->rule, "Instead of the dump's NAME.rule");
  command->add_option("--dialect", options->dialect, "Instead of the dump's NAME.dialect");
  command->add_option("--scale-max", options->scale_max, "Instead of the dump's NAME.scale_max")
      ->type_name("M");
  command->add_option("--amax", options->amax, "The tensor's amax, where it was not measured")
      ->type_name("V");
  command->add_option("--nonfinite", options->nonfinite, "Instead of the dump's NAME.nonfinite");
  command
      ->add_option("--random", options->random,
                   "Tensors rand0, rand1, where the dump was rounded stochastically")
      ->type_name("FILE");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
