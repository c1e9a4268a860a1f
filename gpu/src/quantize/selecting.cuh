// SPDX-License-Identifier: MIT
// The kernel of the rules that select. Blocks whose choice is not certain wait in a queue; whole
// warps redo them.
#pragma once

#include "quantize/block_io.cuh"
#include "quantize/select.cuh"

namespace lowbit::gpu::detail {

/// Thread blocks per multiprocessor in the selecting kernels (five take up to 7 % more time on an
/// H100).
inline constexpr int select_resident = 4;
/// Whether each block is loaded one round ahead. Byte codes leave no registers for that.
template <class F>
inline constexpr bool select_loads_ahead = F::nibbles;

/// Lanes that redo a block: one for each candidate where both are the same operations, which takes
/// half as long.
template <class F>
inline constexpr std::uint32_t lanes_a_block = F::four_over_six ? 2 : 1;
template <class F>
inline constexpr std::uint32_t blocks_a_warp = 32 / lanes_a_block<F>;

/// Blocks that wait, with their elements, until there are 32. Reading them again at the end of the
/// kernel would cost memory latency in small pieces, with no other work to overlap it.
struct Queue {
  static constexpr std::uint32_t slots = 63;  // between the rounds under 32 are taken
  std::uint32_t items[slots];
  uint4 raw[2][slots];
};
/// The elements have arrived when the lane has waited for them (`wait_for_copies`).
__device__ __forceinline__ void put(Queue& queue, std::uint32_t slot, std::uint32_t item,
                                    const void* input) {
  queue.items[slot] = item;
  const std::uint8_t* from = raw_address(input, item);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16;" ::"r"(
                     static_cast<std::uint32_t>(__cvta_generic_to_shared(&queue.raw[i][slot]))),
                 "l"(from + 16 * i)
                 : "memory");
  }
}
/// After this call the lane can read what it has put into queues; after a barrier the others can.
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

/// The blocks that the warps of a thread block have left, pooled: a few warps with all lanes at
/// work redo them, instead of all warps with a few lanes each.
struct Pool {
  std::uint32_t count;
  std::uint32_t places[quantize_threads];  ///< queue * Queue::slots + slot
};
/// All lanes of a warp call it. count: under 32
__device__ __forceinline__ void add(Pool& pool, std::uint32_t queue, std::uint32_t count,
                                    std::uint32_t lane) {
  std::uint32_t at = 0;
  if (lane == 0 && count != 0) at = atomicAdd(&pool.count, count);
  at = __shfl_sync(0xFFFFFFFFU, at, 0);
  if (lane < count) pool.places[at + lane] = queue * Queue::slots + lane;
}

/// `load_raw`, kept where it is written. The compiler would move the load to where registers are
/// free, and the next round would wait for the data.
__device__ __forceinline__ Raw load_raw_now(const void* input, std::uint32_t item) {
  const std::uint8_t* from = raw_address(input, item);
  Raw raw;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    std::uint32_t(&pair)[8] = raw.pair;
    asm volatile("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(pair[4 * i]), "=r"(pair[4 * i + 1]), "=r"(pair[4 * i + 2]),
                   "=r"(pair[4 * i + 3])
                 : "l"(from + 16 * i));
  }
  return raw;
}

/// The larger magnitudes, NaN where one of them is NaN; the signs of the results have no meaning.
template <bool kBf16>
__device__ __forceinline__ std::uint32_t larger_magnitudes(std::uint32_t a, std::uint32_t b) {
  std::uint32_t m;
  if constexpr (kBf16) {
    asm("max.NaN.xorsign.abs.bf16x2 %0, %1, %2;" : "=r"(m) : "r"(a), "r"(b));
  } else {
    asm("max.NaN.xorsign.abs.f16x2 %0, %1, %2;" : "=r"(m) : "r"(a), "r"(b));
  }
  return m;
}
/// Elements with their signs, and their largest magnitude: infinite or NaN where an element is.
template <bool kBf16>
__device__ __forceinline__ float spread(const Raw& raw, float (&x)[16]) {
  std::uint32_t m[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    to_floats<kBf16>(raw.pair[i], x[2 * i], x[2 * i + 1]);
    m[i] = raw.pair[i];
  }
#pragma unroll
  for (int n = 4; n > 0; n /= 2) {
#pragma unroll
    for (int i = 0; i < n; ++i) m[i] = larger_magnitudes<kBf16>(m[i], m[i + n]);
  }
  float low;
  float high;
  to_floats<kBf16>(m[0], low, high);
  float b;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(b) : "f"(std::fabs(low)), "f"(std::fabs(high)));
  return b;
}

