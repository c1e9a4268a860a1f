// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "commands.hpp"
#include "file_arguments.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"
#ifdef LOWBIT_HAS_GPU
#include "gpu_text.hpp"
#include "lowbit/gpu/device.hpp"
#include "lowbit/gpu/kernel.hpp"
#endif

namespace lowbit::cli {

#ifndef LOWBIT_HAS_GPU

void add_gpu(CLI::App& app) {
  CLI::App* gpu =
      app.add_subcommand("gpu", "CUDA kernels (not in this build: no CUDA toolkit was found)");
  gpu->allow_extras();
  gpu->callback([] {
    throw Error(ErrorKind::unavailable,
                "this build has no GPU kernels: configure it where nvcc is installed");
  });
}

#else

namespace {

using gpu::Kernel;

struct Options {
  bool json = false;
  std::string kernel = "all";
  std::string shape;
  std::uint64_t seed = 1;
  double elements = 0;
  double outputs = 0;
  std::string golden;
  std::string record;
  std::string commit;
  int repeats = 60;
};

gpu::Shape parse_shape(const std::string& text) {
  gpu::Shape shape;
  if (text.empty()) return shape;
  std::istringstream in(text);
  char comma1 = 0;
  char comma2 = 0;
  constexpr std::int64_t limit = std::int64_t{1} << 32;
  if (!(in >> shape.m >> comma1 >> shape.n >> comma2 >> shape.k) || comma1 != ',' ||
      comma2 != ',' || in.peek() != std::char_traits<char>::eof() || shape.m < 0 || shape.n < 0 ||
      shape.k < 0 || shape.m > limit || shape.n > limit || shape.k > limit) {
    throw Error(
        ErrorKind::usage,
        fmt::format("--shape '{}': expected M,N,K (quantize kernels: rows,0,columns)", text));
  }
  return shape;
}

std::vector<Kernel> select(const std::string& name) {
  std::vector<Kernel> all = gpu::kernels();
  if (name == "all") return all;
  std::vector<Kernel> chosen;
  for (Kernel& kernel : all) {
    if (fnmatch(name.c_str(), kernel.info.name.c_str(), 0) == 0)
      chosen.push_back(std::move(kernel));
  }
  if (chosen.empty()) {
    throw Error(ErrorKind::usage, fmt::format("no GPU kernel is named '{}'; lowbit gpu list names "
                                              "them (a pattern with * matches several)",
                                              name));
  }
  return chosen;
}

void list(const Options& options) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Kernel& kernel : gpu::kernels()) {
    const gpu::KernelInfo& info = kernel.info;
    if (!options.json) {
      fmt::print("{:<28} {:<9} {:<24} {}\n", info.name, gpu::name_of(info.operation),
                 fmt::format("{}", fmt::join(info.architectures, " ")), hardware_text(info));
      continue;
    }
    nlohmann::ordered_json entry{{"name", info.name},
                                 {"operation", gpu::name_of(info.operation)},
                                 {"formats", info.formats},
                                 {"rule", info.rule},
                                 {"architectures", info.architectures},
                                 {"compute_capabilities", info.compute_capabilities},
                                 {"instruction", info.instruction},
                                 {"schedule", info.schedule},
                                 {"note", info.note}};
    const gpu::RunRecord* run = gpu::find_run(info.name);
    entry["run_on_hardware"] = run != nullptr;
    entry["not_run_on_hardware"] = gpu::not_run_architectures(info);
    if (run != nullptr) {
      entry["run"] = {{"device", run->device},
                      {"architecture", run->architecture},
                      {"driver", run->driver},
                      {"commit", run->commit},
                      {"date", run->date}};
    }
    json.push_back(entry);
  }
  if (options.json) fmt::print("{}\n", json.dump(2));
}

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

/// Whether to skip the kernel, with a line; a kernel asked for by its very name is an error
/// instead.
bool skip(const Options& options, const Kernel& kernel, bool has_function,
          const gpu::Device& device) {
  const std::string why = skip_text(kernel.info, has_function, device.capability);
  if (why.empty()) return false;
  if (options.kernel == kernel.info.name) {
    if (has_function) gpu::require_device(kernel.info.compute_capabilities, kernel.info.name);
    throw Error(ErrorKind::unavailable, kernel.info.name + ": " + why);
  }
  fmt::print("{:<28} {}\n", kernel.info.name, why);
  return true;
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
    std::vector<std::string> told;
    for (const auto& [mutant, exposed] : result.mutants)
      told.push_back(fmt::format("{} {}", mutant, exposed));
    fmt::print("  wrong models detected, of {} outputs: {}\n", result.mutants_compared,
               fmt::join(told, ", "));
  }
  std::fflush(stdout);
}

