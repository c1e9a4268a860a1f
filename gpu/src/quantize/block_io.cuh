// SPDX-License-Identifier: MIT
// What the quantize kernels share: the tensor's constants, whole blocks of 16-bit elements from
// memory, codes and scale bytes to it.
#pragma once

#include "lowbit/scale_layout.hpp"
#include "quantize/load.cuh"

namespace lowbit::gpu::detail {

inline constexpr int quantize_threads = 256;

__device__ __forceinline__ std::size_t scale_offset(const Arguments& a, std::uint32_t row,
                                                    std::uint32_t block) {
  return a.swizzled ? swizzled_scale_offset(row, block, a.blocks)
                    : static_cast<std::size_t>(row) * a.blocks + block;
}

/// The scale byte of the block whose first item is `item`, in kernels whose items are segments.
/// kSegments: how many a block has
template <std::uint32_t kSegments>
__device__ __forceinline__ void store_scale(const Arguments& a, std::uint32_t item,
                                            std::uint32_t byte) {
  std::size_t at = item / kSegments;
  if (a.swizzled) {
    const std::uint32_t row = divide(item, a.per_row);
    at = swizzled_scale_offset(row, (item - row * a.per_row.divisor) / kSegments, a.blocks);
  }
  a.scales[at] = static_cast<std::uint8_t>(byte);
}

template <bool kAligned, int kWords>
__device__ __forceinline__ void store_words(const Arguments& a, std::size_t segment,
                                            const std::uint32_t (&w)[kWords]) {
  std::uint8_t* p = a.values + segment * (4 * kWords);
  if constexpr (!kAligned) {
    if (!a.aligned_values) {
      for (int i = 0; i < 4 * kWords; ++i)
        p[i] = static_cast<std::uint8_t>(w[i / 4] >> (8 * (i % 4)));
      return;
    }
  }
  if constexpr (kWords == 2) {
    __stcs(reinterpret_cast<uint2*>(p), make_uint2(w[0], w[1]));
  } else {
    __stcs(reinterpret_cast<uint4*>(p), make_uint4(w[0], w[1], w[2], w[3]));
  }
}

/// The tensor's constants. All threads call it.
__device__ __forceinline__ TensorScale tensor_scale(const Arguments& a) {
  // Aligned, so that vector loads of it read nothing else.
  __shared__ alignas(16) std::uint32_t shared[quantize_threads / 32];
  // This kernel may have been started while the amax pass was still running (start below).
  cudaGridDependencySynchronize();
  float amax;
  if (a.given_amax != nullptr) {
    amax = *a.given_amax;
  } else {
    std::uint32_t m = 0;
    for (std::uint32_t i = threadIdx.x; i < a.partial_count; i += quantize_threads)
      m = max(m, a.partial_maxima[i]);
    m = __reduce_max_sync(0xFFFFFFFFU, m);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = m;
    __syncthreads();
    m = 0;
    for (const std::uint32_t s : shared) m = max(m, s);
    amax = __uint_as_float(m);
  }
  if (a.amax != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *a.amax = amax;
  return make_tensor_scale(amax, a.largest, a.constant, static_cast<Selection>(a.rule));
}

/// The tensor's constants, and in shared memory what each scale byte fixes.
template <class F>
__device__ void prepare(const Arguments& a, TensorScale& scale, ScaleEntry* table) {
  const TensorScale t = tensor_scale(a);
  for (std::uint32_t i = threadIdx.x; i < 128; i += quantize_threads)
    table[i] = make_scale_entry<F>(t, i);
  if (threadIdx.x == 0) scale = t;
  __syncthreads();
}

/// Sixteen 16-bit elements as they lie in memory.
struct Raw {
  std::uint32_t pair[8];
};
__device__ __forceinline__ const std::uint8_t* raw_address(const void* input,
                                                           std::uint32_t segment) {
  return static_cast<const std::uint8_t*>(input) + std::size_t{segment} * 32;
}
__device__ __forceinline__ Raw load_raw(const void* input, std::uint32_t segment) {
  const auto* p = reinterpret_cast<const uint4*>(raw_address(input, segment));
  const uint4 lo = __ldg(p);
  const uint4 hi = __ldg(p + 1);
  return {{lo.x, lo.y, lo.z, lo.w, hi.x, hi.y, hi.z, hi.w}};
}

template <bool kBf16>
__device__ __forceinline__ void to_floats(std::uint32_t pair, float& low, float& high) {
  if constexpr (kBf16) {
    low = __uint_as_float(pair << 16);
    high = __uint_as_float(pair & 0xFFFF0000U);
  } else {
    const float2 v = __half22float2(*reinterpret_cast<const __half2*>(&pair));
    low = v.x;
    high = v.y;
  }
}

/// Non-finite magnitudes by the policy: replaced, or reported and the whole block taken as zeros.
/// \return the largest magnitude
__device__ __noinline__ inline std::uint32_t replace_nonfinite(const Arguments& a, Raw& raw,
                                                               std::uint32_t segment) {
  const std::uint32_t infinity = a.type == Input::bf16 ? bf16_infinity : f16_infinity;
  std::uint32_t m = 0;
  for (int i = 15; i >= 0; --i) {
    const int shift = 16 * (i % 2);
    std::uint32_t half = raw.pair[i / 2] >> shift & 0xFFFF;
    if (half >= infinity) {
      if (a.policy == Policy::error && a.first_nonfinite != nullptr) {
        atomicMin(a.first_nonfinite, static_cast<unsigned long long>(segment) * 16 + i);
      }
      half = a.policy == Policy::saturate && half == infinity ? infinity - 1 : 0;
      raw.pair[i / 2] = (raw.pair[i / 2] & ~(0xFFFFU << shift)) | half << shift;
    }
    m = max(m, half);
  }
  if (a.policy == Policy::saturate) return m;
  for (std::uint32_t& pair : raw.pair) pair = 0;
  return 0;
}

/// Magnitudes, signs and the largest magnitude of 16 elements; non-finite ones by the policy.
/// \return whether non-finite elements remain
template <bool kNibbles>
__device__ __forceinline__ bool unpack(const Arguments& a, Raw& raw, std::uint32_t segment,
                                       float (&x)[16], Signs& signs, float& b) {
  const bool is_bf16 = a.type == Input::bf16;
  const std::uint32_t infinity = is_bf16 ? bf16_infinity : f16_infinity;
  signs = signs_of_pairs<kNibbles>(raw.pair);
  std::uint32_t m = 0;
#pragma unroll
  for (std::uint32_t& pair : raw.pair) {
    pair &= 0x7FFF7FFFU;
    asm("max.s16x2 %0, %1, %2;" : "=r"(m) : "r"(m), "r"(pair));
  }
  m = max(m & 0xFFFF, m >> 16);
  bool nonfinite = false;
  if (m >= infinity) {
    Raw copy = raw;
    m = replace_nonfinite(a, copy, segment);
    raw = copy;
    nonfinite = a.policy != Policy::saturate;
  }
  if (is_bf16) {
    b = __uint_as_float(m << 16);
#pragma unroll
    for (int i = 0; i < 8; ++i) to_floats<true>(raw.pair[i], x[2 * i], x[2 * i + 1]);
  } else {
    b = __half2float(__ushort_as_half(static_cast<std::uint16_t>(m)));
#pragma unroll
    for (int i = 0; i < 8; ++i) to_floats<false>(raw.pair[i], x[2 * i], x[2 * i + 1]);
  }
  return nonfinite;
}

}  // namespace lowbit::gpu::detail
