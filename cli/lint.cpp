// SPDX-License-Identifier: MIT
// lowbit lint: what is wrong with a quantized checkpoint.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands.hpp"
#include "faults.hpp"
#include "file_arguments.hpp"
#include "lowbit/checkpoint_lint.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::string path;
  std::string reference;
  std::string json;
};

void run(const Options& options) {
  std::optional<OutputFile> file;
  if (!options.json.empty() && options.json != "-") file.emplace(options.json);
  const Checkpoint checkpoint = Checkpoint::open(options.path);
  std::optional<Checkpoint> reference;
  if (!options.reference.empty()) {
    reference = Checkpoint::open(options.reference);
    refuse_faults(*reference);
  }
  const std::vector<LintFinding> findings = lint(checkpoint, reference ? &*reference : nullptr);
  if (options.json != "-") {
    for (const LintFinding& finding : findings) fmt::print("{}\n", finding.line());
    fmt::print("{}: {} weights in blocks, {} finding{}\n", printable(options.path),
               checkpoint.quantized().size(), findings.size(), findings.size() == 1 ? "" : "s");
  }
  ordered_json report{{"path", options.path}, {"weights", checkpoint.quantized().size()}};
  report["findings"] = ordered_json::array();
  for (const LintFinding& finding : findings) {
    report["findings"].push_back({{"kind", finding.kind},
                                  {"file", finding.file},
                                  {"tensor", finding.tensor},
                                  {"text", finding.text}});
  }
  const std::string text =
      report.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  if (options.json == "-") fmt::print("{}", text);
  if (file) {
    file->write(text);
    file->commit();
  }
  if (!findings.empty()) throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
}

}  // namespace

void add_lint(CLI::App& app) {
  CLI::App* command = app.add_subcommand("lint", "Find mistakes in a quantized checkpoint");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files
      .reads(command->add_option("PATH", options->path,
                                 "A folder as Hugging Face lays it out, *.index.json, or a file"))
      ->required();
  files
      .reads(
          command->add_option("--reference", options->reference,
                              "The weights before quantization: also finds wrong orders of codes "
                              "and scales, and inverted tensor scales"))
      ->type_name("PATH");
  files.writes(command->add_option("--json", options->json, "Write JSON, - for stdout"))
      ->type_name("PATH");
  command->footer("Exit code 1 where there are findings. docs/checkpoints.md lists their kinds.");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
