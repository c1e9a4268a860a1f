// SPDX-License-Identifier: MIT
// The quantize kernels: fast ones (16-bit inputs, 1D blocks, whole and aligned) and general ones.
#pragma once

#include "lowbit/scale_layout.hpp"
#include "quantize/load.cuh"

namespace lowbit::gpu::detail {

inline constexpr int quantize_threads = 256;

__device__ __forceinline__ std::size_t scale_offset(const Arguments& a, std::uint32_t row, std::uint32_t block) {
  return a.swizzled ? swizzled_scale_offset(row, block, a.blocks) : static_cast<std::size_t>(row) * a.blocks + block;
}

template <bool kAligned, int kWords>
__device__ __forceinline__ void store_words(const Arguments& a, std::size_t segment, const std::uint32_t (&w)[kWords]) {
  std::uint8_t* p = a.values + segment * (4 * kWords);
  if constexpr (!kAligned) {
    if (!a.aligned_values) {
      for (int i = 0; i < 4 * kWords; ++i) p[i] = static_cast<std::uint8_t>(w[i / 4] >> (8 * (i % 4)));
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
  __shared__ std::uint32_t shared[quantize_threads / 32];
  // This kernel may have been started while the amax pass was still running (start below).
  cudaGridDependencySynchronize();
  float amax;
  if (a.given_amax != nullptr) {
    amax = *a.given_amax;
  } else {
    std::uint32_t m = 0;
    for (std::uint32_t i = threadIdx.x; i < a.partial_count; i += quantize_threads) m = max(m, a.partial_maxima[i]);
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

/// The same, and what each scale byte fixes, in shared memory.
template <class F>
__device__ void prepare(const Arguments& a, TensorScale& scale, ScaleEntry* table) {
  const TensorScale t = tensor_scale(a);
  for (std::uint32_t i = threadIdx.x; i < 128; i += quantize_threads) table[i] = make_scale_entry<F>(t, i);
  if (threadIdx.x == 0) scale = t;
  __syncthreads();
}

/// Sixteen 16-bit elements as they lie in memory.
struct Raw {
  std::uint32_t pair[8];
};
__device__ __forceinline__ Raw load_raw(const void* input, std::uint32_t segment) {
  const auto* p = reinterpret_cast<const uint4*>(static_cast<const std::uint8_t*>(input) + std::size_t{segment} * 32);
  const uint4 lo = __ldg(p);
  const uint4 hi = __ldg(p + 1);
  return {{lo.x, lo.y, lo.z, lo.w, hi.x, hi.y, hi.z, hi.w}};
}

/// Non-finite magnitudes by the policy: replaced, or reported and the whole block taken as zeros.
/// \return the largest magnitude
__device__ __noinline__ inline std::uint32_t replace_nonfinite(const Arguments& a, Raw& raw, std::uint32_t segment) {
  const std::uint32_t infinity = a.type == Input::bf16 ? 0x7F80 : 0x7C00;
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
__device__ __forceinline__ bool unpack(const Arguments& a, Raw& raw, std::uint32_t segment, float (&x)[16],
                                       Signs& signs, float& b) {
  const bool is_bf16 = a.type == Input::bf16;
  const std::uint32_t infinity = is_bf16 ? 0x7F80 : 0x7C00;
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
    for (int i = 0; i < 8; ++i) {
      x[2 * i] = __uint_as_float(raw.pair[i] << 16);
      x[2 * i + 1] = __uint_as_float(raw.pair[i] & 0xFFFF0000U);
    }
  } else {
    b = __half2float(__ushort_as_half(static_cast<std::uint16_t>(m)));
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float2 v = __half22float2(*reinterpret_cast<const __half2*>(&raw.pair[i]));
      x[2 * i] = v.x;
      x[2 * i + 1] = v.y;
    }
  }
  return nonfinite;
}

/// items: 1x16 blocks, one a thread at a time, from the tensor's end: its tail is what the amax pass
/// has left in the L2. Four thread blocks a multiprocessor leave 64 registers: with five the loops of the
/// selecting rules spill, and take up to twice as long. Where they suffice for it, each block is loaded one
/// round ahead.
template <class F>
inline constexpr bool loads_ahead = !F::adaptive;
template <class F, Selection kRule>
__global__ void __launch_bounds__(quantize_threads, 4) quantize_nv_fast(const __grid_constant__ Arguments a) {
  __shared__ ScaleEntry table[128];
  __shared__ TensorScale t;
  const std::uint32_t stride = gridDim.x * quantize_threads;
  std::uint32_t i = blockIdx.x * quantize_threads + threadIdx.x;
  Raw next{};
  if (loads_ahead<F> && i < a.items) next = load_raw(a.input, a.items - 1 - i);
  prepare<F>(a, t, table);
  const bool rescales = t.to_range != 1.0F;
  for (; i < a.items; i += stride) {
    const std::uint32_t item = a.items - 1 - i;
    Raw raw = loads_ahead<F> ? next : load_raw(a.input, item);
    if (loads_ahead<F> && i + stride < a.items) next = load_raw(a.input, item - stride);
    float x[16];
    Signs signs;
    float b;
    // A block that holds a non-finite element to be propagated comes back as zeros.
    const bool nonfinite = unpack<F::nibbles>(a, raw, item, x, signs, b);
    if (rescales) {
#pragma unroll
      for (float& v : x) v = v * t.to_range * t.to_range2;
      b = b * t.to_range * t.to_range2;
    }
    std::uint32_t out[F::words];
    std::uint32_t byte = quantize_nv<F, kRule>(x, signs, b, t, table, Alone{}, false, out);
    if (nonfinite) byte = 0x7F;
    store_words<true>(a, item, out);
    std::size_t at = item;
    if (a.swizzled) {
      const std::uint32_t row = divide(item, a.per_row);
      at = scale_offset(a, row, item - row * a.per_row.divisor);
    }
    a.scales[at] = static_cast<std::uint8_t>(byte);
  }
}

/// Thread blocks a multiprocessor holds in the selecting kernels. With four and each block loaded one round ahead, every
/// format and rule took the least time on an H100 (five: up to 7 % more), but codes of a byte with a given amax, which take
/// 5 % less without loading ahead (and more behind the amax pass).
inline constexpr int select_resident = 4;

/// What the warps of a thread block have left, put together: few warps with all lanes at work instead of all with few.
struct Pool {
  std::uint32_t count;
  std::uint32_t items[quantize_threads];
};
/// All lanes of a warp call it. queued: under 32.
__device__ __forceinline__ void add(Pool& pool, const std::uint32_t* queue, std::uint32_t queued, std::uint32_t lane) {
  std::uint32_t at = 0;
  if (lane == 0 && queued != 0) at = atomicAdd(&pool.count, queued);
  at = __shfl_sync(0xFFFFFFFFU, at, 0);
  if (lane < queued) pool.items[at + lane] = queue[lane];
}

/// Items that wait for a warp's lanes to take 32 of them at a time.
struct Queue {
  std::uint32_t count;  ///< under 32 between the rounds
  std::uint32_t items[64];
};

__device__ __forceinline__ void store_scale(const Arguments& a, std::uint32_t item, std::uint32_t byte) {
  if (a.swizzled) {
    const std::uint32_t row = divide(item, a.per_row);
    a.scales[scale_offset(a, row, item - row * a.per_row.divisor)] = static_cast<std::uint8_t>(byte);
  } else {
    a.scales[item] = static_cast<std::uint8_t>(byte);
  }
}

/// Elements, signs and all, and their largest magnitude: infinite or NaN where an element is.
__device__ __forceinline__ float spread(const Raw& raw, bool is_bf16, float (&x)[16]) {
  std::uint32_t m = 0;
  std::uint32_t negative = 0;
#pragma unroll
  for (const std::uint32_t pair : raw.pair) {
    asm("max.s16x2 %0, %1, %2;" : "=r"(m) : "r"(m), "r"(pair));
    asm("max.u16x2 %0, %1, %2;" : "=r"(negative) : "r"(negative), "r"(pair));
  }
  asm("max.s16x2 %0, %1, %2;" : "=r"(m) : "r"(m), "r"(negative & 0x7FFF7FFFU));
  m = max(m & 0xFFFF, m >> 16);
  if (is_bf16) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      x[2 * i] = __uint_as_float(raw.pair[i] << 16);
      x[2 * i + 1] = __uint_as_float(raw.pair[i] & 0xFFFF0000U);
    }
    return __uint_as_float(m << 16);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const float2 v = __half22float2(*reinterpret_cast<const __half2*>(&raw.pair[i]));
    x[2 * i] = v.x;
    x[2 * i + 1] = v.y;
  }
  return __half2float(__ushort_as_half(static_cast<std::uint16_t>(m)));
}

/// A block in the dialect's own operations, loaded again.
template <class F, Selection kRule>
__device__ __noinline__ void redo(const Arguments& a, const TensorScale& scale, std::uint32_t item) {
  const TensorScale t = scale;
  Raw raw = load_raw(a.input, item);
  float x[16];
  Signs signs;
  float b;
  const bool nonfinite = unpack<F::nibbles>(a, raw, item, x, signs, b);
  if (t.to_range != 1.0F) {
#pragma unroll
    for (float& v : x) v = v * t.to_range * t.to_range2;
    b = b * t.to_range * t.to_range2;
  }
  std::uint32_t out[F::words];
  std::uint32_t byte = fast::quantize_exactly<F, kRule>(x, signs, b, t, out);
  if (nonfinite) byte = 0x7F;
  store_words<true>(a, item, out);
  store_scale(a, item, byte);
}

/// The table in shared memory, by an address of the shared window: no generic one is made for each access.
template <class Entry>
struct SharedTable {
  std::uint32_t address;

  __device__ __forceinline__ Entry operator[](std::uint32_t byte) const {
    const std::uint32_t at = address + byte * sizeof(Entry);
    Entry e;
    if constexpr (sizeof(Entry) == 4) {
      asm("ld.shared.f32 %0, [%1];" : "=f"(e.inverse) : "r"(at));
    } else if constexpr (sizeof(Entry) == 8) {
      asm("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(e.inverse), "=f"(e.weight) : "r"(at));
    } else {
      float unused;
      asm("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
          : "=f"(e.inverse), "=f"(e.largest_float), "=f"(e.largest_integer), "=f"(unused)
          : "r"(at));
    }
    return e;
  }
};

/// A lane's item, if it has one, that was left as an exact tie would be (fast::is_first): confirmed, or queued for
/// `redo`. All lanes call it.
template <class F, Selection kRule>
__device__ __noinline__ void settle(const Arguments& a, const TensorScale& t,
                                    SharedTable<fast::Entry<F, kRule>> entries, bool has_one, std::uint32_t item,
                                    Queue& left) {
  bool unsure = false;
  if (has_one) {
    float x[16];
    float b = spread(load_raw(a.input, item), a.type == Input::bf16, x);
    if (t.to_range != 1.0F) {
#pragma unroll
      for (float& v : x) v = v * t.to_range * t.to_range2;
      b = b * t.to_range * t.to_range2;
    }
    unsure = !fast::is_first<F, kRule>(x, b, {t.largest, t.largest_reciprocal, t.encode_scale}, entries);
  }
  const std::uint32_t lane = threadIdx.x % 32;
  const std::uint32_t all = __ballot_sync(0xFFFFFFFFU, unsure);
  std::uint32_t count = left.count;
  if (unsure) left.items[count + __popc(all & ((1U << lane) - 1))] = item;
  count += __popc(all);
  __syncwarp();
  if (count >= 32) {
    count -= 32;
    redo<F, kRule>(a, t, left.items[count + lane]);
  }
  __syncwarp();
  if (lane == 0) left.count = count;
  __syncwarp();
}

/// items: 1x16 blocks, fewer than 2^31, one a thread at a time, from the tensor's end: its tail is what the amax pass
/// has left in the L2. The lanes of a warp stay together: what a lane cannot decide for certain waits in the warp's
/// queue, and at the end in the thread block's pool.
/// Lanes past the last item take item 0 once more, and write the same there.
template <class F, Selection kRule>
__global__ void __launch_bounds__(quantize_threads, select_resident) quantize_selecting(const __grid_constant__ Arguments a) {
  using Entry = fast::Entry<F, kRule>;
  constexpr bool ties = fast::ties<F, kRule>;
  constexpr int warps = quantize_threads / 32;
  __shared__ Entry table[128];
  __shared__ TensorScale scale;
  __shared__ std::uint32_t waiting[warps][64];
  __shared__ Queue unsettled[ties ? warps : 1];
  __shared__ Pool pools[2];
  const std::uint32_t lane = threadIdx.x % 32;
  const auto stride = static_cast<std::int32_t>(a.stride);
  // The item of lane 0, and so the number of items that this warp has left.
  auto leading = static_cast<std::int32_t>(a.items - 1 - (blockIdx.x * quantize_threads + threadIdx.x - lane));
  std::int32_t item = max(leading - static_cast<std::int32_t>(lane), 0);
  Raw next = load_raw(a.input, item);
  const TensorScale all = tensor_scale(a);
  if (threadIdx.x < 128) table[threadIdx.x] = fast::make_entry<F, kRule>(all, threadIdx.x);
  if (threadIdx.x == 128) scale = all;
  if (threadIdx.x >= quantize_threads - 2) pools[threadIdx.x % 2].count = 0;
  if (ties && threadIdx.x < warps) unsettled[threadIdx.x].count = 0;
  __syncthreads();
  const fast::Tensor t{all.largest, all.largest_reciprocal, all.encode_scale};
  // Through a shuffle, so that the address is kept and not made again in every round.
  const SharedTable<Entry> entries{__shfl_sync(0xFFFFFFFFU, static_cast<std::uint32_t>(__cvta_generic_to_shared(table)), 0)};
  const bool rescales = all.to_range != 1.0F;
  const bool ahead = F::nibbles || a.given_amax == nullptr;
  const bool is_bf16 = a.type == Input::bf16;
  std::uint32_t* const queue = waiting[threadIdx.x / 32];
  std::uint32_t queued = 0;
  Queue& left = unsettled[ties ? threadIdx.x / 32 : 0];
  for (; leading >= 0; leading -= stride) {
    const Raw raw = next;
    float x[16];
    float b = spread(raw, is_bf16, x);
    const Signs signs = signs_of_pairs<F::nibbles>(raw.pair);
    const std::int32_t following = max(item - stride, 0);
    if (ahead && leading >= stride) next = load_raw(a.input, following);
    if (rescales) {
#pragma unroll
      for (float& v : x) v = v * all.to_range * all.to_range2;
      b = b * all.to_range * all.to_range2;
    }
    std::uint32_t out[F::words];
    std::uint32_t byte;
    const bool decided = fast::quantize<F, kRule>(x, signs, b, t, entries, out, byte);
    // Undecided ones are overwritten later, or confirmed.
    store_words<true>(a, item, out);
    store_scale(a, item, byte);
    const std::uint32_t hard = __ballot_sync(0xFFFFFFFFU, !decided);
    if (hard != 0) {
      if (!decided) queue[queued + __popc(hard & ((1U << lane) - 1))] = item;
      queued += __popc(hard);
      __syncwarp();
      if (queued >= 32) {
        queued -= 32;
        const std::uint32_t mine = queue[queued + lane];
        if constexpr (ties) {
          settle<F, kRule>(a, scale, entries, true, mine, left);
        } else {
          redo<F, kRule>(a, scale, mine);
        }
        __syncwarp();
      }
    }
    item = following;
    if (!ahead && leading >= stride) next = load_raw(a.input, item);
  }
  __syncwarp();
  add(pools[0], queue, queued, lane);
  __syncthreads();
  const bool has_one = threadIdx.x < pools[0].count;
  if constexpr (!ties) {
    if (has_one) redo<F, kRule>(a, scale, pools[0].items[threadIdx.x]);
  } else {
    settle<F, kRule>(a, scale, entries, has_one, has_one ? pools[0].items[threadIdx.x] : 0, left);
    add(pools[1], left.items, left.count, lane);
    __syncthreads();
    if (threadIdx.x < pools[1].count) redo<F, kRule>(a, scale, pools[1].items[threadIdx.x]);
  }
}

/// items: halves of 1x32 blocks, even and odd lanes together.
template <class F>
__global__ void __launch_bounds__(quantize_threads, 4) quantize_mx_fast(const __grid_constant__ Arguments a) {
  if (a.amax != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *a.amax = 1.0F;
  const std::uint32_t stride = gridDim.x * quantize_threads;
  const std::uint32_t lane = threadIdx.x % 32;
  for (std::uint32_t first = blockIdx.x * quantize_threads + threadIdx.x - lane; first < a.items; first += stride) {
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
    if (lane % 2 != 0) continue;
    std::size_t at = item / 2;
    if (a.swizzled) {
      const std::uint32_t row = divide(item, a.per_row);
      at = scale_offset(a, row, (item - row * a.per_row.divisor) / 2);
    }
    a.scales[at] = static_cast<std::uint8_t>(byte);
  }
}

/// The 16 lanes of half a warp, one row of a 16x16 block each.
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
    if (rule == Selection::abs_max) return combine(x, [](float p, float q) { return larger(p, q); });
    return combine(x, [](float p, float q) { return p + q; });
  }
  /// Row after row: each continues from the error of the one before.
  template <class Step>
  __device__ float chain(Step&& step) const {
    float e = 0.0F;
    for (int r = 0; r < 16; ++r) e = __shfl_sync(mask, step(e), r, 16);
    return e;
  }
};

/// Any input. items: 1x16 blocks (1D, in order), or pairs of 16x16 blocks beside each other, a warp each.
template <class F, Selection kRule, bool k2D>
__global__ void __launch_bounds__(quantize_threads) quantize_nv_general(const __grid_constant__ Arguments a) {
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
    for (float& v : x) v = std::fabs(v) * t.to_range * t.to_range2;
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
      byte = nonfinite ? 0x7F : 0;
#pragma unroll
      for (std::uint32_t& w : out) w = 0;
    }
    if (row >= a.rows || block >= a.blocks) continue;
    store_words<false>(a, static_cast<std::size_t>(row) * a.blocks + block, out);
    a.scales[scale_offset(a, row, block)] = static_cast<std::uint8_t>(byte);
  }
}

