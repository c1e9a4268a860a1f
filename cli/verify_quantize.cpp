// SPDX-License-Identifier: MIT
// lowbit verify quantize: another program's codes and scale bytes against a dialect, byte for byte.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "commands.hpp"
#include "faults.hpp"
#include "file_arguments.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/dump_file.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/tensor_matrix.hpp"
#include "lowbit/verify_checkpoint.hpp"
#include "lowbit/weight_layout.hpp"
#include "processes.hpp"
#include "quantize_input.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string input, dump, tensor, format, rule, dialect, layout, weight_layout, scale_max,
      nonfinite, random, json;
  std::vector<std::string> axes;
  DumpNames names;
  std::optional<float> amax;
};

bool is_auto(const std::string& text) {
  return text == "auto";
}

/// Options in place of what the metadata declare; `auto` searches beside it.
void apply(const Options& o, const std::string& name, VerifyRequest& request) {
  QuantizeOptions& declared = request.declared;
  request.axes = o.axes;
  request.ranks = &processes();
  request.search_dialect = is_auto(o.dialect);
  if (!o.dialect.empty() && !is_auto(o.dialect)) declared.dialect = &dialect_named(o.dialect);
  request.search_format = is_auto(o.format);
  if (!o.format.empty() && !is_auto(o.format)) {
    const FormatChoice choice = format_choice_named(o.format, {}, declared.dialect);
    declared.format = choice.format;
    if (choice.rule) declared.rule = choice.rule;
  }
  request.search_rule = is_auto(o.rule);
  if (!o.rule.empty() && !is_auto(o.rule)) {
    if (declared.format == nullptr) {
      throw Error(ErrorKind::usage, "--rule needs --format, because rules belong to formats");
    }
    declared.rule = scale_rule_named(o.rule, *declared.format, declared.dialect);
  }
  if (!o.scale_max.empty()) {
    if (declared.format == nullptr) {
      throw Error(ErrorKind::usage, "--scale-max needs --format, because M belongs to formats");
    }
    declared.scale_max = scale_max_named(o.scale_max, *declared.format);
  }
  request.search_layout = is_auto(o.layout);
  if (!o.layout.empty() && !is_auto(o.layout)) {
    // Words that say nothing of the tensor scale leave it open, where the file says nothing either.
    if (says_tensor_scale(o.layout)) request.tensor_scale_declared = true;
    request.layout = parse_layout(o.layout, request.layout.value_or(Layout{}));
  }
  if (o.amax) declared.amax = o.amax;
  if (!o.nonfinite.empty()) declared.nonfinite = nonfinite_named(o.nonfinite);
  const bool stochastic = declared.rounding != ElementRounding::nearest;
  if (stochastic == o.random.empty()) {
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: tensor \"{}\" was rounded {}", printable(o.dump), printable(name),
                    stochastic ? "stochastically; give the random numbers with --random FILE"
                               : "to nearest; leave --random out"));
  }
}

Verification verify_one(const TensorFile& file, const TensorFile& source, const std::string& name,
                        const Options& o, const RandomNumbers& random) {
  DeclaredDump dump = read_dump(file, o.dump, name, o.names);
  VerifyRequest request = dump.request;
  apply(o, name, request);
  request.declared.random0 = random.first;
  request.declared.random1 = random.second;
  const TensorInfo& tensor = source.at(name);
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  AxisView view;
  try {
    view =
        recorded_view(shape, o.weight_layout.empty() ? dump.record.weight_layout : o.weight_layout,
                      dump.record.axis);
  } catch (const Error& error) {
    throw Error(o.weight_layout.empty() ? ErrorKind::invalid_input : error.kind(), error.what());
  }
  const StoredMatrix input{&tensor, view, dump.record.transposed};
  request.declared.input_type = input_type_of(*tensor.dtype);
  const std::size_t rows = dump.rows.value_or(input.rows());
  const std::size_t columns = dump.columns.value_or(input.columns());
  if (rows != input.rows() || columns != input.columns()) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: tensor \"{}\" is {}x{}, the dump's {}x{}", printable(o.input),
                            printable(name), input.rows(), input.columns(), rows, columns));
  }
  try {
    return verify_quantized(input, dump.dump, request);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid_input) throw;
    throw Error(error.kind(), fmt::format("{}: tensor \"{}\": {}", printable(o.dump),
                                          printable(name), error.what()));
  }
}

