// SPDX-License-Identifier: MIT
// lowbit explain: one block's quantization step by step, in one dialect or two.
#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/explain.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/tensor_matrix.hpp"
#include "lowbit/weight_layout.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string input, tensor, block, dump;
  std::string format = "nvfp4";
  std::string nonfinite = "error";
  std::vector<std::string> dialects;
  std::optional<float> amax;
  bool block_2d = false;
  bool json = false;
};

/// "R,B".
std::pair<std::size_t, std::size_t> place_of(const std::string& text) {
  std::size_t place[2] = {0, 0};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int i = 0; i < 2; ++i) {
    const auto [stop, failure] = std::from_chars(at, end, place[i]);
    const bool whole = i == 0 ? stop != end && *stop == ',' : stop == end;
    if (failure != std::errc{} || !whole) {
      throw Error(ErrorKind::usage,
                  fmt::format("--block '{}' is not ROW,BLOCK, as in 3,7", printable(text)));
    }
    at = stop + 1;
  }
  return {place[0], place[1]};
}

void run(const Options& o) {
  const auto [row, block] = place_of(o.block);
  if (o.dialects.size() > 2) throw Error(ErrorKind::usage, "--dialect is given at most twice");
  const TensorFile file = TensorFile::open(o.input);
  if (o.tensor.empty() && file.tensors().size() != 1) {
    throw Error(ErrorKind::usage, fmt::format("{}: {} tensors in it; name one with --tensor",
                                              printable(o.input), file.tensors().size()));
  }
  const TensorInfo& tensor = o.tensor.empty() ? file.tensors()[0] : file.at(o.tensor);
  std::optional<NamedBlockTensor> dump;
  if (!o.dump.empty()) dump = read_block_tensor(o.dump, o.tensor);
  QuantizeOptions requests[2];
  for (std::size_t i = 0; i < 2; ++i) {
    QuantizeOptions& r = requests[i];
    r.dialect = o.dialects.size() > i ? &dialect_named(o.dialects[i]) : find_dialect("canonical");
    const FormatChoice choice = format_choice_named(o.format, {}, r.dialect);
    r.format = choice.format;
    r.rule = choice.rule;
    r.amax = o.amax;
    r.block_2d = o.block_2d;
    r.nonfinite = nonfinite_named(o.nonfinite);
    r.input_type = input_type_of(*tensor.dtype);
  }
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  const AxisView view = dump ? recorded_view(shape, dump->record.weight_layout, dump->record.axis)
                             : recorded_view(shape, "last", -1);
  const TensorMatrix matrix = matrix_of(tensor, view, dump && dump->record.transposed);
  const Explanation e = explain_block(matrix.values, matrix.rows, matrix.columns, requests[0],
                                      o.dialects.size() == 2 ? &requests[1] : nullptr, row, block,
                                      dump ? &dump->tensor : nullptr);
  fmt::print("{}", o.json ? as_json(e) : as_text(e));
}

}  // namespace

void add_explain(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "explain",
      "One block's quantization step by step, in one dialect or in two beside each other");
  const auto o = std::make_shared<Options>();
  FileArguments files(*command);
  files.reads(command->add_option("IN", o->input, "The file that holds the tensor"))->required();
  command->add_option("--tensor", o->tensor, "The tensor, where the file has several");
  command->add_option("--block", o->block, "Row, and index of the block along the row")
      ->type_name("R,B")
      ->required();
  command->add_option("--format", o->format, "Block format and rule")
      ->type_name("F[:RULE]")
      ->capture_default_str();
  command
      ->add_option("--dialect", o->dialects,
                   "Whose arithmetic, NAME[+axis=value]; given twice: the two beside each other")
      ->type_name("D")
      ->allow_extra_args(false);
  files.reads(command->add_option("--dump", o->dump, "A quantized file to show beside them"));
  command->add_option("--amax", o->amax, "The tensor's amax, where it is not to be measured")
      ->type_name("V");
  command->add_flag("--block-2d", o->block_2d, "Square blocks");
  command->add_option("--nonfinite", o->nonfinite, "error, saturate or propagate")
      ->capture_default_str();
  command->add_flag("--json", o->json, "As JSON");
  command->footer("docs/verify_quantize.md explains the steps and margins.");
  command->callback([o] { run(*o); });
}

}  // namespace lowbit::cli
