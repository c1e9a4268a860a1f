// SPDX-License-Identifier: MIT
// Hopper GEMM: four-bit operands expanded to FP16 into shared memory, multiplied by wgmma.
//
// A CTA works on tiles of 128 x 192 outputs, one after the other. Two consumer warpgroups hold
// 64 x 192 accumulators each (96 registers a thread) and only issue wgmma; two producer warpgroups
// fetch codes and scales into registers one stage ahead and expand them into shared memory. Two
// stages of 128 columns of K, a full and an empty barrier each. No FP16 word leaves the SM.
//
// Schedule (what the model replays): accumulators start at +0; k in steps of 16 ascending, one
// m64n192k16 each; d = RN_FP32(alpha * accumulator).
#include <cuda_runtime.h>

#include "gemm_kernels.hpp"
#include "lowbit/gpu/gemm_expand.hpp"
#include "wgmma_inl.cuh"

namespace lowbit::gpu::detail {
namespace {

constexpr int tile_m = 128;
constexpr int tile_n = 192;
constexpr int stage_k = 128;
constexpr int stage_blocks = stage_k / 16;
constexpr int ring = 2;
constexpr int consumers = 256;
constexpr int producers = 256;
constexpr int threads = consumers + producers;
constexpr int row_bytes = 128;               // 64 FP16 of a swizzled row
constexpr int panel_a = tile_m * row_bytes;  // 64 columns of K
constexpr int panel_b = tile_n * row_bytes;
constexpr int stage_bytes = 2 * panel_a + 2 * panel_b;
constexpr int shared_bytes = ring * stage_bytes + 1024;  // atoms are aligned to 1024
// A producer warp expands 8 rows of 128 columns at a time, a thread 32 columns of a row.
constexpr int producer_warps = producers / 32;
constexpr int groups_a = tile_m / 8 / producer_warps;
constexpr int groups_b = tile_n / 8 / producer_warps;
constexpr int groups = groups_a + groups_b;
constexpr int group_rows = producer_warps * 8;  // rows between a warp's consecutive groups
// M-tiles that share a sweep over N, so that a wave of CTAs re-reads its operands from the L2.
constexpr int raster_rows = 16;

struct Tile {
  int m0;
  int n0;
};

// Tiles in bands of raster_rows M-tiles, M fastest within a band.
__device__ __forceinline__ Tile tile_at(int index, int tiles_m, int tiles_n) {
  const int band = index / (raster_rows * tiles_n);
  const int within = index % (raster_rows * tiles_n);
  const int band_rows = min(raster_rows, tiles_m - band * raster_rows);
  return {(band * raster_rows + within % band_rows) * tile_m, within / band_rows * tile_n};
}

__device__ __forceinline__ void store_shared(std::uint32_t address, const std::uint32_t (&v)[4]) {
  asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(v[0]), "r"(v[1]),
               "r"(v[2]), "r"(v[3])
               : "memory");
}

// The rows of one operand that a producer thread reads: pointers to its columns of each row, rows
// outside the matrix clamped to its last one (their scales become zero).
template <int count>
struct Rows {
  const std::uint8_t* codes;
  const std::uint8_t* scales;
  int offset[count];  // in blocks; below 2^30, since K is at most 2^22
  unsigned outside;  // bit i: group i lies outside

  __device__ __forceinline__ void place(const std::uint8_t* all_codes, const std::uint8_t* all_scales,
                                        int first, int in_tile, int rows, int k_blocks, int part) {
    const std::size_t base = static_cast<std::size_t>(first) * k_blocks;
    codes = all_codes + base * 8 + part * 16;
    scales = all_scales + base + part * 2;
    outside = 0;
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int row = in_tile + i * group_rows;
      const int last = rows - 1 - first;
      outside |= row > last ? 1U << i : 0U;
      offset[i] = min(row, last) * k_blocks;
    }
  }
};

// 32 codes and two scale bytes. `even`: rows have an even number of blocks, so that 16 bytes of
// codes are aligned and both blocks exist or none; otherwise 8 bytes and one scale at a time.
template <bool even, int count>
__device__ __forceinline__ void fetch(const Rows<count>& rows, int i, int stage, int part, int k_blocks,
                                      uint4& codes, std::uint32_t& scales) {
  const int block = stage * stage_blocks + part * 2;
  const bool outside = (rows.outside >> i & 1) != 0 || block >= k_blocks;
  // Past the end of K the row's start is read instead: in bounds, and annulled by zero scales.
  const int at = rows.offset[i] + (block < k_blocks ? stage * stage_blocks : -part * 2);
  const std::uint8_t* from = rows.codes + static_cast<std::ptrdiff_t>(at) * 8;
  const std::uint8_t* scale = rows.scales + at;
  if constexpr (even) {
    codes = __ldg(reinterpret_cast<const uint4*>(from));
    const std::uint32_t s = __ldg(reinterpret_cast<const std::uint16_t*>(scale));
    scales = outside ? 0 : s;
  } else {
    codes = make_uint4(0, 0, 0, 0);
    scales = 0;
    if (outside) return;
    const uint2 first = __ldg(reinterpret_cast<const uint2*>(from));
    codes.x = first.x;
    codes.y = first.y;
    scales = __ldg(scale);
    if (block + 1 < k_blocks) {
      const uint2 second = __ldg(reinterpret_cast<const uint2*>(from + 8));
      codes.z = second.x;
      codes.w = second.y;
      scales |= static_cast<std::uint32_t>(__ldg(scale + 1)) << 8;
    }
  }
}

