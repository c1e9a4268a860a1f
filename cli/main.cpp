// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <optional>
#include <vector>

#include "commands.hpp"
#include "help.hpp"
#include "lowbit/error.hpp"
#include "lowbit/version.hpp"
#include "processes.hpp"
#include "stop_signals.hpp"

namespace {

using namespace lowbit::cli;

struct SubcommandGroup {
  const char* name;
  std::vector<void (*)(CLI::App&)> add_subcommands;
};

/// The subcommands as `lowbit --help` lists them: by what a user wants to do.
const std::vector<SubcommandGroup> subcommand_groups{
    {"Evaluate and quantize", {add_eval, add_plan, add_quantize, add_dequantize}},
    {"Verify a kernel or a dump",
     {add_verify, add_explain, add_distinguish, add_vectors, add_diff, add_gemm, add_gpu}},
    {"Quantized checkpoints", {add_inspect, add_lint, add_convert}},
    {"Hardware", {add_mac}},
    {"What lowbit knows", {add_formats, add_dialects, add_mma}},
    {"This program", {add_bench, add_help}},
};

/// The group that CLI11 gives to a subcommand.
constexpr const char* default_group = "Subcommands";

}  // namespace

int main(int argc, char** argv) {
  lowbit::cli::remove_temporary_files_on_stop();
  CLI::App app{"lowbit: low-bit block-scaled number formats, bit for bit", "lowbit"};
  app.set_version_flag("--version", LOWBIT_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 ok, 1 mismatch or threshold exceeded, 2 usage, 3 unreadable or invalid\n"
      "input, 4 internal error, 5 hardware or tool not available.");
  for (const auto& [group, add_subcommands] : subcommand_groups) {
    for (const auto add_subcommand : add_subcommands) add_subcommand(app);
    // What is not yet in a group of its own was added just now.
    for (CLI::App* subcommand : app.get_subcommands(nullptr))
      if (subcommand->get_group() == default_group) subcommand->group(group);
  }
  int code = 0;
  std::optional<lowbit::Failure> failure;
  try {
    lowbit::cli::join_processes();
    lowbit::cli::refuse_unsplit_commands(app);
    app.parse(argc, argv);
    if (std::fflush(stdout) != 0) {
      throw lowbit::Error(lowbit::ErrorKind::invalid_input,
                          "standard output cannot be written; check its free space");
    }
  } catch (const CLI::RuntimeError& verdict) {
    code = verdict.get_exit_code();
  } catch (const CLI::ParseError& error) {
    const std::string text = lowbit::cli::parse_error_text(app, error, argc, argv);
    if (!text.empty()) {
      fmt::print(stderr, "lowbit: {}\n", text);
      code = static_cast<int>(lowbit::ErrorKind::usage);
    } else {
      code = app.exit(error) == 0 ? 0 : static_cast<int>(lowbit::ErrorKind::usage);
    }
  } catch (const std::exception&) {
    failure = lowbit::failure_of(std::current_exception());
  }
  failure = lowbit::cli::processes().finish(failure);
  if (failure) {
    fmt::print(stderr, "lowbit: {}\n", failure->text);
    code = static_cast<int>(failure->kind);
  }
  lowbit::cli::end_processes();
  // Of several processes the first one has said what there was to say, and mpirun passes its code
  // on. Were another one seen to fail before, mpirun would end the first one.
  return lowbit::cli::is_first_process() ? code : 0;
}
