// SPDX-License-Identifier: MIT
#include "lowbit/gpu/bars.hpp"

#include <fnmatch.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "lowbit/error.hpp"
#include "run_records.hpp"  // generated: docs/gpu_runs/bars.json

namespace lowbit::gpu {
namespace {

std::vector<Bar> read_bars() {
  const auto json = nlohmann::json::parse(generated::bars_text, nullptr, false);
  if (!json.is_array())
    throw Error(ErrorKind::internal, "docs/gpu_runs/bars.json: not a list of bars");
  constexpr std::pair<const char*, BarKind> kinds[] = {
      {"at_most_times_floor", BarKind::times_floor},
      {"at_least_of_copy", BarKind::share_of_copy},
      {"at_least_of_cublas", BarKind::share_of_cublas}};
  std::vector<Bar> all;
  for (const auto& entry : json) {
    const auto& shape = entry.at("shape");
    for (const auto& [key, kind] : kinds) {
      if (!entry.contains(key)) continue;
      all.push_back({entry.at("device"),
                     entry.at("kernels"),
                     {shape.at(0), shape.at(1), shape.at(2)},
                     kind,
                     entry.at(key)});
    }
  }
  return all;
}

double floor_seconds(const BenchResult& result, const BenchOptions& run) {
  return result.bytes / run.copy_bytes_per_second;
}

}  // namespace

std::span<const Bar> bars() {
  static const std::vector<Bar> all = read_bars();
  return all;
}

const Bar* find_bar(const std::string& device, const std::string& kernel, const Shape& shape) {
  for (const Bar& bar : bars()) {
    if (bar.device == device && fnmatch(bar.kernels.c_str(), kernel.c_str(), 0) == 0 &&
        bar.shape.m == shape.m && bar.shape.n == shape.n && bar.shape.k == shape.k) {
      return &bar;
    }
  }
  return nullptr;
}

BenchFigures figures_of(Operation operation, const BenchResult& result, const BenchOptions& run) {
  BenchFigures figures;
  figures.bytes_per_second = result.bytes / result.median_seconds;
  if (operation == Operation::quantize) {
    figures.times_floor = result.median_seconds / floor_seconds(result, run);
    return figures;
  }
  figures.operations_per_second = result.operations / result.median_seconds;
  if (operation == Operation::gemm && run.cublas_flops_per_second > 0) {
    figures.share_of_cublas = *figures.operations_per_second / run.cublas_flops_per_second;
  }
  return figures;
}

BarOutcome judge(const Bar* bar, const BenchResult& result, const BenchOptions& run) {
  if (bar == nullptr) return {};
  const auto outcome = [&](double value, bool met) {
    return BarOutcome{met ? Verdict::met : Verdict::missed, value};
  };
  const double floor = floor_seconds(result, run);
  switch (bar->kind) {
    case BarKind::times_floor:
      return outcome(result.median_seconds / floor, result.median_seconds <= bar->limit * floor);
    case BarKind::share_of_copy:
      return outcome(floor / result.median_seconds, floor >= bar->limit * result.median_seconds);
    case BarKind::share_of_cublas: {
      if (!(run.cublas_flops_per_second > 0)) return {Verdict::nothing_to_compare, 0};
      const double share = result.operations / result.median_seconds / run.cublas_flops_per_second;
      return outcome(share, share >= bar->limit);
    }
  }
  return {};
}

}  // namespace lowbit::gpu
