// SPDX-License-Identifier: MIT
// Google Benchmark over the axes of `lowbit bench`: operation/format/rule/dtype/target, for every
// instruction set of this machine, and "scalar" for the scalar engine. One thread, 65,536 values,
// which stay in a core's L2 cache. --benchmark_filter='quantize/nvfp4/.*/F32/AVX3' picks some.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/kernel_case.hpp"
#include "lowbit/scale_rule.hpp"

namespace {

using namespace lowbit;

constexpr std::size_t elements = std::size_t{1} << 16;

enum class Operation { quantize, dequantize, eval, amax };

struct Axes {
  Operation operation;
  const BlockFormat* format;
  ScaleRule rule;
  const Dtype* dtype;
  std::int64_t target;  ///< 0: the scalar engine
};

void measure(benchmark::State& state, const Axes& axes) {
  if (axes.target != 0) detail::force_vector_target(axes.target);
  detail::KernelCase kernel(*axes.format, axes.rule, elements, *axes.dtype, axes.target == 0);
  kernel.quantize();
  std::vector<float> out(elements);
  for ([[maybe_unused]] auto _ : state) {
    switch (axes.operation) {
      case Operation::quantize:
        kernel.quantize();
        break;
      case Operation::dequantize:
        kernel.dequantize(out);
        benchmark::DoNotOptimize(out.data());
        break;
      case Operation::eval: {
        ErrorStatistics sums = kernel.measure();
        benchmark::DoNotOptimize(sums);
        break;
      }
      case Operation::amax:
        benchmark::DoNotOptimize(kernel.top_magnitude());
        break;
    }
    benchmark::ClobberMemory();
  }
  detail::force_vector_target(0);
  const auto done =
      static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(elements);
  state.SetItemsProcessed(done);
  const bool is_coded =
      axes.operation == Operation::quantize || axes.operation == Operation::dequantize;
  const double bytes = kernel.stored_bytes() + (is_coded ? kernel.coded_bytes() : 0.0);
  state.SetBytesProcessed(static_cast<std::int64_t>(static_cast<double>(done) * bytes));
}

void add(const char* operation, std::string_view target, const Axes& axes) {
  const std::string name = std::string(operation) + "/" + std::string(axes.format->name) + "/" +
                           std::string(name_of(axes.rule)) + "/" + std::string(axes.dtype->name) +
                           "/" + std::string(target);
  benchmark::RegisterBenchmark(name.c_str(),
                               [axes](benchmark::State& state) { measure(state, axes); });
}

void add_all(std::string_view target, std::int64_t id) {
  for (const BlockFormat& format : block_formats()) {
    bool is_first = true;
    for (const ScaleRule rule : scale_rules()) {
      if (!is_valid_rule(format, rule) || searches(rule)) continue;
      for (const Dtype* const dtype : {&dtype_f32, &dtype_f16, &dtype_bf16}) {
        const Axes axes{Operation::quantize, &format, rule, dtype, id};
        add("quantize", target, axes);
        Axes eval = axes;
        eval.operation = Operation::eval;
        add("eval", target, eval);
      }
      // The scalar engine has no dequantization of its own.
      if (is_first && id != 0) {
        add("dequantize", target, {Operation::dequantize, &format, rule, &dtype_f32, id});
      }
      is_first = false;
    }
  }
  for (const Dtype* const dtype : {&dtype_f32, &dtype_f16, &dtype_bf16}) {
    add("amax", target,
        {Operation::amax, find_block_format("nvfp4"), ScaleRule::static_6, dtype, id});
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (const detail::VectorTarget& target : detail::vector_targets())
    add_all(target.name, target.id);
  add_all("scalar", 0);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
