// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>
#include <vector>

#include "commands.hpp"
#include "help.hpp"
#include "lowbit/error.hpp"
#include "lowbit/version.hpp"
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
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& verdict) {
    return verdict.get_exit_code();
  } catch (const CLI::ParseError& error) {
    const std::string text = lowbit::cli::parse_error_text(app, error, argc, argv);
    if (!text.empty()) {
      fmt::print(stderr, "lowbit: {}\n", text);
      return static_cast<int>(lowbit::ErrorKind::usage);
    }
    return app.exit(error) == 0 ? 0 : static_cast<int>(lowbit::ErrorKind::usage);
  } catch (const lowbit::Error& error) {
    fmt::print(stderr, "lowbit: {}\n", error.what());
    return static_cast<int>(error.kind());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "lowbit: needs more memory than there is; give smaller tensors\n");
    return static_cast<int>(lowbit::ErrorKind::invalid_input);
  } catch (const std::exception& error) {
    fmt::print(stderr, "lowbit: internal error: {}\n", error.what());
    return static_cast<int>(lowbit::ErrorKind::internal);
  }
  if (std::fflush(stdout) != 0) {
    fmt::print(stderr, "lowbit: standard output cannot be written; check its free space\n");
    return static_cast<int>(lowbit::ErrorKind::invalid_input);
  }
  return 0;
}
