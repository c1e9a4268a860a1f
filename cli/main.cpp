// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>

#include "commands.hpp"
#include "help.hpp"
#include "lowbit/error.hpp"
#include "lowbit/version.hpp"
#include "stop_signals.hpp"

int main(int argc, char** argv) {
  lowbit::cli::remove_temporary_files_on_stop();
  CLI::App app{"lowbit: low-bit block-scaled number formats, bit for bit", "lowbit"};
  app.set_version_flag("--version", LOWBIT_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 ok, 1 mismatch or threshold exceeded, 2 usage, 3 unreadable or invalid\n"
      "input, 4 internal error, 5 hardware or tool not available.");
  lowbit::cli::add_formats(app);
  lowbit::cli::add_dialects(app);
  lowbit::cli::add_bench(app);
  lowbit::cli::add_inspect(app);
  lowbit::cli::add_eval(app);
  lowbit::cli::add_explain(app);
  lowbit::cli::add_distinguish(app);
  lowbit::cli::add_plan(app);
  lowbit::cli::add_quantize(app);
  lowbit::cli::add_dequantize(app);
  lowbit::cli::add_lint(app);
  lowbit::cli::add_convert(app);
  lowbit::cli::add_diff(app);
  lowbit::cli::add_gpu(app);
  lowbit::cli::add_mma(app);
  lowbit::cli::add_mac(app);
  lowbit::cli::add_gemm(app);
  lowbit::cli::add_vectors(app);
  lowbit::cli::add_verify(app);
  lowbit::cli::add_help(app);
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
