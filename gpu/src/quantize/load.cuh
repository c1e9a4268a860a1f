// SPDX-License-Identifier: MIT
// From global memory to sixteen binary32 elements: types, padding, non-finite elements, Hadamard.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "quantize/block.cuh"
#include "quantize/launch.hpp"

namespace lowbit::gpu::detail {

__device__ __forceinline__ std::uint32_t divide(std::uint32_t n, const Divisor& d) {
  return (__umulhi(n, d.multiplier) + n) >> d.shift;
}

// Device code takes values of the records, not the records.
inline constexpr std::uint32_t f32_infinity = f32.infinity_code();
inline constexpr std::uint32_t f16_infinity = f16.infinity_code();
inline constexpr std::uint32_t bf16_infinity = bf16.infinity_code();
inline constexpr float f32_largest = lowbit::largest_finite(f32);
inline constexpr float f16_largest = lowbit::largest_finite(f16);
inline constexpr float bf16_largest = lowbit::largest_finite(bf16);

__device__ __forceinline__ float largest_finite(Input type) {
  return type == Input::f32 ? f32_largest : (type == Input::f16 ? f16_largest : bf16_largest);
}

__device__ __forceinline__ bool is_finite(float x) {
  return (__float_as_uint(x) & f32_infinity) != f32_infinity;
}

/// Applies the caller's policy to x in place. index: of x[0] in the tensor.
/// \return whether non-finite elements remain
__device__ __forceinline__ bool apply_policy(float (&x)[16], Policy policy, Input type,
                                             unsigned long long* first_nonfinite,
                                             unsigned long long index) {
  bool all_finite = true;
#pragma unroll
  for (int i = 0; i < 16; ++i) all_finite = all_finite && is_finite(x[i]);
  if (all_finite) return false;
  for (int i = 15; i >= 0; --i) {
    if (is_finite(x[i])) continue;
    if (policy == Policy::saturate) {
      x[i] = isnan(x[i]) ? 0.0F : copysignf(largest_finite(type), x[i]);
    } else if (policy == Policy::error && first_nonfinite != nullptr) {
      atomicMin(first_nonfinite, index + i);
    }
  }
  return policy != Policy::saturate;
}

__device__ __forceinline__ float round_to_type(float x, Input type) {
  if (type == Input::bf16) return __bfloat162float(__float2bfloat16_rn(x));
  if (type == Input::f16) return __half2float(__float2half_rn(x));
  return x;
}

/// y_j = 0.25 * the sum in order of sign_i x_i H_ij, rounded to the input's type.
__device__ __forceinline__ void hadamard16(float (&x)[16], Input type) {
  constexpr std::uint32_t negative = 0xD7E8;  // bit i: sign_i is -
  float sum[16];
#pragma unroll
  for (int j = 0; j < 16; ++j) sum[j] = 0.0F;
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const float v = (negative >> i & 1) != 0 ? -x[i] : x[i];
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      const int bits = i & j;
      const int parity = (bits ^ bits >> 1 ^ bits >> 2 ^ bits >> 3) & 1;
      sum[j] = parity != 0 ? sum[j] - v : sum[j] + v;
    }
  }
#pragma unroll
  for (int j = 0; j < 16; ++j) x[j] = round_to_type(0.25F * sum[j], type);
}

/// Elements column .. column + 15 of a row, zeros where the tensor ends.
/// \return whether non-finite elements remain
__device__ __forceinline__ bool load_general(const Arguments& a, std::uint32_t row,
                                             std::uint32_t column, float (&x)[16]) {
#pragma unroll
  for (int i = 0; i < 16; ++i) x[i] = 0.0F;
  if (row >= a.rows || column >= a.columns) return false;
  const std::size_t index = static_cast<std::size_t>(row) * a.columns + column;
  const std::uint32_t count = a.columns - column < 16 ? a.columns - column : 16;
  if (a.type == Input::f32) {
    const auto* p = static_cast<const float*>(a.input) + index;
    if (a.aligned_input && count == 16) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float4 v = __ldg(reinterpret_cast<const float4*>(p) + i);
        x[4 * i] = v.x, x[4 * i + 1] = v.y, x[4 * i + 2] = v.z, x[4 * i + 3] = v.w;
      }
    } else {
      // Byte by byte where the pointer is not even aligned to an element.
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(p);
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        if (i >= count) continue;
        std::uint32_t bits = 0;
        for (int k = 0; k < 4; ++k) bits |= static_cast<std::uint32_t>(bytes[4 * i + k]) << (8 * k);
        x[i] = __uint_as_float(bits);
      }
    }
  } else {
    const auto* p = static_cast<const std::uint16_t*>(a.input) + index;
    std::uint16_t raw[16] = {};
    if (a.aligned_input && count == 16) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const uint4 v = __ldg(reinterpret_cast<const uint4*>(p) + i);
        const std::uint32_t w[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int k = 0; k < 8; ++k)
          raw[8 * i + k] = static_cast<std::uint16_t>(w[k / 2] >> (16 * (k % 2)));
      }
    } else {
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(p);
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        if (i < count) raw[i] = static_cast<std::uint16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8);
      }
    }
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      x[i] = a.type == Input::bf16 ? __uint_as_float(static_cast<std::uint32_t>(raw[i]) << 16)
                                   : __half2float(__ushort_as_half(raw[i]));
    }
  }
  bool nonfinite = apply_policy(x, a.policy, a.type, a.first_nonfinite, index);
  if (a.hadamard) {
    hadamard16(x, a.type);
    nonfinite = apply_policy(x, a.policy, a.type, a.first_nonfinite, index) || nonfinite;
  }
  return nonfinite;
}

__device__ __forceinline__ float largest_finite_magnitude(const float (&x)[16], bool nonfinite) {
  float b = 0.0F;
#pragma unroll
  for (int i = 0; i < 16; ++i)
    b = larger(b, nonfinite && !is_finite(x[i]) ? 0.0F : std::fabs(x[i]));
  return b;
}

}  // namespace lowbit::gpu::detail