/// The tensors to compare: those that the dump names, or the source's only one where parts are
/// named.
std::vector<std::string> names_to_compare(const Options& o, const TensorFile& source,
                                          const TensorFile& dump) {
  if (!o.tensor.empty()) return {o.tensor};
  if (!o.names.values.empty()) {
    if (source.tensors().size() == 1) return {source.tensors()[0].name};
    throw Error(ErrorKind::usage,
                fmt::format("{}: {} tensors in it; name the one that was quantized with --tensor",
                            printable(o.input), source.tensors().size()));
  }
  std::vector<std::string> names;
  for (const TensorInfo& tensor : dump.tensors()) {
    constexpr std::string_view suffix = ".values";
    if (!tensor.name.ends_with(suffix)) continue;
    names.push_back(tensor.name.substr(0, tensor.name.size() - suffix.size()));
  }
  if (names.empty()) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: holds no tensor NAME.values; name the parts of a dump with "
                            "--values, --scales and --tensor-scale, and the tensor that was "
                            "quantized with --tensor",
                            printable(o.dump)));
  }
  return names;
}

/// Whether the dump is a checkpoint of another convention, and no parts of it are named.
bool is_checkpoint(const Options& o, const Checkpoint& checkpoint) {
  if (!o.names.values.empty() || !o.names.scales.empty() || !o.names.tensor_scale.empty()) {
    return false;
  }
  const auto is_other = [](const QuantizedTensor& t) { return t.convention->name != "lowbit"; };
  // A file of `lowbit quantize` whose entries contradict its record is compared as a dump.
  const auto is_own = [](const CheckpointFault& fault) { return fault.kind == "entries"; };
  const auto all = checkpoint.quantized();
  const auto faults = checkpoint.faults();
  return std::any_of(all.begin(), all.end(), is_other) ||
         (all.empty() && !faults.empty() && std::none_of(faults.begin(), faults.end(), is_own));
}

/// Opens the file of --json in the first process, before the work, so that a bad name costs none of
/// it.
void open_report(const Options& o, std::optional<OutputFile>& report) {
  if (!o.json.empty() && o.json != "-" && is_first_process()) report.emplace(o.json);
}

/// Every weight of a checkpoint with its original.
void run_checkpoint(const Options& o, const Checkpoint& checkpoint) {
  if (!o.weight_layout.empty() || !o.random.empty() || !o.nonfinite.empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: a checkpoint of another convention; --weight-layout, --random and "
                            "--nonfinite are for dumps of one tensor",
                            printable(o.dump)));
  }
  const bool has_faults = print_faults(checkpoint);
  const Checkpoint original = Checkpoint::open(o.input);
  std::optional<OutputFile> report;
  open_report(o, report);
  CheckpointVerifyOptions options;
  bool any = false;
  options.accepts = [&](const std::string& name) {
    const bool accepted = o.tensor.empty() || name == o.tensor;
    any = any || accepted;
    return accepted;
  };
  options.adjust = [&](VerifyRequest& request) { apply(o, o.tensor, request); };
  options.done = [&](const Verification& v) {
    if (o.json == "-") return;
    fmt::print("{}{}", headline(v), causes_text(v));
    std::fflush(stdout);
  };
  const CheckpointVerification found = verify_checkpoint(checkpoint, original, options);
  if (!any && !has_faults) {
    throw Error(ErrorKind::usage, fmt::format("{}: no weight \"{}\" in blocks in it",
                                              printable(o.dump), printable(o.tensor)));
  }
  fmt::print("{}", o.json == "-" ? as_json(found) : as_text(found));
  if (report) {
    report->write(as_json(found));
    report->commit();
  }
  if (has_faults) throw CLI::RuntimeError(static_cast<int>(ErrorKind::invalid_input));
  if (!found.equal) throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
}

