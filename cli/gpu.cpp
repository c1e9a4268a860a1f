// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands.hpp"
#include "lowbit/error.hpp"
#ifdef LOWBIT_HAS_GPU
#include "lowbit/gpu/device.hpp"
#include "lowbit/gpu/kernel.hpp"
#endif

namespace lowbit::cli {

#ifndef LOWBIT_HAS_GPU

void add_gpu(CLI::App& app) {
  CLI::App* gpu = app.add_subcommand("gpu", "CUDA kernels (not in this build: no CUDA toolkit was found)");
  gpu->allow_extras();
  gpu->callback([] {
    throw Error(ErrorKind::unavailable, "this build has no GPU kernels: configure it where nvcc is installed");
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
  std::string golden;
  std::string record;
  std::string commit = "unknown";
  int repeats = 60;
};

gpu::Shape parse_shape(const std::string& text) {
  gpu::Shape shape;
  if (text.empty()) return shape;
  std::istringstream in(text);
  char comma1 = 0;
  char comma2 = 0;
  constexpr std::int64_t limit = std::int64_t{1} << 32;
  if (!(in >> shape.m >> comma1 >> shape.n >> comma2 >> shape.k) || comma1 != ',' || comma2 != ',' ||
      in.peek() != std::char_traits<char>::eof() || shape.m < 0 || shape.n < 0 || shape.k < 0 ||
      shape.m > limit || shape.n > limit || shape.k > limit) {
    throw Error(ErrorKind::usage, fmt::format("--shape '{}': expected M,N,K (quantize kernels: rows,0,columns)", text));
  }
  return shape;
}

std::vector<Kernel> select(const std::string& name) {
  std::vector<Kernel> all = gpu::kernels();
  if (name == "all") return all;
  std::vector<Kernel> chosen;
  for (Kernel& kernel : all) {
    const bool prefix = name.ends_with('*') && kernel.info.name.starts_with(name.substr(0, name.size() - 1));
    if (prefix || kernel.info.name == name) chosen.push_back(std::move(kernel));
  }
  if (chosen.empty()) {
    throw Error(ErrorKind::usage, fmt::format("no GPU kernel is named '{}'; lowbit gpu list names them (a trailing * matches any end)", name));
  }
  return chosen;
}

std::string hardware_text(const std::string& name) {
  const gpu::RunRecord* run = gpu::find_run(name);
  if (run == nullptr) return "not run on hardware";
  return fmt::format("run on {} ({}, driver {}, commit {})", run->device, run->architecture, run->driver, run->commit);
}

void list(const Options& options) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Kernel& kernel : gpu::kernels()) {
    const gpu::KernelInfo& info = kernel.info;
    if (!options.json) {
      fmt::print("{:<28} {:<9} {:<24} {}\n", info.name, gpu::name_of(info.operation),
                 fmt::format("{}", fmt::join(info.architectures, " ")), hardware_text(info.name));
      continue;
    }
    nlohmann::ordered_json entry{
        {"name", info.name},          {"operation", gpu::name_of(info.operation)},
        {"formats", info.formats},    {"rule", info.rule},
        {"architectures", info.architectures}, {"compute_capabilities", info.compute_capabilities},
        {"instruction", info.instruction},     {"schedule", info.schedule},
        {"note", info.note}};
    const gpu::RunRecord* run = gpu::find_run(info.name);
    entry["run_on_hardware"] = run != nullptr;
    if (run != nullptr) {
      entry["run"] = {{"device", run->device}, {"architecture", run->architecture},
                      {"driver", run->driver}, {"commit", run->commit}, {"date", run->date}};
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

void write_record(const Options& options, const gpu::Device& device,
                  const std::vector<std::pair<std::string, gpu::VerifyResult>>& results) {
  nlohmann::ordered_json json{{"device", device.name},
                              {"architecture", fmt::format("sm_{}{}", device.capability, device.capability >= 90 ? "a" : "")},
                              {"driver", device.driver},
                              {"commit", options.commit},
                              {"date", utc_date()},
                              {"seed", options.seed}};
  auto& names = json["kernels"] = nlohmann::ordered_json::array();
  auto& counts = json["results"] = nlohmann::ordered_json::object();
  for (const auto& [name, result] : results) {
    if (result.mismatched == 0 && result.compared != 0) names.push_back(name);
    counts[name] = {{"compared", result.compared}, {"mismatched", result.mismatched}, {"cases", result.cases}};
    if (result.library_compared != 0) counts[name]["library_compared"] = result.library_compared;
    for (const auto& [mutant, exposed] : result.mutants) counts[name]["mutants"][mutant] = exposed;
  }
  const std::string temporary = options.record + ".tmp";
  std::ofstream out(temporary);
  out << json.dump(1) << '\n';
  out.close();
  if (!out || std::rename(temporary.c_str(), options.record.c_str()) != 0) {
    throw Error(ErrorKind::invalid_input, options.record + ": cannot be written");
  }
}

void verify(const Options& options) {
  const std::vector<Kernel> chosen = select(options.kernel);
  const gpu::VerifyOptions request{.shape = parse_shape(options.shape), .seed = options.seed,
                                   .elements = static_cast<std::uint64_t>(options.elements),
                                   .golden_dir = options.golden};
  const gpu::Device device = gpu::current_device();
  fmt::print("device: {} (compute capability {}.{}, driver for CUDA {})\n", device.name,
             device.capability / 10, device.capability % 10, device.driver);
  fmt::print("{:<28} {:>7} {:>14} {:>11} {:>12}\n", "kernel", "cases", "compared", "mismatched", "Gelements/s");
  std::vector<std::pair<std::string, gpu::VerifyResult>> results;
  std::uint64_t mismatched = 0;
  for (const Kernel& kernel : chosen) {
    const auto& capable = kernel.info.compute_capabilities;
    if (options.kernel == "all" && std::find(capable.begin(), capable.end(), device.capability) == capable.end()) {
      fmt::print("{:<28} not run: needs another architecture\n", kernel.info.name);
      continue;
    }
    gpu::require_device(capable, kernel.info.name);
    const gpu::VerifyResult result = kernel.verify(request);
    const double rate = result.kernel_seconds > 0 ? static_cast<double>(result.compared) / result.kernel_seconds * 1e-9 : 0;
    fmt::print("{:<28} {:>7} {:>14} {:>11} {:>12.1f}\n", kernel.info.name, result.cases, result.compared,
               result.mismatched, rate);
    if (!result.first_mismatch.empty()) fmt::print("  first mismatch: {}\n", result.first_mismatch);
    if (result.library_compared != 0) fmt::print("  {} of them also by the library's model on the host\n", result.library_compared);
    for (const auto& [mutant, exposed] : result.mutants) fmt::print("  mutant {}: exposed by {} cases\n", mutant, exposed);
    std::fflush(stdout);
    mismatched += result.mismatched;
    results.emplace_back(kernel.info.name, result);
  }
  if (!options.record.empty()) write_record(options, device, results);
  if (results.empty()) throw Error(ErrorKind::unavailable, "none of the chosen kernels runs on " + device.name);
  if (mismatched != 0) throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
}

void bench(const Options& options) {
  const std::vector<Kernel> chosen = select(options.kernel);
  gpu::BenchOptions request{.shape = parse_shape(options.shape), .repeats = options.repeats};
  const gpu::Device device = gpu::current_device();
  request.copy_bytes_per_second = gpu::measure_copy_rate();
  const bool any_gemm = std::any_of(chosen.begin(), chosen.end(), [](const Kernel& k) { return k.info.operation == gpu::Operation::gemm; });
  if (any_gemm) {
    const auto size = [&](std::int64_t asked) { return asked == 0 ? std::int64_t{8192} : asked; };
    request.cublas_flops_per_second = gpu::measure_cublas_fp16(size(request.shape.m), size(request.shape.n), size(request.shape.k));
  }
  fmt::print("device: {}; device-to-device copy {:.0f} GB/s (read + written)", device.name, request.copy_bytes_per_second * 1e-9);
  if (request.cublas_flops_per_second > 0) fmt::print("; cuBLAS FP16 {:.0f} TFLOP/s", request.cublas_flops_per_second * 1e-12);
  fmt::print("\n{:<28} {:<22} {:>10} {:>9} {:>9} {:>12}\n", "kernel", "case", "median ms", "GB/s", "x floor", "TFLOP/s");
  for (const Kernel& kernel : chosen) {
    const auto& capable = kernel.info.compute_capabilities;
    if (std::find(capable.begin(), capable.end(), device.capability) == capable.end()) {
      if (options.kernel != "all") gpu::require_device(capable, kernel.info.name);
      fmt::print("{:<28} not run: needs another architecture\n", kernel.info.name);
      continue;
    }
    for (const gpu::BenchResult& result : kernel.bench(request)) {
      const double seconds = result.median_seconds;
      fmt::print("{:<28} {:<22} {:>10.4f} {:>9.0f} {:>9.3f}", kernel.info.name, result.what, seconds * 1e3,
                 result.bytes / seconds * 1e-9, seconds / (result.bytes / request.copy_bytes_per_second));
      if (result.operations > 0) {
        fmt::print(" {:>12.1f}", result.operations / seconds * 1e-12);
        if (request.cublas_flops_per_second > 0 && kernel.info.operation == gpu::Operation::gemm) {
          fmt::print(" ({:.1f} % of cuBLAS)", 100 * result.operations / seconds / request.cublas_flops_per_second);
        }
      }
      if (result.bytes_moved > 0) fmt::print("  moves {:.1f} MB", result.bytes_moved * 1e-6);
      fmt::print("\n");
      std::fflush(stdout);
    }
  }
}

}  // namespace

void add_gpu(CLI::App& app) {
  CLI::App* gpu = app.add_subcommand("gpu", "CUDA kernels, held to the reference byte for byte");
  gpu->require_subcommand(1);
  auto options = std::make_shared<Options>();

  CLI::App* list_command = gpu->add_subcommand("list", "Name the kernels, their architectures and whether they have run on hardware");
  list_command->add_flag("--json", options->json, "As JSON");
  list_command->callback([options] { list(*options); });

  CLI::App* verify_command = gpu->add_subcommand("verify", "Run kernels and compare every output word with the reference");
  verify_command->add_option("--kernel", options->kernel, "A name of `gpu list`, a prefix with *, or all")->capture_default_str();
  verify_command->add_option("--shape", options->shape, "M,N,K (quantize kernels: rows,0,columns)");
  verify_command->add_option("--seed", options->seed, "Of the random inputs")->capture_default_str();
  verify_command->add_option("--elements", options->elements, "At least this many elements or outputs a kernel (1e9)")->check(CLI::Range(0.0, 1e15));
  verify_command->add_option("--golden", options->golden, "Folder of golden files whose inputs are used too");
  verify_command->add_option("--record", options->record, "Write a run record (docs/gpu_runs) to this file");
  verify_command->add_option("--commit", options->commit, "The commit that was built, for the record");
  verify_command->callback([options] { verify(*options); });

  CLI::App* bench_command = gpu->add_subcommand("bench", "Time kernels beside a device-to-device copy and cuBLAS FP16");
  bench_command->add_option("--kernel", options->kernel, "A name of `gpu list`, a prefix with *, or all")->capture_default_str();
  bench_command->add_option("--shape", options->shape, "M,N,K (quantize kernels: rows,0,columns)");
  bench_command->add_option("--repeats", options->repeats, "Timed launches")->check(CLI::Range(3, 10000))->capture_default_str();
  bench_command->callback([options] { bench(*options); });
}

#endif

}  // namespace lowbit::cli
