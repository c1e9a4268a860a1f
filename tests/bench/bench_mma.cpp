// SPDX-License-Identifier: MIT
// Products a second of every tensor-core model on one core, and an NVFP4 GEMM on all cores.
// usage: bench_mma [--benchmark_filter=REGEX] (every instruction is one benchmark, by its name)
#include <benchmark/benchmark.h>

#include <random>
#include <thread>

#include "lowbit/sim/mma.hpp"

namespace {

using namespace lowbit;
using namespace lowbit::sim;

/// Codes that are finite and of moderate exponent, so that no result is decided by a special.
std::vector<std::uint8_t> operand_memory(const ElementFormat& format, std::size_t elements,
                                         std::mt19937& random) {
  const int bits = container_bits(format);
  std::vector<std::uint8_t> memory(elements * static_cast<std::size_t>(bits) / 8);
  for (std::size_t i = 0; i < memory.size(); ++i) {
    memory[i] = static_cast<std::uint8_t>(random());
    if (bits == 8)
      memory[i] &= static_cast<std::uint8_t>(format.sign_mask() | (format.magnitude_mask() >> 1));
  }
  const std::size_t width = static_cast<std::size_t>(bits) / 8;
  for (std::size_t i = 0; bits >= 16 && i < elements; ++i) {
    // The top byte: sign and an exponent about 1.
    memory[i * width + width - 1] =
        static_cast<std::uint8_t>((random() & 0x80U) | 0x3CU | (random() & 1U));
  }
  return memory;
}

MmaOperand operand(const Instruction& i, MmaSide side, std::size_t vectors, std::size_t k,
                   std::mt19937& random) {
  const ElementFormat& format = side == MmaSide::a ? *i.a : *i.b;
  std::vector<std::uint8_t> scales;
  if (i.block != 0) {
    scales.resize(vectors * k / static_cast<std::size_t>(i.block));
    for (std::uint8_t& s : scales)
      s = static_cast<std::uint8_t>(i.scale == &e8m0 ? 120 + random() % 16 : 40 + random() % 32);
  }
  return {i, side, operand_memory(format, vectors * k, random), vectors, k, scales};
}

void run_model(benchmark::State& state, const Instruction* instruction) {
  std::mt19937 random(1);
  constexpr std::size_t m = 32;
  constexpr std::size_t n = 64;
  constexpr std::size_t k = 512;
  const MmaOperand a = operand(*instruction, MmaSide::a, m, k, random);
  const MmaOperand b = operand(*instruction, MmaSide::b, n, k, random);
  std::vector<std::uint32_t> d(m * n);
  for (auto _ : state) {
    std::fill(d.begin(), d.end(), 0);
    mma(*instruction, a, b, d);
    benchmark::DoNotOptimize(d.data());
  }
  state.counters["products"] =
      benchmark::Counter(static_cast<double>(m * n * k) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}

void nvfp4_gemm(benchmark::State& state) {
  const Instruction& i =
      instruction("tcgen05mma_block_scale.Blackwell.m128n8k64.block16.f32.e2m1.e2m1.ue4m3");
  std::mt19937 random(1);
  constexpr std::size_t m = 1024;
  constexpr std::size_t n = 1024;
  constexpr std::size_t k = 4096;
  for (auto _ : state) {
    state.PauseTiming();
    const std::vector<std::uint8_t> a = operand_memory(e2m1, m * k, random);
    const std::vector<std::uint8_t> b = operand_memory(e2m1, n * k, random);
    const std::vector<std::uint8_t> scales(m * k / 16, 0x38);
    std::vector<std::uint32_t> d(m * n);
    state.ResumeTiming();
    const MmaOperand left(i, MmaSide::a, a, m, k, scales);
    const MmaOperand right(i, MmaSide::b, b, n, k, scales);
    mma(i, left, right, d, {}, static_cast<unsigned>(state.range(0)));
    benchmark::DoNotOptimize(d.data());
  }
  state.counters["products"] =
      benchmark::Counter(static_cast<double>(m * n * k) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}

/// The plain thing beside the models: FP32 multiply and add along K.
void plain_f32(benchmark::State& state) {
  constexpr std::size_t m = 32;
  constexpr std::size_t n = 64;
  constexpr std::size_t k = 512;
  std::mt19937 random(1);
  std::vector<float> a(m * k);
  std::vector<float> b(k * n);
  for (float& x : a) x = static_cast<float>(random() % 1000) - 500.0F;
  for (float& x : b) x = static_cast<float>(random() % 1000) - 500.0F;
  std::vector<float> d(m * n);
  for (auto _ : state) {
    std::fill(d.begin(), d.end(), 0.0F);
    for (std::size_t row = 0; row < m; ++row) {
      for (std::size_t i = 0; i < k; ++i) {
        for (std::size_t column = 0; column < n; ++column)
          d[row * n + column] += a[row * k + i] * b[i * n + column];
      }
    }
    benchmark::DoNotOptimize(d.data());
  }
  state.counters["products"] =
      benchmark::Counter(static_cast<double>(m * n * k) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::RegisterBenchmark("nvfp4_gemm_1024x1024x4096/threads", nvfp4_gemm)
      ->Arg(1)
      ->Arg(2)
      ->Iterations(1)
      ->UseRealTime()
      ->Unit(benchmark::kSecond);
  benchmark::RegisterBenchmark("plain_f32", plain_f32);
  for (const Instruction& i : instructions()) {
    benchmark::RegisterBenchmark(i.name.c_str(), run_model, &i)->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
