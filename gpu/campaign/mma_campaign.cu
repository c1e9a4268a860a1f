// SPDX-License-Identifier: MIT
// Compares the tensor-core models with a Hopper GPU, word for word, on many dot products, and
// counts for each of several wrong models on how many of the same cases it would have been noticed.
// Usage: mma_campaign [--dots N] [--seed S] [--only PART] [--out FILE.json] [--driver TEXT]
//                     [--commit TEXT] [--self-test TILES]
// Exit codes: 0 all campaigns pass, 1 a mismatch or a wrong model that no case tells, 2 usage,
// 5 no Hopper GPU. --self-test needs no GPU: it counts on the host what the cases would tell.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "cases.hpp"
#include "hardware.cuh"
#include "lowbit/sim/instruction.hpp"
#include "lowbit/sim/mma.hpp"
#include "lowbit/sim/mma_core.hpp"

namespace lowbit::campaign {
namespace {

using sim::Instruction;
using sim::MmaParameters;
using sim::MmaRule;
using sim::MmaTerm;

constexpr int max_variants = 20;
constexpr int max_failures = 8;
constexpr int tile_outputs = tile_rows * tile_columns;
constexpr int threads = 128;

struct Failure {
  std::uint64_t tile;
  int row, column;
  std::uint32_t c, hardware, model;
  std::uint32_t a[vector_words], b[vector_words];
};

struct Arguments {
  Case cases;
  Hardware hardware;
  sim::MmaShape variants[max_variants];  // the first is the model
  int variant_count;
  std::uint64_t seed;
  std::uint64_t tiles;
  std::uint64_t dumped;  // tiles whose D comes back
  std::uint32_t* dump;
  unsigned long long* hardware_differs;  // [variant]
  unsigned long long* model_differs;     // [variant]
  unsigned int* failure_count;
  Failure* failures;
};

__device__ __noinline__ std::uint32_t model_dot(const sim::MmaShape& s, const MmaTerm* a,
                                                const MmaTerm* b, std::uint32_t c) {
  return sim::instruction_dot(s, a, b, nullptr, nullptr, c);
}

__global__ void __launch_bounds__(threads) campaign_kernel(const __grid_constant__ Arguments g) {
  __shared__ std::uint32_t a_words[tile_rows][vector_words];
  __shared__ std::uint32_t b_words[tile_columns][vector_words];
  __shared__ __align__(128) std::uint32_t b_core[tile_columns * vector_words];
  __shared__ MmaTerm a_terms[tile_rows][32];
  __shared__ MmaTerm b_terms[tile_columns][32];
  const int per_word = 32 / g.cases.container;
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const MmaRule rule = g.cases.shape.parameters.rule;
  for (std::uint64_t tile = blockIdx.x; tile < g.tiles; tile += gridDim.x) {
    const Plan plan = plan_of(g.cases, g.seed, tile);
    __syncthreads();
    for (int i = threadIdx.x; i < (tile_rows + tile_columns) * vector_words; i += threads) {
      const bool side_b = i >= tile_rows * vector_words;
      const int v = side_b ? i / vector_words - tile_rows : i / vector_words;
      const int w = i % vector_words;
      std::uint32_t word = 0;
      for (int e = 0; e < per_word; ++e) {
        const int at = w * per_word + e;
        const std::uint32_t code = element(g.cases, plan, side_b, g.seed, tile, v, at);
        word |= code << (e * g.cases.container);
        const MmaTerm term = sim::decode_element(side_b ? g.cases.b : g.cases.a, rule, code);
        if (side_b)
          b_terms[v][at] = term;
        else
          a_terms[v][at] = term;
      }
      if (side_b) {
        b_words[v][w] = word;
        b_core[core_matrix_word(v, w)] = word;
      } else {
        a_words[v][w] = word;
      }
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    const int upper = warp * 16 + lane / 4;
    const int first_column = 2 * (lane % 4);
    std::uint32_t c[4];
    std::uint32_t d[4];
    for (int r = 0; r < 4; ++r) {
      const int row = upper + (r >= 2 ? 8 : 0);
      const int column = first_column + (r & 1);
      const std::uint32_t dot = plan.family == Family::cancels
                                    ? model_dot(g.cases.shape, a_terms[row], b_terms[column], 0)
                                    : 0;
      d[r] = c[r] = addend(g.cases, plan, g.seed, tile, row, column, dot);
    }
    __syncwarp();
    const int w = lane % 4;
    const std::uint32_t a[4] = {a_words[upper][w], a_words[upper + 8][w], a_words[upper][w + 4],
                                a_words[upper + 8][w + 4]};
    const std::uint32_t b[2] = {b_words[lane / 4][w], b_words[lane / 4][w + 4]};
    run_instruction(g.hardware, a, b, b_descriptor(b_core), d);
    std::uint32_t right[4];
    for (int v = 0; v < g.variant_count; ++v) {
      unsigned hardware_differs = 0;
      unsigned model_differs = 0;
      for (int r = 0; r < 4; ++r) {
        const int row = upper + (r >= 2 ? 8 : 0);
        const int column = first_column + (r & 1);
        const std::uint32_t word = model_dot(g.variants[v], a_terms[row], b_terms[column], c[r]);
        if (v == 0) right[r] = word;
        hardware_differs += word != d[r];
        model_differs += word != right[r];
        if (v == 0 && word != d[r]) {
          const unsigned at = atomicAdd(g.failure_count, 1U);
          if (at < max_failures) {
            Failure& f = g.failures[at];
            f.tile = tile;
            f.row = row;
            f.column = column;
            f.c = c[r];
            f.hardware = d[r];
            f.model = word;
            for (int i = 0; i < vector_words; ++i) {
              f.a[i] = a_words[row][i];
              f.b[i] = b_words[column][i];
            }
          }
        }
      }
      hardware_differs = __reduce_add_sync(0xFFFFFFFFU, hardware_differs);
      model_differs = __reduce_add_sync(0xFFFFFFFFU, model_differs);
      if (lane == 0 && hardware_differs != 0)
        atomicAdd(g.hardware_differs + v, static_cast<unsigned long long>(hardware_differs));
      if (lane == 0 && model_differs != 0)
        atomicAdd(g.model_differs + v, static_cast<unsigned long long>(model_differs));
    }
    if (tile < g.dumped) {
      for (int r = 0; r < 4; ++r) {
        g.dump[tile * tile_outputs + (upper + (r >= 2 ? 8 : 0)) * tile_columns + first_column +
               (r & 1)] = d[r];
      }
    }
  }
}

/// One tile given in full: A [64][8], B [8][8] and C [64][8] words to D [64][8].
__global__ void __launch_bounds__(threads)
    tile_kernel(Hardware hardware, const std::uint32_t* a_in, const std::uint32_t* b_in,
                const std::uint32_t* c_in, std::uint32_t* d_out) {
  __shared__ __align__(128) std::uint32_t b_core[tile_columns * vector_words];
  if (threadIdx.x < tile_columns * vector_words) {
    b_core[core_matrix_word(threadIdx.x / vector_words, threadIdx.x % vector_words)] =
        b_in[threadIdx.x];
  }
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  const int lane = threadIdx.x % 32;
  const int upper = threadIdx.x / 32 * 16 + lane / 4;
  const int w = lane % 4;
  const std::uint32_t* upper_words = a_in + upper * vector_words;
  const std::uint32_t* lower_words = upper_words + 8 * vector_words;
  const std::uint32_t a[4] = {upper_words[w], lower_words[w], upper_words[w + 4],
                              lower_words[w + 4]};
  const std::uint32_t b[2] = {b_in[lane / 4 * vector_words + w],
                              b_in[lane / 4 * vector_words + w + 4]};
  std::uint32_t d[4];
  const auto at = [&](int r) {
    return (upper + (r >= 2 ? 8 : 0)) * tile_columns + 2 * w + (r & 1);
  };
  for (int r = 0; r < 4; ++r) d[r] = c_in[at(r)];
  run_instruction(hardware, a, b, b_descriptor(b_core), d);
  for (int r = 0; r < 4; ++r) d_out[at(r)] = d[r];
}

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "mma_campaign: %s: %s\n", what, cudaGetErrorString(status));
  std::exit(5);
}

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    check(cudaMalloc(&data_, count * sizeof(T)), "cudaMalloc");
    check(cudaMemset(data_, 0, count * sizeof(T)), "cudaMemset");
  }
  explicit DeviceArray(const std::vector<T>& from) : DeviceArray(from.size()) {
    check(cudaMemcpy(data_, from.data(), count_ * sizeof(T), cudaMemcpyHostToDevice),
          "copy to the device");
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }
  [[nodiscard]] T* get() const { return data_; }
  [[nodiscard]] std::vector<T> host() const {
    std::vector<T> out(count_);
    check(cudaMemcpy(out.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost),
          "copy from the device");
    return out;
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

struct Campaign {
  Hardware hardware;
  const char* instruction;
};

constexpr Campaign campaigns[] = {
    {Hardware::mma_f32_f16, "mma.Hopper.m16n8k16.f32.f16.f16.f32"},
    {Hardware::mma_f16_f16, "mma.Hopper.m16n8k16.f16.f16.f16.f16"},
    {Hardware::mma_f32_bf16, "mma.Hopper.m16n8k16.f32.bf16.bf16.f32"},
    {Hardware::mma_f32_tf32, "mma.Hopper.m16n8k8.f32.tf32.tf32.f32"},
    {Hardware::mma_f32_e4m3, "mma.Hopper.m16n8k32.f32.e4m3.e4m3.f32"},
    {Hardware::mma_f32_e5m2, "mma.Hopper.m16n8k32.f32.e5m2.e5m2.f32"},
    {Hardware::mma_f16_e4m3, "mma.Hopper.m16n8k32.f16.e4m3.e4m3.f16"},
    {Hardware::mma_f16_e5m2, "mma.Hopper.m16n8k32.f16.e5m2.e5m2.f16"},
    {Hardware::wgmma_f32_f16, "wgmma.Hopper.m64n8k16.f32.f16.f16"},
    {Hardware::wgmma_f16_f16, "wgmma.Hopper.m64n8k16.f16.f16.f16"},
    {Hardware::wgmma_f32_bf16, "wgmma.Hopper.m64n8k16.f32.bf16.bf16"},
    {Hardware::wgmma_f32_tf32, "wgmma.Hopper.m64n8k8.f32.tf32.tf32"},
    {Hardware::wgmma_f32_e4m3, "wgmma.Hopper.m64n8k32.f32.e4m3.e4m3"},
    {Hardware::wgmma_f32_e5m2, "wgmma.Hopper.m64n8k32.f32.e5m2.e5m2"},
    {Hardware::wgmma_f32_e4m3_e5m2, "wgmma.Hopper.m64n8k32.f32.e4m3.e5m2"},
    {Hardware::wgmma_f16_e4m3, "wgmma.Hopper.m64n8k32.f16.e4m3.e4m3"},
    {Hardware::wgmma_f16_e5m2, "wgmma.Hopper.m64n8k32.f16.e5m2.e5m2"},
};

struct Variant {
  std::string name;
  MmaParameters parameters;
  bool required = true;  // the campaign fails where no case tells it from the model
};

std::vector<Variant> variants_of(const Instruction& i) {
  const MmaParameters p = i.parameters;
  const bool half = i.d == &f16;
  const bool emulated = p.rule == MmaRule::emulated;
  // Products of these reach below 2^-133 (FP32 results) or 2^-22 (FP16 results), others cannot.
  const bool deep = half ? i.a == &f16 : (i.a == &bf16 || i.a == &tf32);
  std::vector<Variant> all{{"model", p, false}};
  const auto add = [&](std::string name, bool required, auto&& change) {
    Variant v{std::move(name), p, required};
    change(v.parameters);
    if (v.parameters != p) all.push_back(std::move(v));
  };
  add("fraction bits - 1", true, [](MmaParameters& q) { --q.fraction_bits; });
  add("fraction bits + 1", true, [](MmaParameters& q) { ++q.fraction_bits; });
  if (emulated) {
    add("grouping: consecutive halves", true, [](MmaParameters& q) { q.group = 16; });
    add("grouping: even and odd", true, [](MmaParameters& q) { q.group = 1; });
  } else {
    add("grouping: half the terms", true, [](MmaParameters& q) { q.terms /= 2; });
  }
  add("final rounding", true, [](MmaParameters& q) {
    switch (q.rounding) {
      case sim::FinalRounding::f32_toward_zero:
        q.rounding = sim::FinalRounding::f32_nearest_even;
        break;
      case sim::FinalRounding::e8m13_toward_zero:
        q.rounding = sim::FinalRounding::e8m13_nearest_even;
        break;
      default:
        q.rounding = sim::FinalRounding::f16_toward_zero;
    }
  });
  if (p.rounding == sim::FinalRounding::e8m13_toward_zero) {
    add("final rounding to 23 fraction bits", true,
        [](MmaParameters& q) { q.rounding = sim::FinalRounding::f32_toward_zero; });
  }
  add("fused multiply-add chain", true, [](MmaParameters& q) { q.rule = MmaRule::fma_chain; });
  add("sign of zero: C = -0 and no product gives -0", true,
      [](MmaParameters& q) { q.zero_sum = sim::ZeroSum::negative_if_addend_negative; });
  if (!emulated) {
    add("sign of zero: all -0 gives -0", true,
        [](MmaParameters& q) { q.zero_sum = sim::ZeroSum::negative_if_all_negative; });
    add("sign of zero: all -0 gives +0", true,
        [](MmaParameters& q) { q.zero_sum = sim::ZeroSum::positive; });
  }
  // Negative sums too small for the result: FP8 products with FP16 results stop at 2^-18 (E4M3).
  const bool underflows = half ? i.a != &e4m3 : deep;
  add("sign of underflow: dropped", underflows,
      [](MmaParameters& q) { q.underflow_keeps_sign = false; });
  add("sign of underflow: kept", underflows,
      [](MmaParameters& q) { q.underflow_keeps_sign = true; });
  for (const int away : {-1, 1, 2}) {
    add("exponent of zero " + std::to_string(p.exponent_of_zero + away), deep && away != 2,
        [&](MmaParameters& q) { q.exponent_of_zero += away; });
  }
  for (const int other : half ? std::vector<int>{-14, -20, -21, -22, -23, -24, -126, -133}
                              : std::vector<int>{-126, -132}) {
    add("exponent of zero " + std::to_string(other) + " (candidate)", false,
        [&](MmaParameters& q) { q.exponent_of_zero = other; });
  }
  if (all.size() > max_variants) all.resize(max_variants);
  return all;
}

Case case_of(const Instruction& i) {
  Case c{*i.a, *i.b, {}, sim::container_bits(*i.a)};
  c.shape.parameters = i.parameters;
  c.shape.k = i.k;
  const bool emulated = i.parameters.rule == MmaRule::emulated;
  c.shape.product_fraction_bits = emulated ? 20 : i.a->mantissa_bits + i.b->mantissa_bits;
  c.shape.half = i.d == &f16;
  return c;
}

/// A tile as the kernel makes it, on the host.
struct HostTile {
  std::vector<std::uint32_t> a = std::vector<std::uint32_t>(tile_rows * vector_words);
  std::vector<std::uint32_t> b = std::vector<std::uint32_t>(tile_columns * vector_words);
  std::vector<std::uint32_t> c = std::vector<std::uint32_t>(tile_outputs);
  std::vector<MmaTerm> a_terms;
  std::vector<MmaTerm> b_terms;

  HostTile(const Case& cases, std::uint64_t seed, std::uint64_t tile) {
    const Plan plan = plan_of(cases, seed, tile);
    const auto k = static_cast<std::size_t>(cases.shape.k);
    const int per_word = 32 / cases.container;
    const auto fill = [&](bool side_b, int vectors, std::vector<std::uint32_t>& words,
                          std::vector<MmaTerm>& terms) {
      for (int v = 0; v < vectors; ++v) {
        for (int at = 0; at < cases.shape.k; ++at) {
          const std::uint32_t code = element(cases, plan, side_b, seed, tile, v, at);
          words[static_cast<std::size_t>(v * vector_words + at / per_word)] |=
              code << (at % per_word * cases.container);
          terms.push_back(
              sim::decode_element(side_b ? cases.b : cases.a, cases.shape.parameters.rule, code));
        }
      }
    };
    fill(false, tile_rows, a, a_terms);
    fill(true, tile_columns, b, b_terms);
    for (int row = 0; row < tile_rows; ++row) {
      for (int column = 0; column < tile_columns; ++column) {
        const std::uint32_t dot =
            plan.family == Family::cancels
                ? sim::instruction_dot(cases.shape, &a_terms[static_cast<std::size_t>(row) * k],
                                       &b_terms[static_cast<std::size_t>(column) * k], nullptr,
                                       nullptr, 0)
                : 0;
        c[static_cast<std::size_t>(row * tile_columns + column)] =
            addend(cases, plan, seed, tile, row, column, dot);
      }
    }
  }
};

std::vector<std::uint32_t> library_words(const Instruction& i, const HostTile& tile) {
  const auto bytes = [](const std::vector<std::uint32_t>& words) {
    return std::span(reinterpret_cast<const std::uint8_t*>(words.data()), words.size() * 4);
  };
  const auto k = static_cast<std::size_t>(i.k);
  const sim::MmaOperand a(i, sim::MmaSide::a, bytes(tile.a), tile_rows, k);
  const sim::MmaOperand b(i, sim::MmaSide::b, bytes(tile.b), tile_columns, k);
  std::vector<std::uint32_t> d = tile.c;
  sim::mma(i, a, b, d);
  return d;
}

struct Options {
  std::uint64_t dots = std::uint64_t{1} << 27;
  std::uint64_t seed = 20251122;
  std::string only;
  std::string out;
  std::string driver = "unknown";
  std::string commit = "unknown";
  std::uint64_t self_test = 0;
};

int self_test(const Options& o) {
  bool passed = true;
  for (const Campaign& campaign : campaigns) {
    if (std::string(campaign.instruction).find(o.only) == std::string::npos) continue;
    const Instruction& i = sim::instruction(campaign.instruction);
    const Case cases = case_of(i);
    const std::vector<Variant> variants = variants_of(i);
    std::vector<std::uint64_t> tells(variants.size());
    std::uint64_t library_differs = 0;
    for (std::uint64_t tile = 0; tile < o.self_test; ++tile) {
      const HostTile t(cases, o.seed, tile);
      const std::vector<std::uint32_t> words = library_words(i, t);
      for (int at = 0; at < tile_outputs; ++at) {
        const MmaTerm* a = &t.a_terms[static_cast<std::size_t>(at / tile_columns * i.k)];
        const MmaTerm* b = &t.b_terms[static_cast<std::size_t>(at % tile_columns * i.k)];
        const auto word = [&](const MmaParameters& p) {
          sim::MmaShape s = cases.shape;
          s.parameters = p;
          return sim::instruction_dot(s, a, b, nullptr, nullptr, t.c[static_cast<std::size_t>(at)]);
        };
        const std::uint32_t right = word(i.parameters);
        if (right != words[static_cast<std::size_t>(at)]) ++library_differs;
        for (std::size_t v = 1; v < variants.size(); ++v) {
          if (word(variants[v].parameters) != right) ++tells[v];
        }
      }
    }
    std::printf("%s: %llu dots, library differs from the core on %llu\n", campaign.instruction,
                static_cast<unsigned long long>(o.self_test * tile_outputs),
                static_cast<unsigned long long>(library_differs));
    passed = passed && library_differs == 0;
    for (std::size_t v = 1; v < variants.size(); ++v) {
      const bool missing = variants[v].required && tells[v] == 0;
      passed = passed && !missing;
      std::printf("  %10llu tell %s%s\n", static_cast<unsigned long long>(tells[v]),
                  variants[v].name.c_str(), missing ? "   <- none" : "");
    }
  }
  return passed ? 0 : 1;
}

/// The directed probes of docs/tensor_cores.md: output (0, 0) of a tile that is zero elsewhere.
struct Probe {
  const char* name;
  Hardware hardware;
  const char* instruction;
  std::vector<std::uint32_t> a, b;  // codes of row 0 and column 0, in K order
  std::uint32_t c;
};

std::vector<Probe> probes() {
  std::vector<Probe> all;
  const auto repeat = [](std::uint32_t first, std::uint32_t code, int copies) {
    std::vector<std::uint32_t> codes{first};
    codes.insert(codes.end(), static_cast<std::size_t>(copies), code);
    return codes;
  };
  struct Floor {
    const char* name;
    int copies;
    std::uint32_t b;
  };
  const Floor floors[] = {{"floor: 1 iff exponent of zero <= -132", 1, 0x1800},
                          {"floor: 1 iff exponent of zero <= -133", 2, 0x1780},
                          {"floor: 1 iff exponent of zero <= -134", 4, 0x1700},
                          {"floor: 1 iff exponent of zero <= -135", 8, 0x1680}};
  for (const Floor& f : floors) {
    for (const auto& [hw, name] : {std::pair{Hardware::mma_f32_bf16, campaigns[2].instruction},
                                   {Hardware::wgmma_f32_bf16, campaigns[10].instruction}}) {
      all.push_back(
          {f.name, hw, name, repeat(0x1A00, 0x1880, f.copies), repeat(0x1A7F, f.b, f.copies), 0});
    }
    if (f.copies >= 8) continue;
    for (const auto& [hw, name] : {std::pair{Hardware::mma_f32_tf32, campaigns[3].instruction},
                                   {Hardware::wgmma_f32_tf32, campaigns[11].instruction}}) {
      all.push_back({f.name, hw, name, repeat(0x1A000000, 0x18800000, f.copies),
                     repeat(0x1A7F0000, f.b << 16, f.copies), 0});
    }
  }
  struct Half {
    const char* name;
    std::uint32_t b;
  };
  for (const Half& h : {Half{"FP16 floor: 1 iff exponent of zero <= -21", 4},
                        Half{"FP16 floor: 1 iff exponent of zero <= -22", 2},
                        Half{"FP16 floor: 1 iff exponent of zero <= -23", 1}}) {
    for (const auto& [hw, name] : {std::pair{Hardware::mma_f16_f16, campaigns[1].instruction},
                                   {Hardware::wgmma_f16_f16, campaigns[9].instruction}}) {
      all.push_back({h.name, hw, name, {0x1000, 0x0001}, {0x0400, h.b}, 0});
    }
  }
  for (const Campaign& campaign : campaigns) {
    const Instruction& i = sim::instruction(campaign.instruction);
    const auto container = [&](const ElementFormat& f, std::uint32_t code) {
      return f.bits == 19 ? code << 13 : code;
    };
    const std::vector<std::uint32_t> minus_zeros(static_cast<std::size_t>(i.k),
                                                 container(*i.a, i.a->sign_mask()));
    const std::vector<std::uint32_t> plus_zeros(static_cast<std::size_t>(i.k), 0);
    const std::uint32_t one_a =
        container(*i.a, static_cast<std::uint32_t>(i.a->bias) << i.a->mantissa_bits);
    const std::uint32_t one_b =
        container(*i.b, static_cast<std::uint32_t>(i.b->bias) << i.b->mantissa_bits);
    const std::vector<std::uint32_t> ones(static_cast<std::size_t>(i.k), one_b);
    const bool half = i.d == &f16;
    const std::uint32_t minus = half ? 0x8000U : 0x80000000U;
    all.push_back({"all products -0, C = -0", campaign.hardware, campaign.instruction, minus_zeros,
                   ones, minus});
    all.push_back(
        {"all products -0, C = +0", campaign.hardware, campaign.instruction, minus_zeros, ones, 0});
    all.push_back({"all products +0, C = -0", campaign.hardware, campaign.instruction, plus_zeros,
                   ones, minus});
    all.push_back({"1 * 1 + C, C = -1",
                   campaign.hardware,
                   campaign.instruction,
                   {one_a},
                   {one_b},
                   half ? 0xBC00U : 0xBF800000U});
  }
  all.push_back({"negative underflow, -2^-151",
                 Hardware::mma_f32_bf16,
                 campaigns[2].instruction,
                 {0x9A00},
                 {0x1980},
                 0});
  all.push_back({"negative underflow, -2^-151",
                 Hardware::wgmma_f32_bf16,
                 campaigns[10].instruction,
                 {0x9A00},
                 {0x1980},
                 0});
  all.push_back({"negative underflow, -2^-151",
                 Hardware::mma_f32_tf32,
                 campaigns[3].instruction,
                 {0x9A000000},
                 {0x19800000},
                 0});
  all.push_back({"negative underflow, -2^-151",
                 Hardware::wgmma_f32_tf32,
                 campaigns[11].instruction,
                 {0x9A000000},
                 {0x19800000},
                 0});
  all.push_back({"negative underflow, -2^-28",
                 Hardware::mma_f16_f16,
                 campaigns[1].instruction,
                 {0x8400},
                 {0x0400},
                 0});
  all.push_back({"negative underflow, -2^-28",
                 Hardware::wgmma_f16_f16,
                 campaigns[9].instruction,
                 {0x8400},
                 {0x0400},
                 0});
  all.push_back({"negative underflow, -2^-32",
                 Hardware::mma_f16_e5m2,
                 campaigns[7].instruction,
                 {0x81},
                 {0x01},
                 0});
  all.push_back({"negative underflow, -2^-32, C = -0",
                 Hardware::mma_f16_e5m2,
                 campaigns[7].instruction,
                 {0x81},
                 {0x01},
                 0x8000});
  all.push_back({"negative underflow, -2^-32",
                 Hardware::wgmma_f16_e5m2,
                 campaigns[16].instruction,
                 {0x81},
                 {0x01},
                 0});
  return all;
}

std::string hex(std::uint32_t word) {
  char text[16];
  std::snprintf(text, sizeof text, "%08x", word);
  return text;
}

bool run_probes(std::ostream& json) {
  bool equal = true;
  json << "  \"probes\": [\n";
  const std::vector<Probe> all = probes();
  for (std::size_t at = 0; at < all.size(); ++at) {
    const Probe& p = all[at];
    const Instruction& i = sim::instruction(p.instruction);
    std::vector<std::uint32_t> a(tile_rows * vector_words);
    std::vector<std::uint32_t> b(tile_columns * vector_words);
    std::vector<std::uint32_t> c(tile_outputs);
    c[0] = p.c;
    const int bits = sim::container_bits(*i.a);
    for (std::size_t e = 0; e < p.a.size(); ++e) {
      const auto bit = static_cast<int>(e) * bits;
      a[static_cast<std::size_t>(bit / 32)] |= p.a[e] << (bit % 32);
      b[static_cast<std::size_t>(bit / 32)] |= p.b[e] << (bit % 32);
    }
    const DeviceArray<std::uint32_t> da(a), db(b), dc(c),
        dd(static_cast<std::size_t>(tile_outputs));
    tile_kernel<<<1, threads>>>(p.hardware, da.get(), db.get(), dc.get(), dd.get());
    check(cudaDeviceSynchronize(), "probe");
    const std::uint32_t hardware = dd.host()[0];
    const std::uint32_t model = sim::dot(i, p.a, p.b, p.c);
    equal = equal && hardware == model;
    std::printf("%s %-44s %s: hardware %s, model %s\n", hardware == model ? "  " : "!!", p.name,
                p.instruction, hex(hardware).c_str(), hex(model).c_str());
    json << "    {\"probe\": \"" << p.name << "\", \"instruction\": \"" << p.instruction
         << "\", \"hardware\": \"" << hex(hardware) << "\", \"model\": \"" << hex(model) << "\"}"
         << (at + 1 < all.size() ? "," : "") << "\n";
  }
  json << "  ]\n";
  return equal;
}

bool run_campaign(const Campaign& campaign, const Options& o, std::ostream& json) {
  const Instruction& i = sim::instruction(campaign.instruction);
  const std::vector<Variant> variants = variants_of(i);
  Arguments g{};
  g.cases = case_of(i);
  g.hardware = campaign.hardware;
  g.variant_count = static_cast<int>(variants.size());
  for (std::size_t v = 0; v < variants.size(); ++v) {
    g.variants[v] = g.cases.shape;
    g.variants[v].parameters = variants[v].parameters;
  }
  g.seed = o.seed;
  g.tiles = (o.dots + tile_outputs - 1) / tile_outputs;
  g.dumped = g.tiles < 400 ? g.tiles : 400;
  const DeviceArray<std::uint32_t> dump(g.dumped * tile_outputs);
  const DeviceArray<unsigned long long> hardware_differs(max_variants), model_differs(max_variants);
  const DeviceArray<unsigned int> failure_count(1);
  const DeviceArray<Failure> failures(max_failures);
  g.dump = dump.get();
  g.hardware_differs = hardware_differs.get();
  g.model_differs = model_differs.get();
  g.failure_count = failure_count.get();
  g.failures = failures.get();
  cudaEvent_t start, stop;
  check(cudaEventCreate(&start), "event");
  check(cudaEventCreate(&stop), "event");
  check(cudaEventRecord(start), "event");
  campaign_kernel<<<132 * 8, threads>>>(g);
  check(cudaGetLastError(), "launch");
  check(cudaEventRecord(stop), "event");
  check(cudaDeviceSynchronize(), campaign.instruction);
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, start, stop), "event");

  // The library's own batched model, on the host, against the words of the first tiles.
  const std::vector<std::uint32_t> words = dump.host();
  std::uint64_t library_differs = 0;
  for (std::uint64_t tile = 0; tile < g.dumped; ++tile) {
    const std::vector<std::uint32_t> d = library_words(i, HostTile(g.cases, g.seed, tile));
    for (std::size_t at = 0; at < d.size(); ++at) {
      if (d[at] != words[tile * tile_outputs + at]) ++library_differs;
    }
  }
  const auto against_hardware = hardware_differs.host();
  const auto against_model = model_differs.host();
  bool passed = against_hardware[0] == 0 && library_differs == 0;
  const std::uint64_t dots = g.tiles * tile_outputs;
  std::printf(
      "%s: %llu dots in %.0f ms, hardware differs from the model on %llu; from the host library on "
      "%llu of %llu\n",
      campaign.instruction, static_cast<unsigned long long>(dots), milliseconds,
      against_hardware[0], static_cast<unsigned long long>(library_differs),
      static_cast<unsigned long long>(g.dumped * tile_outputs));
  json << "    {\"instruction\": \"" << campaign.instruction << "\", \"dots\": " << dots
       << ", \"mismatches\": " << against_hardware[0]
       << ", \"host_dots\": " << g.dumped * tile_outputs
       << ", \"host_mismatches\": " << library_differs << ",\n     \"mutants\": [\n";
  for (std::size_t v = 1; v < variants.size(); ++v) {
    const bool missing = variants[v].required && against_model[v] == 0;
    passed = passed && !missing;
    std::printf("  %11llu tell, hardware differs on %11llu: %s%s\n", against_model[v],
                against_hardware[v], variants[v].name.c_str(), missing ? "   <- none" : "");
    json << "       {\"mutant\": \"" << variants[v].name << "\", \"told_by\": " << against_model[v]
         << ", \"hardware_differs\": " << against_hardware[v]
         << ", \"required\": " << (variants[v].required ? "true" : "false") << "}"
         << (v + 1 < variants.size() ? "," : "") << "\n";
  }
  json << "     ], \"failures\": [";
  const unsigned count = failure_count.host()[0];
  const auto dumped = failures.host();
  for (unsigned f = 0; f < count && f < max_failures; ++f) {
    std::ostringstream line;
    line << "tile " << dumped[f].tile << " (family " << dumped[f].tile % family_count
         << ") c=" << hex(dumped[f].c) << " hardware=" << hex(dumped[f].hardware)
         << " model=" << hex(dumped[f].model) << " a=";
    for (const std::uint32_t w : dumped[f].a) line << hex(w) << ' ';
    line << "b=";
    for (const std::uint32_t w : dumped[f].b) line << hex(w) << ' ';
    std::printf("  %s\n", line.str().c_str());
    json << (f != 0 ? ", " : "") << "\"" << line.str() << "\"";
  }
  json << "], \"passed\": " << (passed ? "true" : "false") << "}";
  std::printf("  %s\n", passed ? "passed" : "FAILED");
  std::fflush(stdout);
  return passed;
}

