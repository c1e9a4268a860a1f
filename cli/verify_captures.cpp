// SPDX-License-Identifier: MIT
// lowbit verify captures: recorded outputs of other implementations against their dialects.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "commands.hpp"
#include "lowbit/capture.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  std::vector<std::string> paths;
  std::size_t show = 0;
};

/// The capture files of a folder, or the file itself.
std::vector<std::filesystem::path> files_of(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::filesystem::path& file = entry.path();
    if (file.extension() == ".safetensors" && file.stem() != "inputs") files.push_back(file);
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: no safetensors file in the folder", printable(path)));
  }
  return files;
}

void run(const Options& options) {
  bool is_clean = true;
  fmt::print("{:<20}{:<36}{:<36}{:>9}{:>12}  {}\n", "library", "configuration", "dialect", "blocks",
             "mismatching", "cause");
  const auto report = [&](const CaptureResult& r) {
    std::vector<std::string> causes;
    for (const auto& [cause, blocks] : r.causes) {
      causes.push_back(fmt::format("{} ({} blocks)", cause, blocks));
    }
    if (r.unexplained != 0) causes.push_back(fmt::format("UNEXPLAINED ({} blocks)", r.unexplained));
    if (r.wrong_tensor_scales != 0) {
      causes.push_back(fmt::format("UNEXPLAINED ({} tensor scales)", r.wrong_tensor_scales));
    }
    if (r.wrong_dequantized != 0) {
      causes.push_back(fmt::format("UNEXPLAINED ({} of {} dequantizations)", r.wrong_dequantized,
                                   r.dequantized));
    }
    const bool is_bad =
        r.unexplained != 0 || r.wrong_tensor_scales != 0 || r.wrong_dequantized != 0;
    if (is_bad) causes.push_back(fmt::format("first: {}", r.first));
    is_clean = is_clean && !is_bad;
    fmt::print("{:<20}{:<36}{:<36}{:>9}{:>12}  {}\n", r.library, r.configuration, r.dialect,
               r.blocks, r.mismatches, fmt::join(causes, "; "));
    for (const std::string& example : r.examples) fmt::print("  {}\n", example);
  };
  for (const std::string& path : options.paths) {
    for (const std::filesystem::path& file : files_of(path))
      compare_captures(file, report, options.show);
  }
  if (!is_clean) throw CLI::RuntimeError(1);
}

}  // namespace

void add_verify_captures(CLI::App& verify) {
  auto options = std::make_shared<Options>();
  CLI::App* command = verify.add_subcommand(
      "captures", "Recorded outputs of other implementations against their dialects");
  command
      ->add_option("path", options->paths,
                   "Folders or files of captures; inputs.safetensors beside them")
      ->required()
      ->type_name("PATH");
  command->add_option("--show", options->show, "Print up to N mismatching blocks per line")
      ->type_name("N");
  command->footer(
      "One line per library and configuration: blocks, mismatching blocks, causes. Exit 1 where a\n"
      "mismatch has no allowed cause (docs/dialects.md).");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