void verify(const Options& options) {
  const std::vector<Kernel> chosen = select(options.kernel);
  gpu::VerifyOptions request{
      .shape = parse_shape(options.shape), .seed = options.seed, .golden_dir = options.golden};
  const gpu::Device device = gpu::current_device();
  Results results;
  std::string architecture;
  for (const Kernel& kernel : chosen) {
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
  for (const Kernel& kernel : chosen) {
    if (skip(options, kernel, static_cast<bool>(kernel.verify), device)) continue;
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

void bench(const Options& options) {
  const std::vector<Kernel> chosen = select(options.kernel);
  gpu::BenchOptions request{.shape = parse_shape(options.shape), .repeats = options.repeats};
  const gpu::Device device = gpu::current_device();
  request.copy_bytes_per_second = gpu::measure_copy_rate();
  fmt::print("device: {}; device-to-device copy {:.0f} GB/s (read + written)", device.name,
             request.copy_bytes_per_second * 1e-9);
  BenchTable table(device.name);
  fmt::print("\n{}", table.header());
  bool timed = false;
  bool compares =
      false;  // with cuBLAS, which heats the card: measured when the first kernel needs it
  for (const Kernel& kernel : chosen) {
    if (skip(options, kernel, static_cast<bool>(kernel.bench), device)) continue;
    if (kernel.info.operation == gpu::Operation::gemm && !std::exchange(compares, true)) {
      const auto size = [&](std::int64_t asked) { return asked == 0 ? std::int64_t{8192} : asked; };
      request.cublas_flops_per_second = gpu::measure_cublas_fp16(
          size(request.shape.m), size(request.shape.n), size(request.shape.k));
      if (request.cublas_flops_per_second > 0)
        fmt::print("cuBLAS FP16: {:.0f} TFLOP/s\n", request.cublas_flops_per_second * 1e-12);
    }
    timed = true;
    for (const gpu::BenchResult& result : kernel.bench(request)) {
      fmt::print("{}", table.line(kernel.info, result, request));
      std::fflush(stdout);
    }
  }
  if (!timed)
    throw Error(ErrorKind::unavailable, "none of the chosen kernels runs on " + device.name);
  fmt::print("{}", table.summary());
  if (table.exit_code() != 0) throw CLI::RuntimeError(table.exit_code());
}

}  // namespace

void add_gpu(CLI::App& app) {
  CLI::App* gpu =
      app.add_subcommand("gpu", "CUDA kernels, compared with the reference byte for byte");
  gpu->require_subcommand(1);
  auto options = std::make_shared<Options>();

  CLI::App* list_command = gpu->add_subcommand(
      "list", "Name the kernels, their architectures and whether they have run on hardware");
  list_command->add_flag("--json", options->json, "As JSON");
  list_command->callback([options] { list(*options); });

  CLI::App* verify_command =
      gpu->add_subcommand("verify", "Run kernels and compare every output word with the reference");
  verify_command
      ->add_option("--kernel", options->kernel,
                   "A name of `gpu list`, a pattern such as quantize_if4_*, or all")
      ->capture_default_str();
  verify_command->add_option("--shape", options->shape, "M,N,K (quantize kernels: rows,0,columns)");
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

  CLI::App* bench_command =
      gpu->add_subcommand("bench", "Time kernels beside a device-to-device copy and cuBLAS FP16");
  bench_command
      ->add_option("--kernel", options->kernel,
                   "A name of `gpu list`, a pattern such as quantize_if4_*, or all")
      ->capture_default_str();
  bench_command->add_option("--shape", options->shape, "M,N,K (quantize kernels: rows,0,columns)");
  bench_command->add_option("--repeats", options->repeats, "Timed launches")
      ->check(CLI::Range(3, 10000))
      ->capture_default_str();
  bench_command->callback([options] { bench(*options); });
}

#endif

}  // namespace lowbit::cli
