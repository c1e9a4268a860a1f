// SPDX-License-Identifier: MIT
// lowbit bench: how fast this machine quantizes, dequantizes and evaluates.
#include "lowbit/bench.hpp"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"

namespace lowbit::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::string json;
  double seconds = 0.065;
};

ordered_json to_json(const BenchResult& r) {
  ordered_json entry{{"operation", r.operation}};
  if (!r.format.empty()) entry["format"] = r.format;
  if (!r.rule.empty()) entry["rule"] = r.rule;
  entry["dtype"] = r.dtype;
  entry["target"] = r.target;
  entry["threads"] = r.threads;
  entry["elements_per_second"] = r.elements_per_second;
  entry["bytes_per_second"] = r.bytes_per_second;
  return entry;
}

void print_heading() {
  fmt::print("{:<17} {:<14} {:<9} {:<6} {:<8} {:>7} {:>14} {:>8}\n", "operation", "format", "rule",
             "dtype", "target", "threads", "M elements/s", "GB/s");
}

void print_row(const BenchResult& r) {
  fmt::print("{:<17} {:<14} {:<9} {:<6} {:<8} {:>7} {:>14.0f} {:>8.1f}\n", r.operation,
             r.format.empty() ? "-" : r.format, r.rule.empty() ? "-" : r.rule, r.dtype, r.target,
             r.threads, r.elements_per_second / 1e6, r.bytes_per_second / 1e9);
}

void run(const Options& options) {
  const bool to_stdout = options.json == "-";
  if (!to_stdout) print_heading();
  ordered_json all = ordered_json::array();
  (void)bench(options.seconds, [&](const BenchResult& r) {
    all.push_back(to_json(r));
    if (!to_stdout) print_row(r);
  });
  const std::string text = all.dump(2) + "\n";
  if (to_stdout) {
    fmt::print("{}", text);
  } else if (!options.json.empty()) {
    OutputFile file(options.json);
    file.write(text);
    file.commit();
  } else {
    fmt::print("\ntarget scalar: no vector kernel serves the format and rule yet.\n");
  }
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "bench", "Measure how fast this machine quantizes, dequantizes and evaluates each format");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files.writes(command->add_option("--json", options->json, "Write JSON, - for stdout"));
  command->add_option("--seconds", options->seconds, "Time per case")
      ->check(CLI::Range(0.001, 60.0))
      ->capture_default_str();
  command->callback([=] { run(*options); });
}

}  // namespace lowbit::cli
