// SPDX-License-Identifier: MIT
// Plain loops over lanes, which the compiler vectorizes; compiled three times, because a shift by a
// different amount in each lane is one instruction only from AVX2 on.
#include "tensor_core/lanes.hpp"

#include <algorithm>
#include <vector>

namespace lowbit::sim::detail {
namespace {

[[gnu::always_inline]] inline void aligned_body(const AlignedLanes& s) {
  alignas(64) std::int32_t products[max_terms][lane_count];
  alignas(64) std::int32_t exponents[max_terms][lane_count];
  alignas(64) std::int32_t largest[lane_count];
  alignas(64) std::int32_t scale[lane_count];
  std::copy_n(s.largest, lane_count, largest);
  std::copy_n(s.scale_exponents, lane_count, scale);
  for (int i = 0; i < s.count; ++i) {
    const int k = s.order[i];
    const std::int32_t a = s.a_significands[k];
    const std::int32_t a_exponent = s.a_exponents[k];
    const std::int16_t* b = s.b_significands + k * lane_count;
    const std::int16_t* b_exponent = s.b_exponents + k * lane_count;
    for (int lane = 0; lane < lane_count; ++lane) {
      const std::int32_t product = a * b[lane];
      const std::int32_t e =
          product == 0 ? s.exponent_of_zero : a_exponent + b_exponent[lane] + scale[lane];
      products[i][lane] = product;
      exponents[i][lane] = e;
      largest[lane] = std::max(largest[lane], e);
    }
  }
  alignas(64) std::int64_t sums[lane_count] = {};
  // Terms stay below 2^27, so 16 of them fit 31 bits and a sign.
  for (int first = 0; first < s.count; first += 16) {
    alignas(64) std::int32_t partial[lane_count] = {};
    const int last = std::min(first + 16, s.count);
    for (int i = first; i < last; ++i) {
      for (int lane = 0; lane < lane_count; ++lane) {
        const std::int32_t product = products[i][lane];
        const std::int32_t sign = product >> 31;
        const auto magnitude = static_cast<std::uint32_t>((product ^ sign) - sign) << s.up;
        const auto shift =
            static_cast<std::uint32_t>(std::min(largest[lane] - exponents[i][lane], 31));
        partial[lane] += (static_cast<std::int32_t>(magnitude >> shift) ^ sign) - sign;
      }
    }
    for (int lane = 0; lane < lane_count; ++lane) sums[lane] += partial[lane];
  }
  std::copy_n(largest, lane_count, s.largest);
  std::copy_n(sums, lane_count, s.sums);
}

[[gnu::always_inline]] inline void grouped_body(const GroupedLanes& s) {
  constexpr int groups = 4;
  alignas(64) std::int32_t products[groups][lane_count];
  alignas(64) std::int32_t exponents[groups][lane_count];
  alignas(64) std::int32_t largest[lane_count];
  std::copy_n(s.largest, lane_count, largest);
  for (int g = 0; g < groups; ++g) {
    // 16 products of at most 12 * 12 stay far below 2^15.
    alignas(64) std::int16_t sums[lane_count] = {};
    for (int k = g * 16; k < g * 16 + 16; ++k) {
      const std::int16_t a = s.a_halves[k];
      const std::int16_t* b = s.b_halves + k * lane_count;
      for (int lane = 0; lane < lane_count; ++lane) {
        sums[lane] = static_cast<std::int16_t>(sums[lane] + static_cast<std::int16_t>(a * b[lane]));
      }
    }
    const std::int32_t a_scale = s.a_scale_significands[g];
    const std::int32_t a_exponent = s.a_scale_exponents[g];
    const std::int32_t a_nonzero = s.a_nonzero[g];
    for (int lane = 0; lane < lane_count; ++lane) {
      const std::int32_t scale = a_scale * s.b_scale_significands[g * lane_count + lane];
      const std::int32_t shared = a_nonzero & s.b_nonzero[g * lane_count + lane];
      const std::int32_t e = shared == 0 || scale == 0
                                 ? s.exponent_of_zero
                                 : a_exponent + s.b_scale_exponents[g * lane_count + lane];
      products[g][lane] = sums[lane] * scale;
      exponents[g][lane] = e;
      largest[lane] = std::max(largest[lane], e);
    }
  }
  alignas(64) std::int64_t totals[lane_count] = {};
  for (int g = 0; g < groups; ++g) {
    for (int lane = 0; lane < lane_count; ++lane) {
      const std::int64_t product = products[g][lane];
      const std::int64_t sign = products[g][lane] >> 31;
      const auto magnitude = static_cast<std::uint64_t>((product ^ sign) - sign) << s.up;
      const auto shift =
          static_cast<std::uint64_t>(std::min(largest[lane] - exponents[g][lane], 63));
      totals[lane] += (static_cast<std::int64_t>(magnitude >> shift) ^ sign) - sign;
    }
  }
  std::copy_n(largest, lane_count, s.largest);
  std::copy_n(totals, lane_count, s.sums);
}

void aligned_any(const AlignedLanes& s) {
  aligned_body(s);
}
void grouped_any(const GroupedLanes& s) {
  grouped_body(s);
}

#if defined(__x86_64__)
// GCC keeps to vectors of 256 bits unless it is asked; clang does not know the word.
#if defined(__clang__)
#define LOWBIT_TARGET_AVX512 gnu::target("avx512f,avx512bw,avx512dq,avx512vl")
#else
#define LOWBIT_TARGET_AVX512 \
  gnu::target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
[[gnu::target("avx2")]] void aligned_avx2(const AlignedLanes& s) {
  aligned_body(s);
}
[[gnu::target("avx2")]] void grouped_avx2(const GroupedLanes& s) {
  grouped_body(s);
}
[[LOWBIT_TARGET_AVX512]] void aligned_avx512(const AlignedLanes& s) {
  aligned_body(s);
}
[[LOWBIT_TARGET_AVX512]] void grouped_avx512(const GroupedLanes& s) {
  grouped_body(s);
}
#endif

std::vector<LaneKernels> usable() {
  std::vector<LaneKernels> kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    kernels.push_back({"avx512", aligned_avx512, grouped_avx512});
  }
  if (__builtin_cpu_supports("avx2")) kernels.push_back({"avx2", aligned_avx2, grouped_avx2});
#endif
  kernels.push_back({"any", aligned_any, grouped_any});
  return kernels;
}

}  // namespace

std::span<const LaneKernels> lane_kernels() {
  static const std::vector<LaneKernels> kernels = usable();
  return kernels;
}

}  // namespace lowbit::sim::detail
