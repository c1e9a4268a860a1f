// SPDX-License-Identifier: MIT
// lowbit vectors: inputs with a dialect's bytes and decisions, for other projects' tests.
#include <fmt/format.h>

#include <memory>

#include "commands.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/test_vectors.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::string dialect, format, folder;
};

void run(const Options& o) {
  std::vector<Dialect> chosen;
  if (o.dialect == "all") {
    chosen.assign(dialects().begin(), dialects().end());
  } else {
    chosen.push_back(dialect_named(o.dialect));
  }
  FormatChoice choice;
  if (!o.format.empty()) {
    choice = format_choice_named(o.format, {}, chosen.size() == 1 ? &chosen[0] : nullptr);
  }
  const VectorSummary s = write_vectors(o.folder, chosen, choice.format, choice.rule);
  fmt::print("{}: {} cases of {} dialect{}, {} bytes\n", o.folder, s.cases, s.dialects,
             s.dialects == 1 ? "" : "s", s.bytes);
}

}  // namespace

void add_vectors(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "vectors", "Inputs with the bytes and decisions of a dialect, for tests in any language");
  const auto o = std::make_shared<Options>();
  command->add_option("--dialect", o->dialect, "Whose arithmetic, or all")
      ->type_name("D|all")
      ->required();
  command->add_option("--format", o->format, "One block format and rule; all by default")
      ->type_name("F[:RULE]");
  command->add_option("-o,--out", o->folder, "The folder to write to; files in it are replaced")
      ->type_name("DIR")
      ->required();
  command->footer("docs/vectors.md describes the files.");
  command->callback([o] { run(*o); });
}

}  // namespace lowbit::cli
