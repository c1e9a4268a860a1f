// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>

namespace lowbit::cli {

// Each adds one subcommand with its options and callback. A callback throws lowbit::Error, whose
// kind is the exit code, or CLI::RuntimeError(code) after it has printed its own verdict.

void add_dialects(CLI::App& app);
void add_formats(CLI::App& app);
void add_bench(CLI::App& app);
void add_inspect(CLI::App& app);
void add_eval(CLI::App& app);
void add_distinguish(CLI::App& app);
void add_explain(CLI::App& app);
void add_plan(CLI::App& app);
void add_lint(CLI::App& app);
void add_convert(CLI::App& app);
void add_diff(CLI::App& app);
void add_quantize(CLI::App& app);
void add_dequantize(CLI::App& app);
void add_gpu(CLI::App& app);
void add_mma(CLI::App& app);
void add_mac(CLI::App& app);
void add_gemm(CLI::App& app);
void add_vectors(CLI::App& app);
void add_verify(CLI::App& app);

// Subcommands of `lowbit mac`.
void add_mac_run(CLI::App& mac);
void add_mac_array(CLI::App& mac);
void add_mac_report(CLI::App& mac);

// Subcommands of `lowbit verify`.
void add_verify_captures(CLI::App& verify);
void add_verify_gemm(CLI::App& verify);
void add_verify_quantize(CLI::App& verify);

}  // namespace lowbit::cli
