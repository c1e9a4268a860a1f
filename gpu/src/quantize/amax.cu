// SPDX-License-Identifier: MIT
// The tensor's amax: one maximum per thread block, which the next kernel combines.
#include "quantize/load.cuh"

namespace lowbit::gpu::detail {
namespace {

constexpr int threads = amax_threads;

/// The block's maximum, from binary32 bits of numbers that are not negative.
__device__ void store_block_maximum(std::uint32_t m, std::uint32_t* out) {
  __shared__ std::uint32_t shared[threads / 32];
  m = __reduce_max_sync(0xFFFFFFFFU, m);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = m;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  m = threadIdx.x < threads / 32 ? shared[threadIdx.x] : 0;
  m = __reduce_max_sync(0xFFFFFFFFU, m);
  if (threadIdx.x == 0) out[blockIdx.x] = m;
}

__device__ __forceinline__ std::uint32_t larger_halves(std::uint32_t a, std::uint32_t b) {
  std::uint32_t r;
  asm("max.s16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}

/// The larger half if it is finite; else the maximum by the policy (rare: one half at a time).
template <Input kType>
__device__ std::uint32_t sixteen_bit_magnitude(std::uint32_t half, Policy policy) {
  constexpr std::uint32_t infinity = kType == Input::bf16 ? bf16_infinity : f16_infinity;
  if (half < infinity) return half;
  return policy == Policy::saturate && half == infinity ? infinity - 1 : 0;
}

/// items: 16-byte vectors, whole ones. partial_count is the number of thread blocks.
template <Input kType>
__global__ void __launch_bounds__(threads) amax_vectors(const __grid_constant__ Arguments a) {
  cudaTriggerProgrammaticLaunchCompletion();  // the quantize kernel may start, and waits for this
                                              // one's end
  const auto* in = static_cast<const uint4*>(a.input);
  std::uint32_t maximum = 0;
  const std::uint32_t stride = gridDim.x * threads;
  constexpr int unroll = 4;
  constexpr std::uint32_t infinity =
      kType == Input::f32 ? f32_infinity : (kType == Input::bf16 ? bf16_infinity : f16_infinity);
  for (std::uint32_t i = blockIdx.x * threads + threadIdx.x; i < a.items; i += unroll * stride) {
    uint4 v[unroll];
#pragma unroll
    for (int u = 0; u < unroll; ++u) {
      const std::uint32_t at = i + u * stride;
      v[u] = at < a.items ? __ldg(in + at) : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (int u = 0; u < unroll; ++u) {
      std::uint32_t w[4] = {v[u].x, v[u].y, v[u].z, v[u].w};
      if constexpr (kType == Input::f32) {
        std::uint32_t m = 0;
#pragma unroll
        for (std::uint32_t& word : w) m = max(m, word &= 0x7FFFFFFFU);
        if (m >= infinity) {
          m = 0;
          for (const std::uint32_t word : w) {
            m = max(m, word < infinity
                           ? word
                           : (a.policy == Policy::saturate && word == infinity ? infinity - 1 : 0));
          }
        }
        maximum = max(maximum, m);
      } else {
        std::uint32_t m = 0;
#pragma unroll
        for (std::uint32_t& word : w) m = larger_halves(m, word &= 0x7FFF7FFFU);
        if (max(m & 0xFFFF, m >> 16) >= infinity) {
          m = 0;
          for (const std::uint32_t word : w) {
            m = max(m, max(sixteen_bit_magnitude<kType>(word & 0xFFFF, a.policy),
                           sixteen_bit_magnitude<kType>(word >> 16, a.policy)));
          }
        }
        maximum = larger_halves(maximum, m);
      }
    }
  }
  if constexpr (kType != Input::f32) {
    maximum = max(maximum & 0xFFFF, maximum >> 16);
    maximum =
        kType == Input::bf16
            ? maximum << 16
            : __float_as_uint(__half2float(__ushort_as_half(static_cast<std::uint16_t>(maximum))));
  }
  store_block_maximum(maximum, a.partial_maxima);
}

/// items: segments of 16 elements of a row.
__global__ void __launch_bounds__(threads) amax_segments(const __grid_constant__ Arguments a) {
  float maximum = 0.0F;
  Arguments quiet = a;
  quiet.first_nonfinite = nullptr;  // the quantize kernel reports it
  for (std::uint32_t i = blockIdx.x * threads + threadIdx.x; i < a.items;
       i += gridDim.x * threads) {
    const std::uint32_t row = divide(i, a.per_row);
    float x[16];
    const bool nonfinite = load_general(quiet, row, (i - row * a.per_row.divisor) * 16, x);
    maximum = larger(maximum, largest_finite_magnitude(x, nonfinite));
  }
  store_block_maximum(__float_as_uint(maximum), a.partial_maxima);
}

}  // namespace

cudaError_t launch_amax(const Arguments& a, const Launch& launch) {
  if (launch.kind == Kind::fast) {
    if (a.type == Input::f32)
      amax_vectors<Input::f32><<<a.partial_count, threads, 0, launch.stream>>>(a);
    if (a.type == Input::f16)
      amax_vectors<Input::f16><<<a.partial_count, threads, 0, launch.stream>>>(a);
    if (a.type == Input::bf16)
      amax_vectors<Input::bf16><<<a.partial_count, threads, 0, launch.stream>>>(a);
  } else {
    amax_segments<<<a.partial_count, threads, 0, launch.stream>>>(a);
  }
  return cudaGetLastError();
}

}  // namespace lowbit::gpu::detail
