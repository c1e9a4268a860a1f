// SPDX-License-Identifier: MIT
// Inputs of the GEMM campaigns and the replay that judges them, on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "lowbit/gpu/gemm.hpp"

namespace lowbit::gpu::detail {

enum class InputKind : std::uint8_t {
  spread,     // block scales lognormal over 14 binades, codes uniform
  raw,        // every scale byte but NaN, codes uniform
  cancel,     // neighbouring blocks of K cancel but for a few elements, scales spread
  benign,     // scales within a binade: most sums are exact, the weakest test
  sparse,     // most codes 0, zero and subnormal scales, -0 and the most negative integers
  nan_scale,  // spread, and one NaN scale byte in 2^14
};
inline constexpr int input_kinds = 6;

// The wrong models; each is evaluated on every eighth row of a case.
inline constexpr std::array<std::string_view, 8> mutant_names{"fraction_bits 24",
                                                              "fraction_bits 26",
                                                              "final rounding to nearest",
                                                              "8 terms a step",
                                                              "FMA chain",
                                                              "swapped scales",
                                                              "order of sums reversed",
                                                              "code order (even, odd) swapped"};
inline constexpr int mutant_count = static_cast<int>(mutant_names.size());

struct ReplayCounts {
  unsigned long long compared = 0;
  unsigned long long mismatched = 0;
  unsigned long long first = ~0ULL;               // smallest index of D that differs
  unsigned long long mutant_outputs = 0;          // on which mutants were evaluated
  unsigned long long exposed[mutant_count] = {};  // of them, where the mutant's word differs
};

// Codes and scale bytes of one operand (side 0: A, 1: B); a pure function of its arguments.
cudaError_t generate_operand(GemmFormat format, InputKind kind, std::uint64_t seed, int side,
                             int rows, int k, std::uint8_t* codes, std::uint8_t* scales,
                             cudaStream_t stream);

// Every element to FP16, 16 * ceil(k/16) columns a row, through integers and the definition of the
// format, not through gemm_expand.hpp. swap_scales: a mutant, pairs of blocks exchange scale bytes.
cudaError_t expand_operand(GemmFormat format, bool swap_scales, int rows, int k_blocks,
                           const std::uint8_t* codes, const std::uint8_t* scales,
                           std::uint16_t* out, cudaStream_t stream);

// Replays the schedule on every output and compares with d.
cudaError_t replay_compare(GemmKernel kernel, int m, int n, int k_blocks, const std::uint16_t* a,
                           const std::uint16_t* b, const std::uint16_t* b_swapped, float alpha,
                           const float* d, ReplayCounts* counts, cudaStream_t stream);

}  // namespace lowbit::gpu::detail