template <GemmFormat F>
__device__ __forceinline__ void expand_row(const uint4& codes, std::uint32_t scales,
                                           std::uint32_t row_address, const std::uint32_t (&chunk)[4]) {
  BlockExpansion block[2];
  block_expansions<F>(scales, block[0], block[1]);
  const std::uint32_t words[4] = {codes.x, codes.y, codes.z, codes.w};
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    std::uint32_t out[4];
    expand_word<F>(words[c], block[c / 2], out);
    store_shared(row_address + chunk[c], out);
  }
}

template <GemmFormat F, bool even>
__device__ __forceinline__ void produce(const GemmArguments& g, int tiles, int tiles_m, int tiles_n,
                                        std::uint32_t shared, std::uint32_t full, std::uint32_t empty) {
  const int lane = threadIdx.x & 31;
  const int warp = (threadIdx.x - consumers) >> 5;
  // Four neighbouring lanes read 64 bytes of a row, eight of them two rows. They store 16 bytes each
  // at a time; lanes of the second panel store their words in the order 2, 3, 0, 1, so that the
  // eight stores fall into different bank groups.
  const int row8 = lane >> 2;
  const int part = lane & 3;  // which 32 columns of the stage
  const bool second_panel = part >= 2;
  const int in_tile = warp * 8 + row8;
  const int stages = (g.k_blocks + stage_blocks - 1) / stage_blocks;

  // Word w of this thread's 32 columns lands at 16-byte unit (4*(part%2) + w) ^ (row%8).
  std::uint32_t chunk[4];
#pragma unroll
  for (int c = 0; c < 4; ++c) chunk[c] = static_cast<std::uint32_t>(((part & 1) * 4 + (c ^ (second_panel ? 2 : 0))) ^ row8) << 4;
  const std::uint32_t store_a = shared + (part >> 1) * panel_a + in_tile * row_bytes;
  const std::uint32_t store_b = shared + 2 * panel_a + (part >> 1) * panel_b + in_tile * row_bytes;

  const std::uint32_t byte_order = second_panel ? 0x4401 : 0x4410;
  Rows<groups_a> a;
  Rows<groups_b> b;
  uint4 codes[groups];
  std::uint32_t scales[groups];
  const auto fetch_group = [&](int i, int stage) {
    if (i < groups_a) {
      fetch<even>(a, i, stage, part, g.k_blocks, codes[i], scales[i]);
    } else {
      fetch<even>(b, i - groups_a, stage, part, g.k_blocks, codes[i], scales[i]);
    }
  };
  int slot = 0;
  unsigned parity = 1;  // the first pass over the ring finds it empty
  for (int index = blockIdx.x; index < tiles; index += gridDim.x) {
    const Tile tile = tile_at(index, tiles_m, tiles_n);
    if (stages == 0) continue;
    a.place(g.a_codes, g.a_scales, tile.m0, in_tile, g.m, g.k_blocks, part);
    b.place(g.b_codes, g.b_scales, tile.n0, in_tile, g.n, g.k_blocks, part);
#pragma unroll
    for (int i = 0; i < groups; ++i) fetch_group(i, 0);
#pragma unroll 1
    for (int s = 0; s < stages; ++s) {
      barrier_wait(empty + 8 * slot, parity);
      const std::uint32_t buffer = slot * stage_bytes;
#pragma unroll
      for (int i = 0; i < groups; ++i) {
        const std::uint32_t row = i < groups_a ? store_a + i * group_rows * row_bytes
                                               : store_b + (i - groups_a) * group_rows * row_bytes;
        const uint4 v = codes[i];
        const uint4 ordered = second_panel ? make_uint4(v.z, v.w, v.x, v.y) : v;
        expand_row<F>(ordered, permute(scales[i], 0, byte_order), row + buffer, chunk);
        fetch_group(i, s + 1);
      }
      fence_async_shared();
      __syncwarp();
      if (lane == 0) barrier_arrive(full + 8 * slot);
      if (++slot == ring) {
        slot = 0;
        parity ^= 1;
      }
    }
  }
}

