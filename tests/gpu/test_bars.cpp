// SPDX-License-Identifier: MIT
// Bars and the lines of `lowbit gpu bench` from figures that no device has to measure.
#include <cmath>
#include <string>

#include "catch.hpp"
#include "gpu_text.hpp"
#include "lowbit/gpu/bars.hpp"

namespace {

using namespace lowbit;
using gpu::BarKind;
using gpu::Verdict;

const std::string h100 = "NVIDIA H100 80GB HBM3";
const gpu::BenchOptions with_cublas{.copy_bytes_per_second = 1e12, .cublas_flops_per_second = 1e15};
const gpu::BenchOptions no_cublas{.copy_bytes_per_second = 1e12};

gpu::BenchResult result_of(double milliseconds, gpu::Shape shape) {
  // The floor is 1 ms; 10^15 operations per second for 1 ms.
  return {.what = "case",
          .median_seconds = milliseconds * 1e-3,
          .bytes = 1e9,
          .operations = 1e12,
          .shape = shape};
}

const gpu::KernelInfo& info_of(const std::string& name) {
  static const std::vector<gpu::Kernel> all = gpu::kernels();
  for (const gpu::Kernel& kernel : all) {
    if (kernel.info.name == name) return kernel.info;
  }
  FAIL("no kernel " << name);
  return all[0].info;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_CASE("a time is held to its bar, at the bar itself and on both sides of it") {
  const auto at = [](BarKind kind, double limit, double milliseconds,
                     const gpu::BenchOptions& run) {
    const gpu::Bar bar{h100, "*", {}, kind, limit};
    return gpu::judge(&bar, result_of(milliseconds, {}), run);
  };
  CHECK(at(BarKind::times_floor, 1.25, 1.25, with_cublas).verdict == Verdict::met);
  CHECK(at(BarKind::times_floor, 1.25, 1.2501, with_cublas).verdict == Verdict::missed);
  CHECK(std::fabs(at(BarKind::times_floor, 1.25, 1.5, with_cublas).value - 1.5) < 1e-12);
  CHECK(at(BarKind::share_of_copy, 0.8, 1.25, with_cublas).verdict == Verdict::met);
  CHECK(at(BarKind::share_of_copy, 0.8, 1.2501, with_cublas).verdict == Verdict::missed);
  CHECK(std::fabs(at(BarKind::share_of_copy, 0.8, 2, with_cublas).value - 0.5) < 1e-12);
  CHECK(at(BarKind::share_of_cublas, 0.5, 1.9999, with_cublas).verdict == Verdict::met);
  CHECK(at(BarKind::share_of_cublas, 0.5, 2.0001, with_cublas).verdict == Verdict::missed);
  CHECK(std::fabs(at(BarKind::share_of_cublas, 0.5, 4, with_cublas).value - 0.25) < 1e-12);
  CHECK(at(BarKind::share_of_cublas, 0.5, 1, no_cublas).verdict == Verdict::nothing_to_compare);
  CHECK(gpu::judge(nullptr, result_of(1, {}), with_cublas).verdict == Verdict::no_bar);
}

TEST_CASE("bars hold for the card, the kernels and the shape that they were set for") {
  const gpu::Shape square{8192, 0, 8192};
  const gpu::Bar* bar = gpu::find_bar(h100, "quantize_if4_mse", square);
  REQUIRE(bar != nullptr);
  CHECK(bar->kind == BarKind::times_floor);
  CHECK(bar->limit == 1.25);
  const gpu::Bar* decode = gpu::find_bar(h100, "gemm_if3_decode", {16, 8192, 8192});
  REQUIRE(decode != nullptr);
  CHECK(decode->kind == BarKind::share_of_copy);
  CHECK(decode->limit == 0.7);
  const gpu::Bar* wgmma = gpu::find_bar(h100, "gemm_nvfp4_wgmma", {8192, 8192, 8192});
  REQUIRE(wgmma != nullptr);
  CHECK(wgmma->kind == BarKind::share_of_cublas);
  CHECK(wgmma->limit == 0.6);
  for (const char* other : {"NVIDIA H200", "NVIDIA H100 PCIe", "NVIDIA H100 80GB HBM3e", ""}) {
    CHECK(gpu::find_bar(other, "quantize_if4_mse", square) == nullptr);
  }
  CHECK(gpu::find_bar(h100, "gemm_if4_mma_f16", {8192, 8192, 8192}) == nullptr);
  CHECK(gpu::find_bar(h100, "quantize_if4_mse", {8192, 0, 4096}) == nullptr);
  CHECK(gpu::find_bar(h100, "quantize_if4_mse", {16, 0, 8192}) == nullptr);
  CHECK(gpu::find_bar(h100, "gemm_if3_decode", {16, 4096, 8192}) == nullptr);
  // Each names a card that a run record names.
  for (const gpu::Bar& one : gpu::bars()) {
    bool recorded = false;
    for (const gpu::RunRecord& run : gpu::run_records())
      recorded = recorded || run.device == one.device;
    CHECK(recorded);
  }
}

TEST_CASE("a missed bar is counted and is exit code 1; without a bar there is nothing to miss") {
  const gpu::Shape square{8192, 0, 8192};
  cli::BenchTable table(h100);
  CHECK(count(table.line(info_of("quantize_if4_mse"), result_of(1.2, square), with_cublas),
              "1.200 of 1.25 x floor: met") == 1);
  CHECK(table.exit_code() == 0);
  CHECK(count(table.line(info_of("quantize_if4_mse"), result_of(1.3, square), with_cublas),
              "1.300 of 1.25 x floor: MISSED") == 1);
  CHECK(table.exit_code() == 1);
  CHECK(table.summary() == "bars missed: 1 of 2\n");
  CHECK(count(table.line(info_of("gemm_if4_wgmma"), result_of(2, {8192, 8192, 8192}), with_cublas),
              "50.0 of 60 % of cuBLAS: MISSED") == 1);
  CHECK(table.missed() == 2);
  CHECK(count(table.line(info_of("gemm_if4_wgmma"), result_of(2, {8192, 8192, 8192}), no_cublas),
              "nothing to compare with") == 1);
  CHECK(count(table.line(info_of("gemm_if4_decode"), result_of(1.25, {16, 8192, 8192}), no_cublas),
              "80.0 of 70 % of the copy rate: met") == 1);
  CHECK(table.summary() == "bars missed: 2 of 4\n");

  cli::BenchTable elsewhere("NVIDIA H200");
  CHECK(count(elsewhere.line(info_of("quantize_if4_mse"), result_of(100, square), with_cublas),
              "  no bar\n") == 1);
  CHECK(count(elsewhere.line(info_of("gemm_if4_wgmma"), result_of(100, {8192, 8192, 8192}),
                             with_cublas),
              "  no bar\n") == 1);
  CHECK(elsewhere.exit_code() == 0);
  CHECK(elsewhere.summary() == "bars missed: 0 of 0\n");
}

TEST_CASE("only quantize kernels have a multiple of the floor") {
  const auto figures = gpu::figures_of(gpu::Operation::quantize, result_of(1.5, {}), with_cublas);
  CHECK(std::fabs(figures.times_floor.value() - 1.5) < 1e-12);
  CHECK_FALSE(figures.operations_per_second.has_value());
  CHECK_FALSE(figures.share_of_cublas.has_value());
  for (const gpu::Operation operation : {gpu::Operation::gemm, gpu::Operation::decode}) {
    const auto gemm = gpu::figures_of(operation, result_of(2, {}), with_cublas);
    CHECK_FALSE(gemm.times_floor.has_value());
    CHECK(std::fabs(gemm.operations_per_second.value() / 5e14 - 1) < 1e-12);
    CHECK(gemm.share_of_cublas.has_value() == (operation == gpu::Operation::gemm));
  }
  CHECK_FALSE(gpu::figures_of(gpu::Operation::gemm, result_of(2, {}), no_cublas)
                  .share_of_cublas.has_value());
  cli::BenchTable table(h100);
  CHECK(table.line(info_of("gemm_if4_mma_f16"), result_of(2, {8192, 8192, 8192}), with_cublas) ==
        "gemm_if4_mma_f16             case                 2.0000      500        -     500.0      "
        "50.0     1000.0  no bar\n");
  CHECK(table.line(info_of("quantize_if4_mse"), result_of(2, {}), with_cublas) ==
        "quantize_if4_mse             case                 2.0000      500    2.000         -      "
        "   -     1000.0  no bar\n");
}

TEST_CASE("a line says once that a kernel has not run on hardware") {
  std::size_t never = 0;
  for (const gpu::Kernel& kernel : gpu::kernels()) {
    INFO(kernel.info.name);
    const bool offered = static_cast<bool>(kernel.bench);
    CHECK(count(cli::hardware_text(kernel.info), "not run") <= 1);
    const std::string skipped = cli::skip_text(kernel.info, offered, 70);
    CHECK(count(skipped, "not run") == (offered ? 0 : 1));
    CHECK_FALSE(skipped.empty());
    never += offered ? 0 : 1;
    if (offered) {
      CHECK(skipped == "skipped: needs another architecture");
      for (const int capability : kernel.info.compute_capabilities)
        CHECK(cli::skip_text(kernel.info, true, capability).empty());
    }
  }
  CHECK(never == 2);
}

}  // namespace
