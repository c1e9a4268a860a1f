// SPDX-License-Identifier: MIT
// The kernel of the rules that select: blocks that are not certain wait, and are redone by whole warps.
#pragma once

#include "quantize/block_io.cuh"
#include "quantize/select.cuh"

namespace lowbit::gpu::detail {

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

}  // namespace lowbit::gpu::detail