__device__ __forceinline__ void consume(const GemmArguments& g, int tiles, int tiles_m, int tiles_n,
                                        std::uint32_t shared, std::uint32_t full, std::uint32_t empty) {
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  const int stages = (g.k_blocks + stage_blocks - 1) / stage_blocks;
  const std::uint32_t mma_a = shared + (warp >> 2) * 64 * row_bytes;
  const std::uint32_t mma_b = shared + 2 * panel_a;
  int slot = 0;
  unsigned parity = 0;
  for (int index = blockIdx.x; index < tiles; index += gridDim.x) {
    float acc[96];
#pragma unroll
    for (int i = 0; i < 96; ++i) acc[i] = 0.0F;
    int previous = -1;
#pragma unroll 1
    for (int s = 0; s < stages; ++s) {
      barrier_wait(full + 8 * slot, parity);
      const std::uint32_t buffer = slot * stage_bytes;
      wgmma_fence();
#pragma unroll
      for (int step = 0; step < stage_k / 16; ++step) {
        // 32 bytes a step within the swizzled 128-byte row, then the next panel.
        wgmma_m64n192k16(acc, wgmma_descriptor(mma_a + buffer + step / 4 * panel_a + step % 4 * 32),
                         wgmma_descriptor(mma_b + buffer + step / 4 * panel_b + step % 4 * 32));
      }
      wgmma_commit();
      // The stage before is finished once this one is the only group under way.
      if (previous >= 0) {
        wgmma_wait<1>();
        if (lane == 0) barrier_arrive(empty + 8 * previous);
      }
      previous = slot;
      if (++slot == ring) {
        slot = 0;
        parity ^= 1;
      }
    }
    wgmma_wait<0>();
    if (previous >= 0 && lane == 0) barrier_arrive(empty + 8 * previous);

    // Register 4j + r: row 16*(warp%4) + lane/4 + 8*(r/2), column 8j + 2*(lane%4) + r%2.
    const Tile tile = tile_at(index, tiles_m, tiles_n);
    const int row = tile.m0 + (warp >> 2) * 64 + (warp & 3) * 16 + (lane >> 2);
    const int column = tile.n0 + (lane & 3) * 2;
    const bool pairs = g.n % 2 == 0;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int r = row + 8 * h;
      if (r >= g.m) continue;
      float* out = g.d + static_cast<std::size_t>(r) * g.n + column;
#pragma unroll
      for (int j = 0; j < 24; ++j) {
        const float2 v = make_float2(__fmul_rn(g.alpha, acc[4 * j + 2 * h]),
                                     __fmul_rn(g.alpha, acc[4 * j + 2 * h + 1]));
        if (pairs) {
          if (column + 8 * j < g.n) *reinterpret_cast<float2*>(out + 8 * j) = v;
        } else {
          if (column + 8 * j < g.n) out[8 * j] = v.x;
          if (column + 8 * j + 1 < g.n) out[8 * j + 1] = v.y;
        }
      }
    }
  }
}

template <GemmFormat F, bool even>
__global__ void __launch_bounds__(threads, 1)
    gemm_wgmma_kernel(const GemmArguments g, int tiles, int tiles_m, int tiles_n) {
  extern __shared__ std::uint8_t dynamic_shared[];
  __shared__ std::uint64_t barriers[2 * ring];
  const std::uint32_t shared =
      (static_cast<std::uint32_t>(__cvta_generic_to_shared(dynamic_shared)) + 1023U) & ~1023U;
  const auto full = static_cast<std::uint32_t>(__cvta_generic_to_shared(barriers));
  const std::uint32_t empty = full + 8 * ring;
  if (threadIdx.x == 0) {
    for (int i = 0; i < ring; ++i) {
      barrier_init(full + 8 * i, producer_warps);
      barrier_init(empty + 8 * i, consumers / 32);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (threadIdx.x < consumers) {
    consume(g, tiles, tiles_m, tiles_n, shared, full, empty);
  } else {
    produce<F, even>(g, tiles, tiles_m, tiles_n, shared, full, empty);
  }
}

template <GemmFormat F, bool even>
cudaError_t launch_variant(const GemmArguments& g, cudaStream_t stream) {
  const int tiles_m = (g.m + tile_m - 1) / tile_m;
  const int tiles_n = (g.n + tile_n - 1) / tile_n;
  int device = 0;
  int multiprocessors = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) {
    status = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  }
  if (status == cudaSuccess) {
    status = cudaFuncSetAttribute(gemm_wgmma_kernel<F, even>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  }
  if (status != cudaSuccess) return status;
  const int tiles = tiles_m * tiles_n;
  const int grid = tiles < multiprocessors ? tiles : multiprocessors;
  gemm_wgmma_kernel<F, even><<<grid, threads, shared_bytes, stream>>>(g, tiles, tiles_m, tiles_n);
  return cudaGetLastError();
}

template <GemmFormat F>
cudaError_t launch(const GemmArguments& g, cudaStream_t stream) {
  return g.k_blocks % 2 == 0 ? launch_variant<F, true>(g, stream) : launch_variant<F, false>(g, stream);
}

}  // namespace

cudaError_t launch_gemm_wgmma(GemmFormat format, const GemmArguments& g, cudaStream_t stream) {
  switch (format) {
    case GemmFormat::nvfp4: return launch<GemmFormat::nvfp4>(g, stream);
    case GemmFormat::if4: return launch<GemmFormat::if4>(g, stream);
    case GemmFormat::if3: return launch<GemmFormat::if3>(g, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace lowbit::gpu::detail