/// Any input. items: 1x32 blocks, one a thread, or 32x32 blocks, a warp each and a row a lane.
template <class F, bool k2D>
__global__ void __launch_bounds__(quantize_threads) quantize_mx_general(const __grid_constant__ Arguments a) {
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

/// As many thread blocks as the device holds at a time, or as there is work for.
template <class Kernel>
cudaError_t start(Kernel kernel, const Arguments& a, std::uint32_t threads_wanted, const Launch& launch) {
  int resident = 0;
  const cudaError_t status =
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, quantize_threads, 0);
  if (status != cudaSuccess) return status;
  const std::uint32_t most = static_cast<std::uint32_t>(launch.multiprocessors * (resident > 0 ? resident : 1));
  const std::uint32_t wanted = (threads_wanted - 1) / quantize_threads + 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(wanted < most ? wanted : most);
  config.blockDim = dim3(quantize_threads);
  config.stream = launch.stream;
  // After the amax pass, whose input was complete before it began: thread blocks start as its own end,
  // and wait for its result in prepare().
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
        return start(quantize_nv_fast<F, kRule>, a, a.items, launch);
      } else {
        if (a.items >= std::uint32_t{1} << 31) return cudaErrorInvalidValue;  // launch_quantize has refused it before
        return start(quantize_selecting<F, kRule>, a, a.items, launch);
      }
    case Kind::general: return start(quantize_nv_general<F, general, false>, a, a.items, launch);
    case Kind::general_2d: return start(quantize_nv_general<F, general, true>, a, a.items * 32, launch);
  }
  return cudaErrorInvalidValue;
}

template <class F>
cudaError_t start_selecting(const Arguments& a, const Launch& launch) {
  switch (static_cast<Selection>(a.rule)) {
    case Selection::mse: return start_nv<F, Selection::mse>(a, launch);
    case Selection::mae: return start_nv<F, Selection::mae>(a, launch);
    case Selection::abs_max: return start_nv<F, Selection::abs_max>(a, launch);
    default: return cudaErrorInvalidValue;
  }
}

template <class F>
cudaError_t start_mx(const Arguments& a, const Launch& launch) {
  switch (launch.kind) {
    case Kind::fast: return start(quantize_mx_fast<F>, a, a.items, launch);
    case Kind::general: return start(quantize_mx_general<F, false>, a, a.items, launch);
    case Kind::general_2d: return start(quantize_mx_general<F, true>, a, a.items * 32, launch);
  }
  return cudaErrorInvalidValue;
}

}  // namespace lowbit::gpu::detail
