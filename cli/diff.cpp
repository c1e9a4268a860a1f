// SPDX-License-Identifier: MIT
// lowbit diff: two dumps, tensor by tensor.
#include <fmt/format.h>

#include <memory>

#include "commands.hpp"
#include "faults.hpp"
#include "file_arguments.hpp"
#include "lowbit/checkpoint_diff.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string a;
  std::string b;
};

void run(const Options& options) {
  const Checkpoint a = Checkpoint::open(options.a);
  const Checkpoint b = Checkpoint::open(options.b);
  print_faults(a);
  print_faults(b);
  if (!a.faults().empty() || !b.faults().empty()) {
    throw CLI::RuntimeError(static_cast<int>(ErrorKind::invalid_input));
  }
  const DumpComparison done = compare_dumps(a, b);
  for (const std::string& note : done.notes) fmt::print("{}\n", note);
  for (const DumpDifference& difference : done.differences) {
    fmt::print("{}: {}\n", printable(difference.tensor), difference.text);
  }
  fmt::print("{} weights in blocks and {} other tensors compared, {} difference{}\n", done.weights,
             done.others, done.differences.size(), done.differences.size() == 1 ? "" : "s");
  if (!done.differences.empty()) {
    throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
  }
}

}  // namespace

void add_diff(CLI::App& app) {
  CLI::App* command = app.add_subcommand("diff", "Compare two dumps tensor by tensor");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files.reads(command->add_option("DUMP_A", options->a, "A file, *.index.json or folder"))
      ->required();
  files.reads(command->add_option("DUMP_B", options->b, "Another one"))->required();
  command->footer(
      "Weights in blocks are compared by codes, scale bytes and tensor scale, whatever their "
      "layout;\n"
      "other tensors byte for byte. Exit code 1 where there is a difference.");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