int run(const Options& o) {
  int count = 0;
  cudaDeviceProp device{};
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0 ||
      cudaGetDeviceProperties(&device, 0) != cudaSuccess || device.major != 9) {
    std::fprintf(stderr, "mma_campaign: no Hopper GPU (compute capability 9.0) here\n");
    return 5;
  }
  std::ostringstream json;
  json << "{\n  \"device\": \"" << device.name << "\", \"driver\": \"" << o.driver
       << "\", \"commit\": \"" << o.commit << "\", \"seed\": " << o.seed
       << ",\n  \"campaigns\": [\n";
  bool passed = true;
  bool first = true;
  for (const Campaign& campaign : campaigns) {
    if (std::string(campaign.instruction).find(o.only) == std::string::npos) continue;
    if (!first) json << ",\n";
    first = false;
    passed = run_campaign(campaign, o, json) && passed;
  }
  json << "\n  ],\n";
  passed = run_probes(json) && passed;
  json << "}\n";
  if (!o.out.empty()) {
    std::ofstream file(o.out);
    file << json.str();
    if (!file.flush()) {
      std::fprintf(stderr, "mma_campaign: %s cannot be written\n", o.out.c_str());
      return 3;
    }
  }
  std::printf("%s\n", passed ? "all campaigns passed" : "FAILED");
  return passed ? 0 : 1;
}

}  // namespace
}  // namespace lowbit::campaign

int main(int argc, char** argv) {
  lowbit::campaign::Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (i + 1 >= argc) {
      std::fprintf(stderr, "mma_campaign: %s needs a value\n", name.c_str());
      return 2;
    }
    const char* value = argv[++i];
    if (name == "--dots")
      o.dots = std::strtoull(value, nullptr, 10);
    else if (name == "--seed")
      o.seed = std::strtoull(value, nullptr, 10);
    else if (name == "--only")
      o.only = value;
    else if (name == "--out")
      o.out = value;
    else if (name == "--driver")
      o.driver = value;
    else if (name == "--commit")
      o.commit = value;
    else if (name == "--self-test")
      o.self_test = std::strtoull(value, nullptr, 10);
    else {
      std::fprintf(stderr, "mma_campaign: unknown option %s\n", name.c_str());
      return 2;
    }
  }
  return o.self_test != 0 ? lowbit::campaign::self_test(o) : lowbit::campaign::run(o);
}
