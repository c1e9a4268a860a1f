// SPDX-License-Identifier: MIT
#include "gpu_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lowbit/error.hpp"
#include "lowbit/gpu/bars.hpp"

namespace lowbit::cli {

std::string hardware_text(const gpu::KernelInfo& kernel) {
  const gpu::RunRecord* run = gpu::find_run(kernel.name);
  if (run == nullptr) return "not run on hardware";
  const std::vector<std::string> left = gpu::not_run_architectures(kernel);
  return fmt::format(
      "run on {} ({}, driver {}, commit {}){}", run->device, run->architecture, run->driver,
      run->commit,
      left.empty() ? "" : fmt::format("; {} not run on hardware", fmt::join(left, ", ")));
}

std::string skip_text(const gpu::KernelInfo& kernel, bool offered, int capability) {
  if (!offered) return hardware_text(kernel) + ": " + kernel.note;
  const auto& capable = kernel.compute_capabilities;
  const bool runs = std::find(capable.begin(), capable.end(), capability) != capable.end();
  return runs ? "" : "skipped: needs another architecture";
}

namespace {

std::string bar_text(const gpu::Bar* bar, const gpu::BarOutcome& outcome) {
  if (outcome.verdict == gpu::Verdict::no_bar) return "no bar";
  if (outcome.verdict == gpu::Verdict::nothing_to_compare) return "bar: nothing to compare with";
  const char* const verdict = outcome.verdict == gpu::Verdict::met ? "met" : "MISSED";
  if (bar->kind == gpu::BarKind::times_floor)
    return fmt::format("{:.3f} of {} x floor: {}", outcome.value, bar->limit, verdict);
  return fmt::format("{:.1f} of {:.0f} % of {}: {}", 100 * outcome.value, 100 * bar->limit,
                     bar->kind == gpu::BarKind::share_of_copy ? "the copy rate" : "cuBLAS",
                     verdict);
}

constexpr const char* columns = "{:<28} {:<16} {:>10} {:>8} {:>8} {:>9} {:>9} {:>10}  {}\n";

}  // namespace

std::string BenchTable::header() {
  return fmt::format(columns, "kernel", "case", "median ms", "GB/s", "x floor", "TFLOP/s",
                     "% cuBLAS", "moves MB", "bar");
}

std::string BenchTable::line(const gpu::KernelInfo& kernel, const gpu::BenchResult& result,
                             const gpu::BenchOptions& run) {
  const gpu::Bar* bar = gpu::find_bar(device_, kernel.name, result.shape);
  const gpu::BarOutcome outcome = gpu::judge(bar, result, run);
  judged_ +=
      outcome.verdict == gpu::Verdict::met || outcome.verdict == gpu::Verdict::missed ? 1 : 0;
  missed_ += outcome.verdict == gpu::Verdict::missed ? 1 : 0;
  const gpu::BenchFigures figures = gpu::figures_of(kernel.operation, result, run);
  const auto figure = [](std::optional<double> value, double unit, int digits) {
    return value ? fmt::format("{:.{}f}", *value * unit, digits) : std::string("-");
  };
  return fmt::format(
      columns, kernel.name, result.what, fmt::format("{:.4f}", result.median_seconds * 1e3),
      figure(figures.bytes_per_second, 1e-9, 0), figure(figures.times_floor, 1, 3),
      figure(figures.operations_per_second, 1e-12, 1), figure(figures.share_of_cublas, 100, 1),
      figure(std::max(result.bytes, result.bytes_moved), 1e-6, 1), bar_text(bar, outcome));
}

std::string BenchTable::summary() const {
  return fmt::format("bars missed: {} of {}\n", missed_, judged_);
}

int BenchTable::exit_code() const {
  return missed_ == 0 ? 0 : static_cast<int>(ErrorKind::mismatch);
}

}  // namespace lowbit::cli
