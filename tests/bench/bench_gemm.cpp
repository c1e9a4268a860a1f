// SPDX-License-Identifier: MIT
// 1024 x 1024 x 4096 on all cores: exact, an NVFP4 instruction's model, and a plain FP32 product of
// the dequantized operands beside them. items_per_second is products per second.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "lowbit/sim/gemm_model.hpp"
#include "sim/random_tensor.hpp"

namespace {

using namespace lowbit;
using namespace lowbit::sim;

constexpr std::size_t m = 1024;
constexpr std::size_t n = 1024;
constexpr std::size_t k = 4096;

BlockTensor operand(const char* name, std::size_t rows, unsigned seed) {
  std::mt19937 random(seed);
  BlockTensor t = lowbit_test::random_tensor(*find_block_format(name), rows, k, random);
  if (t.format->family() == ScaleFamily::mx) {
    for (auto& s : t.scales) s = static_cast<std::uint8_t>(112 + s % 32);
  }
  return t;
}

void count(benchmark::State& state) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * m * n * k));
}

void exact(benchmark::State& state, const char* name) {
  const BlockTensor a = operand(name, m, 1);
  const BlockTensor b = operand(name, n, 2);
  for (auto _ : state) benchmark::DoNotOptimize(exact_gemm(a, b));
  count(state);
}

void model(benchmark::State& state, const char* name, const char* instruction_name) {
  const BlockTensor a = operand(name, m, 1);
  const BlockTensor b = operand(name, n, 2);
  GemmModel gemm;
  gemm.instruction = &instruction(instruction_name);
  for (auto _ : state) benchmark::DoNotOptimize(run_gemm(a, b, gemm));
  count(state);
}

/// The dequantized product in FP32, in tiles of rows, as a compiler vectorizes it.
void plain_fp32(benchmark::State& state) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> a(m * k), b(k * n), d(m * n);
  for (float& x : a) x = normal(random);
  for (float& x : b) x = normal(random);
  for (auto _ : state) {
    std::fill(d.begin(), d.end(), 0.0F);
    for (std::size_t i0 = 0; i0 < m; i0 += 16) {
      for (std::size_t k0 = 0; k0 < k; k0 += 64) {
        for (std::size_t i = i0; i < i0 + 16; ++i) {
          float* row = d.data() + i * n;
          for (std::size_t kk = k0; kk < k0 + 64; ++kk) {
            const float x = a[i * k + kk];
            const float* y = b.data() + kk * n;
            for (std::size_t j = 0; j < n; ++j) row[j] += x * y[j];
          }
        }
      }
    }
    benchmark::DoNotOptimize(d.data());
  }
  count(state);
}

BENCHMARK_CAPTURE(exact, nvfp4, "nvfp4")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(exact, if4, "if4")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(exact, if6_e3m2, "if6_e3m2")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(exact, mxfp4, "mxfp4")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(exact, mxfp8_e4m3, "mxfp8_e4m3")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(model, nvfp4_tcgen05, "nvfp4",
                  "tcgen05mma_block_scale.Blackwell.m128n8k64.block16.f32.e2m1.e2m1.ue4m3")
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(model, if4_as_f16_hopper, "if4", "mma.Hopper.m16n8k16.f32.f16.f16.f32")
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(plain_fp32)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
