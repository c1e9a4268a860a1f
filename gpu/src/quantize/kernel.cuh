// SPDX-License-Identifier: MIT
// The quantize kernels: fast ones (16-bit inputs, 1D blocks, whole and aligned) and general ones,
// and their launch.
#pragma once

#include "quantize/mx_block.cuh"
#include "quantize/selecting.cuh"

namespace lowbit::gpu::detail {

/// Formats and rules with one candidate. items: 1x16 blocks, one per thread at a time, from the
/// tensor's end, because the amax pass has left the tensor's tail in the L2. Four thread blocks per
/// multiprocessor leave 64 registers, enough to load each block one round ahead.
template <class F>
__global__ void __launch_bounds__(quantize_threads, 4)
    quantize_nv_fast(const __grid_constant__ Arguments a) {
  __shared__ ScaleEntry table[128];
  __shared__ TensorScale t;
  const std::uint32_t stride = gridDim.x * quantize_threads;
  std::uint32_t i = blockIdx.x * quantize_threads + threadIdx.x;
  Raw next{};
  if (i < a.items) next = load_raw(a.input, a.items - 1 - i);
  prepare<F>(a, t, table);
  const bool rescales = t.to_range != 1.0F;
  for (; i < a.items; i += stride) {
    const std::uint32_t item = a.items - 1 - i;
    Raw raw = next;
    if (i + stride < a.items) next = load_raw(a.input, item - stride);
    float x[16];
    Signs signs;
    float b;
    // A block that holds a non-finite element to be propagated comes back as zeros.
    const bool nonfinite = unpack<F::nibbles>(a, raw, item, x, signs, b);
    if (rescales) {
#pragma unroll
      for (float& v : x) v = in_range(t, v);
      b = in_range(t, b);
    }
    std::uint32_t out[F::words];
    std::uint32_t byte =
        quantize_nv<F, Selection::none>(x, signs, b, t, table, Alone{}, false, out);
    if (nonfinite) byte = nan_scale;
    store_words<true>(a, item, out);
    store_scale<1>(a, item, byte);
  }
}

/// items: halves of 1x32 blocks, even and odd lanes together.
template <class F>
__global__ void __launch_bounds__(quantize_threads, 4)
    quantize_mx_fast(const __grid_constant__ Arguments a) {
  if (a.amax != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *a.amax = 1.0F;
  const std::uint32_t stride = gridDim.x * quantize_threads;
  const std::uint32_t lane = threadIdx.x % 32;
  for (std::uint32_t first = blockIdx.x * quantize_threads + threadIdx.x - lane; first < a.items;
       first += stride) {
    const std::uint32_t item = first + lane;
    const bool active = item < a.items;
    Raw raw{};
    if (active) raw = load_raw(a.input, item);
    float x[16];
    Signs signs;
    float b;
    bool nonfinite = unpack<F::nibbles>(a, raw, item, x, signs, b);
    b = larger(b, __shfl_xor_sync(0xFFFFFFFFU, b, 1));
    nonfinite = __shfl_xor_sync(0xFFFFFFFFU, nonfinite, 1) || nonfinite;
    std::uint32_t byte = mx_scale_byte<F>(b, static_cast<MxRule>(a.rule));
    std::uint32_t out[F::words];
    quantize_mx<F>(x, signs, byte, out);
    if (b == 0.0F || nonfinite) {
      byte = nonfinite ? 0xFF : 0;
#pragma unroll
      for (std::uint32_t& w : out) w = 0;
    }
    if (!active) continue;
    store_words<true>(a, item, out);
    if (lane % 2 == 0) store_scale<2>(a, item, byte);
  }
}

/// The 16 lanes of a half warp; each lane has one row of a 16x16 block.
struct SixteenRows {
  static constexpr int elements = 256;
  std::uint32_t mask;

  __device__ SixteenRows() : mask(0xFFFFU << (threadIdx.x & 16)) {}
  template <class Combine>
  __device__ __forceinline__ float combine(float x, Combine&& f) const {
    for (int d = 8; d > 0; d /= 2) x = f(x, __shfl_xor_sync(mask, x, d));
    return x;
  }
  __device__ __forceinline__ float sum(float x, Selection rule) const {
    if (rule == Selection::abs_max)
      return combine(x, [](float p, float q) { return larger(p, q); });
    return combine(x, [](float p, float q) { return p + q; });
  }
  /// Row after row: each row continues from the error of the row before.
  template <class Step>
  __device__ float chain(Step&& step) const {
    float e = 0.0F;
    for (int r = 0; r < 16; ++r) e = __shfl_sync(mask, step(e), r, 16);
    return e;
  }
};

/// Any input. items: 1x16 blocks (1D, in order), or pairs of neighbouring 16x16 blocks, one pair
/// per warp.
template <class F, Selection kRule, bool k2D>
__global__ void __launch_bounds__(quantize_threads)
    quantize_nv_general(const __grid_constant__ Arguments a) {
  __shared__ ScaleEntry table[128];
  __shared__ TensorScale t;
  prepare<F>(a, t, table);
  const std::uint32_t thread = blockIdx.x * quantize_threads + threadIdx.x;
  const std::uint32_t stride = gridDim.x * quantize_threads;
  const std::uint32_t step = k2D ? stride / 32 : stride;
  for (std::uint32_t i = k2D ? thread / 32 : thread; i < a.items; i += step) {
    std::uint32_t row = divide(i, a.per_row);
    std::uint32_t block = i - row * a.per_row.divisor;
    if constexpr (k2D) {
      row = row * 16 + threadIdx.x % 16;
      block = block * 2 + threadIdx.x % 32 / 16;
    }
    float x[16];
    bool nonfinite = load_general(a, row, block * 16, x);
    const Signs signs = signs_of_floats<F::nibbles>(x);
#pragma unroll
    for (float& v : x) v = in_range(t, std::fabs(v));
    float b = 0.0F;
#pragma unroll
    for (const float v : x) b = larger(b, v);
    std::uint32_t out[F::words];
    std::uint32_t byte;
    if constexpr (k2D) {
      const SixteenRows group;
      b = group.combine(b, [](float p, float q) { return larger(p, q); });
      nonfinite = __any_sync(group.mask, nonfinite);
      byte = quantize_nv<F, kRule>(x, signs, b, t, table, group, a.exact, out);
    } else {
      byte = quantize_nv<F, kRule>(x, signs, b, t, table, Alone{}, a.exact, out);
    }
    if (t.amax == 0.0F || nonfinite) {
      byte = nonfinite ? nan_scale : 0;
#pragma unroll
      for (std::uint32_t& w : out) w = 0;
    }
    if (row >= a.rows || block >= a.blocks) continue;
    store_words<false>(a, static_cast<std::size_t>(row) * a.blocks + block, out);
    a.scales[scale_offset(a, row, block)] = static_cast<std::uint8_t>(byte);
  }
}

/// Any input. items: 1x32 blocks, one per thread, or 32x32 blocks, one per warp and one row per
/// lane.
template <class F, bool k2D>
__global__ void __launch_bounds__(quantize_threads)
    quantize_mx_general(const __grid_constant__ Arguments a) {
  if (a.amax != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *a.amax = 1.0F;
  const std::uint32_t thread = blockIdx.x * quantize_threads + threadIdx.x;
  const std::uint32_t stride = gridDim.x * quantize_threads;
  const std::uint32_t step = k2D ? stride / 32 : stride;
  for (std::uint32_t i = k2D ? thread / 32 : thread; i < a.items; i += step) {
    std::uint32_t row = divide(i, a.per_row);
    const std::uint32_t block = i - row * a.per_row.divisor;
    if constexpr (k2D) row = row * 32 + threadIdx.x % 32;
    float b = 0.0F;
    bool nonfinite = false;
    std::uint32_t byte = 0;
    // Twice over the block: once for its amax, once for its codes.
    for (int half = 0; half < 4; ++half) {
      float x[16];
      const bool bad = load_general(a, row, block * 32 + half % 2 * 16, x);
      if (half < 2) {
        nonfinite = nonfinite || bad;
        b = larger(b, largest_finite_magnitude(x, bad));
        if (half == 1) {
          if constexpr (k2D) {
            b = __uint_as_float(__reduce_max_sync(0xFFFFFFFFU, __float_as_uint(b)));
            nonfinite = __any_sync(0xFFFFFFFFU, nonfinite);
          }
          byte = nonfinite ? 0xFF : mx_scale_byte<F>(b, static_cast<MxRule>(a.rule));
        }
        continue;
      }
      const Signs signs = signs_of_floats<F::nibbles>(x);
#pragma unroll
      for (float& v : x) v = std::fabs(v);
      std::uint32_t out[F::words];
      quantize_mx<F>(x, signs, byte, out);
      if (b == 0.0F || nonfinite) {
#pragma unroll
        for (std::uint32_t& w : out) w = 0;
      }
      if (row >= a.rows) continue;
      const std::size_t index = static_cast<std::size_t>(row) * a.blocks + block;
      store_words<false>(a, index * 2 + half % 2, out);
      if (half == 3) a.scales[scale_offset(a, row, block)] = static_cast<std::uint8_t>(byte);
    }
  }
}

/// As many thread blocks as the device holds at once, or fewer where there is less work.
template <class Kernel>
cudaError_t start(Kernel kernel, const Arguments& a, std::uint32_t threads_wanted,
                  const Launch& launch) {
  int resident = 0;
  const cudaError_t status =
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, quantize_threads, 0);
  if (status != cudaSuccess) return status;
  const std::uint32_t most =
      static_cast<std::uint32_t>(launch.multiprocessors * (resident > 0 ? resident : 1));
  const std::uint32_t wanted = (threads_wanted - 1) / quantize_threads + 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(wanted < most ? wanted : most);
  config.blockDim = dim3(quantize_threads);
  config.stream = launch.stream;
  // After the amax pass, whose input was complete before the pass began: thread blocks start while
  // those of the pass end, and wait for its result in prepare().
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = launch.follows_amax ? 1 : 0;
  Arguments arguments = a;
  arguments.stride = config.gridDim.x * quantize_threads;
  return cudaLaunchKernelEx(&config, kernel, arguments);
}

template <class F, Selection kRule>
cudaError_t start_nv(const Arguments& a, const Launch& launch) {
  constexpr Selection general = kRule == Selection::none ? Selection::none : Selection::at_run_time;
  switch (launch.kind) {
    case Kind::fast:
      if constexpr (kRule == Selection::none) {
        return start(quantize_nv_fast<F>, a, a.items, launch);
      } else {
        if (a.items >= std::uint32_t{1} << 31)
          return cudaErrorInvalidValue;  // launch_quantize has refused it before
        return a.type == Input::bf16
                   ? start(quantize_selecting<F, kRule, true>, a, a.items, launch)
                   : start(quantize_selecting<F, kRule, false>, a, a.items, launch);
      }
    case Kind::general:
      return start(quantize_nv_general<F, general, false>, a, a.items, launch);
    case Kind::general_2d:
      return start(quantize_nv_general<F, general, true>, a, a.items * 32, launch);
  }
  return cudaErrorInvalidValue;
}

template <class F>
cudaError_t start_selecting(const Arguments& a, const Launch& launch) {
  switch (static_cast<Selection>(a.rule)) {
    case Selection::mse:
      return start_nv<F, Selection::mse>(a, launch);
    case Selection::mae:
      return start_nv<F, Selection::mae>(a, launch);
    case Selection::abs_max:
      return start_nv<F, Selection::abs_max>(a, launch);
    default:
      return cudaErrorInvalidValue;
  }
}

template <class F>
cudaError_t start_mx(const Arguments& a, const Launch& launch) {
  switch (launch.kind) {
    case Kind::fast:
      return start(quantize_mx_fast<F>, a, a.items, launch);
    case Kind::general:
      return start(quantize_mx_general<F, false>, a, a.items, launch);
    case Kind::general_2d:
      return start(quantize_mx_general<F, true>, a, a.items * 32, launch);
  }
  return cudaErrorInvalidValue;
}

}  // namespace lowbit::gpu::detail
