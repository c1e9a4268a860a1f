// SPDX-License-Identifier: MIT
// lowbit convert: a quantized checkpoint in another convention.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "commands.hpp"
#include "faults.hpp"
#include "file_arguments.hpp"
#include "lowbit/checkpoint_convert.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string in;
  std::string out;
  std::string to;
  std::string reference;
};

const CheckpointConvention& target_named(const std::string& name) {
  const std::vector<std::string_view> targets = conversion_targets();
  if (std::find(targets.begin(), targets.end(), name) == targets.end()) {
    throw Error(ErrorKind::usage,
                fmt::format("--to {}: not one of {}", printable(name), fmt::join(targets, ", ")));
  }
  return *find_checkpoint_convention(name);
}

void run(const Options& options) {
  const CheckpointConvention& to = target_named(options.to);
  const Checkpoint checkpoint = Checkpoint::open(options.in);
  refuse_faults(checkpoint);
  if (checkpoint.quantized().empty()) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no weights in blocks; `lowbit quantize` makes them",
                            printable(options.in)));
  }
  std::optional<Checkpoint> reference;
  if (!options.reference.empty()) {
    reference = Checkpoint::open(options.reference);
    refuse_faults(*reference);
  }
  const Conversion done =
      convert_checkpoint(checkpoint, to, options.out, reference ? &*reference : nullptr);
  for (const ConvertNote& note : done.notes) {
    fmt::print("{}{}: {}\n", note.is_loss ? "lost: " : "", printable(note.tensor), note.text);
  }
  fmt::print("{}: {} weights, {} exactly; {} other tensors copied\n", printable(options.out),
             done.weights, done.exact, done.copied);
}

}  // namespace

void add_convert(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("convert", "Write a quantized checkpoint in another convention");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files
      .reads(command->add_option("IN", options->in,
                                 "A folder as Hugging Face lays it out, *.index.json, or a file"))
      ->required();
  files
      .writes(command->add_option("-o,--output", options->out,
                                  "gguf, lowbit: a file; others: a .safetensors file or a folder"),
              {"", "/model.safetensors", "/config.json"})
      ->type_name("OUT")
      ->required();
  command
      ->add_option("--to", options->to,
                   fmt::format("The convention: {}", fmt::join(conversion_targets(), ", ")))
      ->type_name("C")
      ->required();
  files
      .reads(command->add_option("--reference", options->reference,
                                 "The weights before quantization, for the SQNR of what is lost"))
      ->type_name("PATH");
  command->footer(
      "Codes and scale bytes stay as they are. One line says what a convention cannot hold "
      "exactly.");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
