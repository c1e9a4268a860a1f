// SPDX-License-Identifier: MIT
#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/architectures.hpp"
#include "lowbit/error.hpp"
#include "lowbit/gpu/kernel.hpp"
#include "run_records.hpp"  // generated: docs/gpu_runs/*.json, one string per file

namespace lowbit::gpu {

std::string_view name_of(Operation operation) {
  switch (operation) {
    case Operation::quantize:
      return "quantize";
    case Operation::gemm:
      return "gemm";
    case Operation::decode:
      return "decode";
  }
  return "";
}

std::vector<Kernel> kernels() {
  std::vector<Kernel> all = quantize_kernels();
  for (Kernel& kernel : gemm_kernels()) all.push_back(std::move(kernel));
  return all;
}

std::span<const RunRecord> run_records() {
  static const std::vector<RunRecord> records = [] {
    std::vector<RunRecord> parsed;
    for (const char* text : generated::run_record_texts) {
      const auto json = nlohmann::json::parse(text, nullptr, false);
      if (json.is_discarded())
        throw Error(ErrorKind::internal, "docs/gpu_runs: a record is not JSON");
      parsed.push_back({json.at("device"), json.at("driver"), json.at("commit"), json.at("date"),
                        json.at("architecture"),
                        json.at("kernels").get<std::vector<std::string>>()});
    }
    return parsed;
  }();
  return records;
}

const RunRecord* find_run(const std::string& kernel) {
  const RunRecord* newest = nullptr;
  for (const RunRecord& record : run_records()) {
    for (const std::string& name : record.kernels) {
      if (name == kernel && (newest == nullptr || record.date >= newest->date)) newest = &record;
    }
  }
  return newest;
}

std::string architecture_on(const KernelInfo& kernel, int capability) {
  for (const std::string& architecture : kernel.architectures) {
    if (detail::capability_of(architecture) == capability) return architecture;
  }
  return "";
}

std::vector<std::string> not_run_architectures(const KernelInfo& kernel) {
  std::vector<std::string> left = kernel.architectures;
  for (const RunRecord& record : run_records()) {
    if (std::find(record.kernels.begin(), record.kernels.end(), kernel.name) !=
        record.kernels.end()) {
      std::erase(left, record.architecture);
    }
  }
  return left;
}

}  // namespace lowbit::gpu