void run(const Options& o) {
  const Checkpoint checkpoint = Checkpoint::open(o.dump);
  if (is_checkpoint(o, checkpoint)) return run_checkpoint(o, checkpoint);
  const TensorFile source = TensorFile::open(o.input);
  const TensorFile dump = TensorFile::open(o.dump);
  RandomNumbers random;
  if (!o.random.empty()) random = random_numbers(o.random);
  std::optional<OutputFile> report;
  open_report(o, report);
  std::vector<Verification> found;
  bool same = true;
  for (const std::string& name : names_to_compare(o, source, dump)) {
    found.push_back(verify_one(dump, source, name, o, random));
    same = found.back().equal && same;
    if (o.json != "-") fmt::print("{}", as_text(found.back()));
  }
  if (o.json == "-") fmt::print("{}", as_json(found));
  if (report) {
    report->write(as_json(found));
    report->commit();
  }
  if (!same) throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
}

}  // namespace

void add_verify_quantize(CLI::App& verify) {
  CLI::App* command = verify.add_subcommand("quantize",
                                            "Codes, scale bytes and tensor scale of a dump against "
                                            "a dialect, byte for byte; exit 1 where "
                                            "they differ, with the cause");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files
      .reads(command->add_option(
          "IN", options->input,
          "The tensors before quantization: a file, an index or a folder of them"))
      ->required();
  files
      .reads(command->add_option(
          "DUMP", options->dump,
          "A file laid out as `lowbit quantize` writes it (docs/files.md), a quantized checkpoint "
          "(docs/checkpoints.md), or any tensors with --values, --scales and --tensor-scale; what "
          "nobody declares is searched for"))
      ->required();
  command->add_option("--tensor", options->tensor,
                      "One tensor of IN; every quantized one by default");
  command
      ->add_option("--format", options->format,
                   "Instead of the dump's NAME.format; auto: search, and hold it to that")
      ->type_name("F[:RULE]|auto");
  command->add_option("--rule", options->rule, "Instead of the dump's NAME.rule")
      ->type_name("R|auto");
  command->add_option("--dialect", options->dialect, "Instead of the dump's NAME.dialect")
      ->type_name("D|auto");
  command
      ->add_option("--layout", options->layout,
                   "How codes and scale bytes lie: words such as high_first, 128x4, multiplier "
                   "(docs/files.md)")
      ->type_name("L|auto");
  command
      ->add_option("--weight-layout", options->weight_layout,
                   "How the dimensions of IN's tensor are meant, instead of the dump's record")
      ->type_name("W");
  add_axes_option(*command, options->axes);
  command->add_option("--values", options->names.values, "The tensor of DUMP that holds the codes")
      ->type_name("N");
  command->add_option("--scales", options->names.scales, "The tensor that holds the scale bytes")
      ->type_name("N");
  command
      ->add_option("--tensor-scale", options->names.tensor_scale,
                   "The tensor that holds the number beside the blocks")
      ->type_name("N");
  command->add_option("--scale-max", options->scale_max, "Instead of the dump's NAME.scale_max")
      ->type_name("M");
  command->add_option("--amax", options->amax, "The tensor's amax, where it was not measured")
      ->type_name("V");
  command->add_option("--nonfinite", options->nonfinite, "Instead of the dump's NAME.nonfinite");
  files
      .reads(command->add_option("--random", options->random,
                                 "Tensors rand0, rand1, where the dump was rounded stochastically"))
      ->type_name("FILE");
  files
      .writes(command->add_option("--json", options->json,
                                  "The comparison as JSON; - for stdout, in place of the text"))
      ->type_name("PATH|-");
  command->footer("docs/verify_quantize.md says what is searched for, and what each cause means.");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