/// A queued block in the dialect's own operations, by `lanes_a_block` neighbouring lanes. All lanes
/// of a warp call it.
template <class F, Selection kRule>
__device__ __noinline__ void redo(const Arguments& a, const TensorScale& scale, const Queue& queue,
                                  std::uint32_t slot) {
  const TensorScale t = scale;
  const std::uint32_t item = queue.items[slot];
  const uint4 lo = queue.raw[0][slot];
  const uint4 hi = queue.raw[1][slot];
  Raw raw{{lo.x, lo.y, lo.z, lo.w, hi.x, hi.y, hi.z, hi.w}};
  float x[16];
  Signs signs;
  float b;
  const bool nonfinite = unpack<F::nibbles>(a, raw, item, x, signs, b);
  if (t.to_range != 1.0F) {
#pragma unroll
    for (float& v : x) v = in_range(t, v);
    b = in_range(t, b);
  }
  std::uint32_t out[F::words];
  std::uint32_t byte;
  if constexpr (lanes_a_block<F> == 2) {
    const bool is_second = threadIdx.x % 2 != 0;
    const std::uint32_t bytes = fast::scale_bytes<F>(t, b);
    byte = is_second ? bytes >> 8 : bytes & 0xFF;
    const float error = fast::candidate_exactly<F, kRule, false>(x, signs, t, byte, out);
    const float other = __shfl_xor_sync(0xFFFFFFFFU, error, 1);
    const bool second = is_second ? second_is_nearer(other, error) : second_is_nearer(error, other);
    if (second != is_second) return;
  } else {
    byte = fast::quantize_exactly<F, kRule>(x, signs, b, t, out);
  }
  if (nonfinite) byte = nan_scale;
  store_words<true>(a, item, out);
  store_scale<1>(a, item, byte);
}

/// The table in shared memory, by an address of the shared window: a generic address would be
/// computed for each access.
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

/// items: 1x16 blocks, fewer than 2^31, one per thread at a time, from the tensor's end, because
/// the amax pass has left the tensor's tail in the L2. The lanes of a warp stay together: a block
/// that a lane cannot decide for certain waits in the warp's queue, and at the end in the thread
/// block's pool. Lanes past the last item take item 0 again and write the same bytes there.
template <class F, Selection kRule, bool kBf16>
__global__ void __launch_bounds__(quantize_threads, select_resident)
    quantize_selecting(const __grid_constant__ Arguments a) {
  using Entry = fast::Entry<F, kRule>;
  constexpr std::uint32_t warps = quantize_threads / 32;
  __shared__ Entry table[128];
  __shared__ TensorScale scale;
  __shared__ Queue queues[warps];
  __shared__ Pool pool;
  const std::uint32_t lane = threadIdx.x % 32;
  const std::uint32_t warp = threadIdx.x / 32;
  const auto stride = static_cast<std::int32_t>(a.stride);
  // The item of lane 0, and so the number of items that this warp has left.
  auto leading =
      static_cast<std::int32_t>(a.items - 1 - (blockIdx.x * quantize_threads + threadIdx.x - lane));
  std::int32_t item = max(leading - static_cast<std::int32_t>(lane), 0);
  Raw next{};
  if (select_loads_ahead<F>) next = load_raw(a.input, item);
  const TensorScale all = tensor_scale(a);
  if (threadIdx.x < 128) table[threadIdx.x] = fast::make_entry<F, kRule>(all, threadIdx.x);
  if (threadIdx.x == 128) scale = all;
  if (threadIdx.x == quantize_threads - 1) pool.count = 0;
  __syncthreads();
  const fast::Tensor t = fast::make_tensor(all);
  // The address goes through a shuffle, so the compiler keeps the result in a register. Without the
  // shuffle it computes the address again in every round, and the table reads wait for it.
  const SharedTable<Entry> entries{
      __shfl_sync(0xFFFFFFFFU, static_cast<std::uint32_t>(__cvta_generic_to_shared(table)), 0)};
  Queue& queue = queues[warp];
  std::uint32_t queued = 0;
  for (; leading >= 0; leading -= stride) {
    const Raw raw = select_loads_ahead<F> ? next : load_raw(a.input, item);
    float x[16];
    const float b = spread<kBf16>(raw, x);
    const Signs signs = signs_of_pairs<F::nibbles>(raw.pair);
    const std::int32_t following = max(item - stride, 0);
    if constexpr (select_loads_ahead<F>) {
      if (leading >= stride) next = load_raw_now(a.input, following);
      __syncwarp();  // the compiler moves nothing across
    }
    std::uint32_t out[F::words];
    std::uint32_t byte;
    const bool decided = fast::quantize<F, kRule>(x, signs, b, t, entries, out, byte);
    // Undecided blocks are overwritten later.
    store_words<true>(a, item, out);
    store_scale<1>(a, item, byte);
    const std::uint32_t hard = __ballot_sync(0xFFFFFFFFU, !decided);
    if (hard != 0) {
      if (!decided) put(queue, queued + __popc(hard & ((1U << lane) - 1)), item, a.input);
      queued += __popc(hard);
      if (queued >= 32) {
        wait_for_copies();
        __syncwarp();
#pragma unroll 1
        for (std::uint32_t i = 0; i < lanes_a_block<F>; ++i) {
          queued -= blocks_a_warp<F>;
          redo<F, kRule>(a, scale, queue, queued + lane / lanes_a_block<F>);
        }
        __syncwarp();
      }
    }
    item = following;
  }
  wait_for_copies();
  add(pool, warp, queued, lane);
  __syncthreads();
  for (std::uint32_t i = warp * blocks_a_warp<F>; i < pool.count;
       i += quantize_threads / lanes_a_block<F>) {
    const std::uint32_t place = pool.places[min(i + lane / lanes_a_block<F>, pool.count - 1)];
    redo<F, kRule>(a, scale, queues[place / Queue::slots], place % Queue::slots);
  }
}

}  // namespace lowbit::gpu::detail
