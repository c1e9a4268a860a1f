// SPDX-License-Identifier: MIT
// lowbit gpu verify: kernels against the reference, with a run record.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "file_arguments.hpp"
#include "gpu_command.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  KernelSelection selection;
  std::uint64_t seed = 1;
  double elements = 0;
  double outputs = 0;
  std::string golden;
  std::string record;
  std::string commit;
};

std::string utc_date() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  char text[32] = {};
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

using Results = std::vector<std::pair<std::string, gpu::VerifyResult> >;

void write_record(const Options& options, const gpu::Device& device,
                  const std::string& architecture, const Results& results) {
  nlohmann::ordered_json json{{"device", device.name},   {"architecture", architecture},
                              {"driver", device.driver}, {"commit", options.commit},
                              {"date", utc_date()},      {"seed", options.seed}};
  auto& names = json["kernels"] = nlohmann::ordered_json::array();
  auto& counts = json["results"] = nlohmann::ordered_json::object();
  for (const auto& [name, result] : results) {
    if (result.mismatched == 0 && result.compared != 0) names.push_back(name);
    auto& entry = counts[name] = {{"compared", result.compared},
                                  {"mismatched", result.mismatched},
                                  {"cases", result.cases},
                                  {"next_seed", result.next_seed}};
    if (!result.first_mismatch.empty()) entry["first_mismatch"] = result.first_mismatch;
    if (result.library_compared != 0) entry["library_compared"] = result.library_compared;
    if (!result.mutants.empty()) entry["mutants_compared"] = result.mutants_compared;
    for (const auto& [mutant, exposed] : result.mutants) entry["mutants"][mutant] = exposed;
  }
  OutputFile file(options.record);
  file.write(json.dump(1) + "\n");
  file.commit();
}

void print_result(const std::string& name, const gpu::VerifyResult& result, double wall_seconds) {
  const double rate = result.kernel_seconds > 0
                          ? static_cast<double>(result.compared) / result.kernel_seconds * 1e-9
                          : 0;
  fmt::print("{:<28} {:>7} {:>14} {:>11} {:>14} {:>12.1f} {:>8.1f}\n", name, result.cases,
             result.compared, result.mismatched,
             result.library_compared == 0 ? "-" : std::to_string(result.library_compared), rate,
             wall_seconds);
  if (!result.first_mismatch.empty()) fmt::print("  first mismatch: {}\n", result.first_mismatch);
  if (!result.mutants.empty()) {
    std::vector<std::string> detected;
    for (const auto& [mutant, exposed] : result.mutants)
      detected.push_back(fmt::format("{} {}", mutant, exposed));
    fmt::print("  wrong models detected, of {} outputs: {}\n", result.mutants_compared,
               fmt::join(detected, ", "));
  }
  std::fflush(stdout);
}

void verify(const Options& options) {
  const std::vector<gpu::Kernel> chosen = options.selection.kernels();
  gpu::VerifyOptions request{.shape = options.selection.parsed_shape(),
                             .seed = options.seed,
                             .golden_dir = options.golden};
  const gpu::Device device = gpu::current_device();
  Results results;
  std::string architecture;
  for (const gpu::Kernel& kernel : chosen) {
    if (architecture.empty()) architecture = gpu::architecture_on(kernel.info, device.capability);
  }
  // A record of what has been finished is on disk at any time, and a path that cannot be written is
  // found out before the work.
  if (!options.record.empty()) write_record(options, device, architecture, results);
  fmt::print("device: {} (compute capability {}.{}, driver {})\n", device.name,
             device.capability / 10, device.capability % 10, device.driver);
  fmt::print("{:<28} {:>7} {:>14} {:>11} {:>14} {:>12} {:>8}\n", "kernel", "cases", "compared",
             "mismatched", "library too", "Gelements/s", "wall s");
  std::uint64_t compared = 0;
  std::uint64_t mismatched = 0;
  std::uint64_t next_seed = 0;
  for (const gpu::Kernel& kernel : chosen) {
    if (options.selection.skips(kernel, static_cast<bool>(kernel.verify), device)) continue;
    const bool quantize = kernel.info.operation == gpu::Operation::quantize;
    const double outputs = options.outputs != 0 ? options.outputs : options.elements / 10;
    request.elements = static_cast<std::uint64_t>(quantize ? options.elements : outputs);
    const auto start = std::chrono::steady_clock::now();
    const gpu::VerifyResult result = kernel.verify(request);
    print_result(kernel.info.name, result,
                 std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    compared += result.compared;
    mismatched += result.mismatched;
    next_seed = std::max(next_seed, result.next_seed);
    results.emplace_back(kernel.info.name, result);
    if (!options.record.empty()) write_record(options, device, architecture, results);
  }
  if (results.empty())
    throw Error(ErrorKind::unavailable, "none of the chosen kernels runs on " + device.name);
  fmt::print("{} kernels, {} compared, {} mismatched; new inputs from --seed {}\n", results.size(),
             compared, mismatched, next_seed);
  if (mismatched != 0) throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
}

}  // namespace

void add_gpu_verify(CLI::App& gpu) {
  const auto options = std::make_shared<Options>();
  CLI::App* verify_command =
      gpu.add_subcommand("verify", "Run kernels and compare every output word with the reference");
  options->selection.add_options(*verify_command);
  verify_command->add_option("--seed", options->seed, "Of the random inputs")
      ->capture_default_str();
  verify_command
      ->add_option("--elements", options->elements,
                   "At least this many random elements per quantize kernel, beside the directed "
                   "cases (default: none)")
      ->check(CLI::Range(0.0, 1e15));
  verify_command
      ->add_option(
          "--outputs", options->outputs,
          "At least this many random outputs per GEMM kernel (default: a tenth of --elements)")
      ->check(CLI::Range(0.0, 1e15));
  FileArguments files(*verify_command);
  files.reads(verify_command->add_option("--golden", options->golden,
                                         "Folder of golden files whose inputs are used too"));
  CLI::Option* commit = verify_command->add_option("--commit", options->commit,
                                                   "The commit that was built, for the record");
  files
      .writes(verify_command->add_option("--record", options->record,
                                         "Write a run record (docs/gpu_runs) to this file"))
      ->needs(commit);
  verify_command->callback([options] { verify(*options); });
}

}  // namespace lowbit::cli
