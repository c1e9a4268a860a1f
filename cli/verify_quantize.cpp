// SPDX-License-Identifier: MIT
// lowbit verify quantize: another program's codes and scale bytes against a dialect, byte for byte.
#include <fmt/format.h>

#include <bit>
#include <memory>

#include "commands.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/block_trace.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/printable.hpp"
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
  if (!options.rule.empty()) request.rule = rule_named(options.rule, *request.format);
  if (!options.dialect.empty()) request.dialect = &dialect_named(options.dialect);
  if (!request.rule) request.rule = default_rule(*request.format);
  if (!options.scale_max.empty()) request.scale_max = scale_max_named(options.scale_max, *request.format);
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

const char* choice_name(BlockChoice choice) {
  switch (choice) {
    case BlockChoice::only:
      return "the only one";
    case BlockChoice::six:
      return "6";
    case BlockChoice::four:
      return "4";
    case BlockChoice::floating:
      return "float";
    case BlockChoice::integer:
      return "integer";
  }
  return "";
}

/// One block's decisions, so that a difference can be placed: scale, choice, or element rounding.
void explain(const QuantizeInput& input, const QuantizeOptions& request, const BlockTensor& dump,
             std::size_t row, std::size_t block) {
  const BlockTrace trace =
      trace_block(input.values, input.rows, input.columns, request, row, block);
  fmt::print("  first difference: row {}, block {}\n", row, block);
  fmt::print("  amax {:a}, encode scale {:a}, block amax {:a}\n", trace.tensor_amax,
             trace.encode_scale, trace.block_amax);
  for (const CandidateTrace& candidate : trace.candidates) {
    fmt::print("  candidate {}: scale before rounding {:a}, byte 0x{:02x}, error {:a}{}\n",
               choice_name(candidate.kind), candidate.h, candidate.scale_byte, candidate.error,
               &candidate == &trace.candidates[trace.chosen] ? ", chosen" : "");
  }
  // A propagated block has no candidates: its codes are 0.
  const CandidateTrace* chosen = nullptr;
  if (trace.propagated) {
    fmt::print(
        "  the block holds NaN or infinity: its scale byte is the NaN of {}, its codes are 0\n",
        dump.format->scale->name);
  } else {
    chosen = &trace.candidates[trace.chosen];
  }
  const unsigned stored = dump.scale(row, block);
  fmt::print("  scale byte 0x{:02x}, the dump has 0x{:02x}\n", trace.scale_byte, stored);
  const auto size = static_cast<std::size_t>(dump.format->block_size);
  // A square block's trace holds all its rows; the row in question is found by its place in it.
  const std::size_t first = request.block_2d ? row % size * size : 0;
  for (std::size_t i = 0; i < size && block * size + i < dump.columns; ++i) {
    const unsigned want = chosen != nullptr ? chosen->codes[first + i] : 0U;
    const unsigned got = dump.code(row, block * size + i);
    if (want == got) continue;
    fmt::print("  column {}: x {:a},{} code 0x{:x}, the dump has 0x{:x}\n", block * size + i,
               trace.elements[first + i],
               chosen != nullptr ? fmt::format(" scaled {:a},", chosen->scaled[first + i]) : "",
               want, got);
    break;
  }
}

/// Compares one tensor; true where every byte is the same.
bool verify_one(const NamedBlockTensor& dump, const TensorInfo& tensor, const Options& options,
                const RandomNumbers& random) {
  QuantizeOptions request = request_of(dump, options, random);
  const QuantizeInput input = quantize_input(tensor, dump.record.axis, dump.record.transposed);
  request.input_type = input_type_of(*tensor.dtype);
  if (dump.tensor.rows != input.rows || dump.tensor.columns != input.columns) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: tensor \"{}\" is {}x{}, the dump's {}x{}",
                            printable(options.input), printable(dump.name), input.rows,
                            input.columns, dump.tensor.rows, dump.tensor.columns));
  }
  const BlockTensor want = quantize(input.values, input.rows, input.columns, request);
  const std::size_t blocks = want.blocks_per_row();
  const auto size = static_cast<std::size_t>(want.format->block_size);
  std::size_t different = 0, scales = 0, codes = 0;
  std::size_t first_row = 0, first_block = 0;
  for (std::size_t row = 0; row < want.rows; ++row) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const bool scale_differs = want.scale(row, block) != dump.tensor.scale(row, block);
      std::size_t code_differences = 0;
      for (std::size_t c = block * size; c < std::min((block + 1) * size, want.columns); ++c) {
        code_differences += want.code(row, c) != dump.tensor.code(row, c);
      }
      if (!scale_differs && code_differences == 0) continue;
      if (different++ == 0) {
        first_row = row;
        first_block = block;
      }
      scales += scale_differs;
      codes += code_differences;
    }
  }
  const bool amax_differs =
      std::bit_cast<std::uint32_t>(want.amax) != std::bit_cast<std::uint32_t>(dump.tensor.amax);
  fmt::print("{}: {} {} {}: {} of {} blocks differ, {} scale bytes, {} codes{}\n",
             printable(dump.name), want.format->name, name_of(*request.rule), request.dialect->name,
             different, want.rows * blocks, scales, codes,
             amax_differs
                 ? fmt::format("; amax {:a}, the dump has {:a}", want.amax, dump.tensor.amax)
                 : "");
  if (different != 0) explain(input, request, dump.tensor, first_row, first_block);
  return different == 0 && !amax_differs;
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
