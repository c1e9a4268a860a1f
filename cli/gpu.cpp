// SPDX-License-Identifier: MIT
// lowbit gpu: its list of kernels, and what `verify` and `bench` share.
#ifdef LOWBIT_HAS_GPU
#include "gpu_command.hpp"
#endif

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "commands.hpp"
#include "lowbit/error.hpp"
#ifdef LOWBIT_HAS_GPU
#include "gpu_text.hpp"
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

void KernelSelection::add_options(CLI::App& command) {
  command
      .add_option("--kernel", kernel,
                  "A name of `gpu list`, a pattern such as quantize_if4_*, or all")
      ->capture_default_str();
  command.add_option("--shape", shape, "M,N,K (quantize kernels: rows,0,columns)");
}

gpu::Shape KernelSelection::parsed_shape() const {
  gpu::Shape sizes;
  if (shape.empty()) return sizes;
  std::istringstream in(shape);
  char comma1 = 0;
  char comma2 = 0;
  constexpr std::int64_t limit = std::int64_t{1} << 32;
  if (!(in >> sizes.m >> comma1 >> sizes.n >> comma2 >> sizes.k) || comma1 != ',' ||
      comma2 != ',' || in.peek() != std::char_traits<char>::eof() || sizes.m < 0 || sizes.n < 0 ||
      sizes.k < 0 || sizes.m > limit || sizes.n > limit || sizes.k > limit) {
    throw Error(
        ErrorKind::usage,
        fmt::format("--shape '{}': expected M,N,K (quantize kernels: rows,0,columns)", shape));
  }
  return sizes;
}

std::vector<gpu::Kernel> KernelSelection::kernels() const {
  std::vector<gpu::Kernel> all = gpu::kernels();
  if (kernel == "all") return all;
  std::vector<gpu::Kernel> chosen;
  for (gpu::Kernel& one : all) {
    if (fnmatch(kernel.c_str(), one.info.name.c_str(), 0) == 0) chosen.push_back(std::move(one));
  }
  if (chosen.empty()) {
    throw Error(ErrorKind::usage, fmt::format("no GPU kernel is named '{}'; lowbit gpu list names "
                                              "them (a pattern with * matches several)",
                                              kernel));
  }
  return chosen;
}

bool KernelSelection::skips(const gpu::Kernel& one, bool offered, const gpu::Device& device) const {
  const std::string why = skip_text(one.info, offered, device.capability);
  if (why.empty()) return false;
  if (kernel == one.info.name) {
    if (offered) gpu::require_device(one.info.compute_capabilities, one.info.name);
    throw Error(ErrorKind::unavailable, one.info.name + ": " + why);
  }
  fmt::print("{:<28} {}\n", one.info.name, why);
  return true;
}

namespace {

void list(bool as_json) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const gpu::Kernel& kernel : gpu::kernels()) {
    const gpu::KernelInfo& info = kernel.info;
    if (!as_json) {
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
  if (as_json) fmt::print("{}\n", json.dump(2));
}

}  // namespace

void add_gpu(CLI::App& app) {
  CLI::App* gpu =
      app.add_subcommand("gpu", "CUDA kernels, compared with the reference byte for byte");
  gpu->require_subcommand(1);
  CLI::App* list_command = gpu->add_subcommand(
      "list", "Name the kernels, their architectures and whether they have run on hardware");
  const auto json = std::make_shared<bool>(false);
  list_command->add_flag("--json", *json, "As JSON");
  list_command->callback([json] { list(*json); });
  add_gpu_verify(*gpu);
  add_gpu_bench(*gpu);
}

#endif

}  // namespace lowbit::cli
