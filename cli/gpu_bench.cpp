// SPDX-License-Identifier: MIT
// lowbit gpu bench: times of kernels beside a copy and cuBLAS.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "gpu_command.hpp"
#include "gpu_text.hpp"
#include "lowbit/error.hpp"

namespace lowbit::cli {
namespace {

struct Options {
  KernelSelection selection;
  int repeats = 60;
};

void bench(const Options& options) {
  const std::vector<gpu::Kernel> chosen = options.selection.kernels();
  gpu::BenchOptions request{.shape = options.selection.parsed_shape(), .repeats = options.repeats};
  const gpu::Device device = gpu::current_device();
  request.copy_bytes_per_second = gpu::measure_copy_rate();
  fmt::print("device: {}; device-to-device copy {:.0f} GB/s (read + written)", device.name,
             request.copy_bytes_per_second * 1e-9);
  BenchTable table(device.name);
  fmt::print("\n{}", table.header());
  bool timed = false;
  // cuBLAS heats the card: it is measured when the first kernel needs it.
  bool compares = false;
  for (const gpu::Kernel& kernel : chosen) {
    if (options.selection.skips(kernel, static_cast<bool>(kernel.bench), device)) continue;
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

void add_gpu_bench(CLI::App& gpu) {
  const auto options = std::make_shared<Options>();
  CLI::App* bench_command =
      gpu.add_subcommand("bench", "Time kernels beside a device-to-device copy and cuBLAS FP16");
  options->selection.add_options(*bench_command);
  bench_command->add_option("--repeats", options->repeats, "Timed launches")
      ->check(CLI::Range(3, 10000))
      ->capture_default_str();
  bench_command->callback([options] { bench(*options); });
}

}  // namespace lowbit::cli
