// SPDX-License-Identifier: MIT
// Hopper GEMM: four-bit operands expanded to FP16 inside the SM, multiplied by wgmma.
//
// A CTA works on tiles of 128 x 256 outputs, one after the other. Codes and scales come in chunks
// of 256 columns of K, two chunks ahead, through the bulk tensor copy engine. Two producer
// warpgroups expand B into shared memory in stages of 64 columns, 32 of two rows per thread. Two
// consumer warpgroups of 64 rows expand A into the registers from which wgmma reads it: A's FP16
// words never pass through shared memory, whose bandwidth would be the limit (docs/gpu_gemm.md
// counts it). No FP16 word leaves the SM.
//
// Schedule (what the model replays): accumulators start at +0; groups of 64 columns ascending, four
// m64n128k16 each, whose columns wgmma_column names; d = RN_FP32(alpha * accumulator).
#include "gemm/kernels.hpp"
#include "gemm/tensor_copy.cuh"
#include "gemm/wgmma_inl.cuh"
#include "lowbit/gpu/gemm_layout.hpp"
#include "lowbit/gpu/gemm_raster.hpp"

namespace lowbit::gpu::detail {
namespace {

constexpr int tile_m = 128;
constexpr int tile_n = 256;
constexpr int chunk_k = 256;
constexpr int chunk_blocks = chunk_k / gemm_block;
constexpr int chunk_row = chunk_k / 2;  // bytes of codes
constexpr int stage_k = 64;
constexpr int stages = chunk_k / stage_k;  // of a chunk
constexpr int ring = 3;
constexpr int row_bytes = 128;  // 64 FP16 of a row of B, and 256 codes of a row
constexpr int stage_bytes = tile_n * row_bytes;
constexpr int a_codes_bytes = tile_m * chunk_row;
constexpr int b_codes_bytes = tile_n * chunk_row;
constexpr int a_scales_bytes = tile_m * chunk_blocks;
constexpr int b_scales_bytes = tile_n * chunk_blocks;
constexpr int chunk_bytes = a_codes_bytes + b_codes_bytes + a_scales_bytes + b_scales_bytes;
constexpr int shared_bytes =
    ring * stage_bytes + 2 * chunk_bytes + 1024;  // atoms are aligned to 1024
constexpr int consumers = 256;
constexpr int producers = 256;
constexpr int threads = consumers + producers;
constexpr int rows_apart = producers / 2;  // those of a producer thread
constexpr int own_rows = tile_n / rows_apart;
static_assert(chunk_row == row_bytes);
static_assert(tile_n == producers && tile_m <= producers,
              "a row a thread, where the copy engine does not serve");

struct Maps {
  CUtensorMap a_codes, a_scales, b_codes, b_scales;
};

// Barriers in shared memory, eight bytes each.
struct Barriers {
  std::uint32_t base;
  __device__ std::uint32_t full(int slot) const {
    return base + 8 * slot;
  }  // a stage of B is expanded
  __device__ std::uint32_t empty(int slot) const {
    return base + 8 * (ring + slot);
  }  // and multiplied
  __device__ std::uint32_t a_here(int half) const { return base + 8 * (2 * ring + half); }
  __device__ std::uint32_t b_here(int half) const { return base + 8 * (2 * ring + 2 + half); }
  static constexpr int count = 2 * ring + 4;
};

struct Shared {
  std::uint32_t base;  // ring of expanded stages, then two chunks
  __device__ std::uint32_t stage(int slot) const { return base + slot * stage_bytes; }
  __device__ std::uint32_t b_codes(int half) const {
    return base + ring * stage_bytes + half * b_codes_bytes;
  }
  __device__ std::uint32_t a_codes(int half) const { return b_codes(2) + half * a_codes_bytes; }
  __device__ std::uint32_t b_scales(int half) const { return a_codes(2) + half * b_scales_bytes; }
  __device__ std::uint32_t a_scales(int half) const { return b_scales(2) + half * a_scales_bytes; }
};

struct Tile {
  int m0;
  int n0;
};

__device__ __forceinline__ Tile tile_at(int index, int tiles_m, int tiles_n) {
  const TilePlace place = place_tile(index, tiles_m, tiles_n);
  return {place.m * tile_m, place.n * tile_n};
}

struct Work {
  GemmArguments g;
  int tiles;
  int tiles_m;
  int tiles_n;
  int chunks;  // of K
};

// The chunks of a CTA's tiles, one after the other.
struct Cursor {
  int number;  // of the tile
  Tile tile;
  int chunk = 0;
  __device__ __forceinline__ explicit Cursor(const Work& w)
      : number(static_cast<int>(blockIdx.x)), tile(tile_at(number, w.tiles_m, w.tiles_n)) {}
  __device__ __forceinline__ void advance(const Work& w) {
    if (++chunk == w.chunks) {
      chunk = 0;
      number += static_cast<int>(gridDim.x);
      tile = tile_at(number, w.tiles_m, w.tiles_n);
    }
  }
};

__device__ __forceinline__ void store_shared(std::uint32_t address, std::uint32_t x,
                                             std::uint32_t y, std::uint32_t z, std::uint32_t w) {
  asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(x), "r"(y), "r"(z),
               "r"(w)
               : "memory");
}
__device__ __forceinline__ uint4 load_shared(std::uint32_t address) {
  uint4 v;
  asm volatile("ld.shared.v4.b32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(address)
               : "memory");
  return v;
}
__device__ __forceinline__ uint2 load_shared_pair(std::uint32_t address) {
  uint2 v;
  asm volatile("ld.shared.v2.b32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(address) : "memory");
  return v;
}
__device__ __forceinline__ std::uint32_t load_shared_half(std::uint32_t address) {
  std::uint16_t v;
  asm volatile("ld.shared.u16 %0, [%1];" : "=h"(v) : "r"(address) : "memory");
  return v;
}
__device__ __forceinline__ void store_shared_pair(std::uint32_t address, std::uint32_t x,
                                                  std::uint32_t y) {
  asm volatile("st.shared.v2.b32 [%0], {%1,%2};" ::"r"(address), "r"(x), "r"(y) : "memory");
}
__device__ __forceinline__ std::uint32_t word_of(const uint4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

// The registers that the producers give back must cover those that the consumers take: the launch
// has 128 per thread. (Instructions of 256 columns need 158 at launch.)
constexpr int producer_registers = 64;
constexpr int consumer_registers = 192;
static_assert(producers * producer_registers + consumers * consumer_registers <= threads * 128);

__device__ __forceinline__ void copy_a(const Work& w, const Maps& maps, const Shared& shared,
                                       const Barriers& barriers, const Cursor& at, int half) {
  if (at.number >= w.tiles) return;
  expect_bytes(barriers.a_here(half), a_codes_bytes + a_scales_bytes);
  copy_box(shared.a_codes(half), maps.a_codes, at.chunk * chunk_row, at.tile.m0,
           barriers.a_here(half));
  copy_box(shared.a_scales(half), maps.a_scales, at.chunk * chunk_blocks, at.tile.m0,
           barriers.a_here(half));
}
__device__ __forceinline__ void copy_b(const Work& w, const Maps& maps, const Shared& shared,
                                       const Barriers& barriers, const Cursor& at, int half) {
  if (at.number >= w.tiles) return;
  expect_bytes(barriers.b_here(half), b_codes_bytes + b_scales_bytes);
  copy_box(shared.b_codes(half), maps.b_codes, at.chunk * chunk_row, at.tile.n0,
           barriers.b_here(half));
  copy_box(shared.b_scales(half), maps.b_scales, at.chunk * chunk_blocks, at.tile.n0,
           barriers.b_here(half));
}

// A chunk of a row without the copy engine, for a K whose rows do not have the engine's pitch:
// codes in the engine's swizzled order, scales, and zeros outside the matrix.
__device__ __noinline__ void fill_row(const std::uint8_t* codes, const std::uint8_t* scales,
                                      int row, int rows, int block, int k_blocks,
                                      std::uint32_t to_codes, std::uint32_t to_scales) {
  const std::size_t base = static_cast<std::size_t>(row) * k_blocks;
  for (int u = 0; u < chunk_blocks / 2; ++u) {
    uint2 two[2] = {};
    std::uint32_t scale = 0;
    for (int h = 0; h < 2; ++h) {
      const int b = block + 2 * u + h;
      if (row >= rows || b >= k_blocks) continue;
      two[h] = __ldg(reinterpret_cast<const uint2*>(codes + (base + b) * 8));
      scale |= static_cast<std::uint32_t>(__ldg(scales + base + b)) << (8 * h);
    }
    store_shared(to_codes + ((u ^ (row & 7)) << 4), two[0].x, two[0].y, two[1].x, two[1].y);
    asm volatile("st.shared.b16 [%0], %1;" ::"r"(to_scales + 2 * u),
                 "h"(static_cast<std::uint16_t>(scale))
                 : "memory");
  }
}

// Producers and consumers, once per chunk where the copy engine is not used: A's codes are there.
__device__ __forceinline__ void filled() {
  asm volatile("bar.sync 1, %0;" ::"n"(threads) : "memory");
}

template <GemmFormat F, bool bulk>
__device__ __forceinline__ void produce(const Work& w, const Maps& maps, const Shared& shared,
                                        const Barriers& barriers) {
  const GemmArguments& g = w.g;
  const int thread = static_cast<int>(threadIdx.x) - consumers;
  const int lane = threadIdx.x & 31;
  const bool copies = bulk && thread == 0;
  // Eight lanes have eight rows, whose units of codes lie in all banks. The next eight have the
  // same rows and the other two of a stage's four blocks: the half units that the sixteen store lie
  // in all banks.
  const int row = thread / 16 * 8 + thread % 8;
  const int pair = thread / 8 % 2;
  // Unit u of the row's 128 bytes lies at u ^ (row % 8), as codes and as FP16.
  const std::uint32_t swizzle = (row & 7) << 4;
  Cursor at(w);
  Cursor ahead = at;  // what the copy engine fetches next
  if (copies) {
    for (int half = 0; half < 2; ++half) {
      copy_b(w, maps, shared, barriers, ahead, half);
      copy_a(w, maps, shared, barriers, ahead, half);
      ahead.advance(w);
    }
  }
  __syncwarp();
  int slot = 0;
  unsigned parity = 1;  // the first pass over the ring finds it empty
  unsigned chunk = 0;   // counted over all tiles
  for (; at.number < w.tiles; at.advance(w), ++chunk) {
    const int half = chunk & 1;
    if constexpr (bulk) {
      barrier_wait(barriers.b_here(half), chunk >> 1 & 1);
    } else {
      const int block = at.chunk * chunk_blocks;
      fill_row(g.b_codes, g.b_scales, at.tile.n0 + thread, g.n, block, g.k_blocks,
               shared.b_codes(half) + thread * chunk_row,
               shared.b_scales(half) + thread * chunk_blocks);
      // The consumers have finished A's chunk before the last one, because they were at the barrier
      // of the last one.
      if (thread < tile_m) {
        fill_row(g.a_codes, g.a_scales, at.tile.m0 + thread, g.m, block, g.k_blocks,
                 shared.a_codes(half) + thread * chunk_row,
                 shared.a_scales(half) + thread * chunk_blocks);
      }
      filled();
    }
    const std::uint32_t codes = shared.b_codes(half) + row * chunk_row;
    const std::uint32_t scales = shared.b_scales(half) + row * chunk_blocks + 2 * pair;
    // The codes of a stage are loaded into registers, all at once, before the wait for its place.
    // Each load takes tens of cycles, and the two warps of a scheduler have nothing else to do
    // meanwhile.
    uint4 c[own_rows];
    std::uint32_t scale[own_rows];
    const auto load_codes = [&](int s) {
#pragma unroll
      for (int i = 0; i < own_rows; ++i) {
        c[i] = load_shared(codes + i * rows_apart * chunk_row +
                           (static_cast<std::uint32_t>(s << 5) ^ swizzle ^ pair << 4));
        scale[i] = load_shared_half(scales + i * rows_apart * chunk_blocks + 4 * s);
      }
    };
    load_codes(0);
#pragma unroll
    for (int s = 0; s < stages; ++s) {
      barrier_wait(barriers.empty(slot), parity);
      // The stage whose place stage 2 takes was the last of the chunk before, whose codes of A are
      // used up; the one whose place stage 1 takes was the last but one: every producer had by then
      // read that chunk's last codes of B.
      static_assert(ring == stages - 1);
      if (copies && chunk != 0 && s == 1) copy_b(w, maps, shared, barriers, ahead, half ^ 1);
      if (copies && chunk != 0 && s == 2) {
        copy_a(w, maps, shared, barriers, ahead, half ^ 1);
        ahead.advance(w);
      }
      if constexpr (bulk) __syncwarp();
      const std::uint32_t to = shared.stage(slot) + row * row_bytes + swizzle + 8 * pair;
#pragma unroll
      for (int i = 0; i < own_rows; ++i) {
        BlockExpansion block[2];
        block_expansions<F>(scale[i], block[0], block[1]);
#pragma unroll
        for (int q = 0; q < 2; ++q) {
          // Word q of both blocks; unit 4q + r of the row takes their registers r.
          std::uint32_t out[2][4];
#pragma unroll
          for (int t = 0; t < 2; ++t) expand_word<F>(word_of(c[i], t * 2 + q), block[t], out[t]);
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            store_shared_pair((to ^ (4 * q + r) << 4) + i * rows_apart * row_bytes, out[0][r],
                              out[1][r]);
          }
        }
      }
      if (s + 1 < stages) load_codes(s + 1);  // before the arrival on `full`: see copy_b above
      fence_async_shared();
      __syncwarp();
      if (lane == 0) barrier_arrive(barriers.full(slot));
      if (++slot == ring) {
        slot = 0;
        parity ^= 1;
      }
    }
  }
}

template <GemmFormat F, bool bulk>
__device__ __forceinline__ void consume(const Work& w, const Shared& shared,
                                        const Barriers& barriers) {
  const GemmArguments& g = w.g;
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  const int t = lane & 3;
  const int in_tile = warp * 16 + (lane >> 2);  // and eight rows further
  // Of a stage's two 16-byte units, block t is in unit t / 2.
  const std::uint32_t swizzle = (((in_tile & 7) ^ t >> 1) << 4);
  const std::uint32_t pick =
      static_cast<std::uint32_t>(t | (t + 4) << 4);  // scale bytes of block t, of both rows
  int slot = 0;
  unsigned parity = 0;
  unsigned chunk = 0;
  for (int index = blockIdx.x; index < w.tiles; index += gridDim.x) {
    float acc[2][64];  // of columns 0 to 127 and 128 to 255
#pragma unroll
    for (int i = 0; i < 128; ++i) acc[i / 64][i % 64] = 0.0F;
    int previous = -1;
#pragma unroll 1
    for (int c = 0; c < w.chunks; ++c, ++chunk) {
      const int half = chunk & 1;
      if constexpr (bulk) {
        barrier_wait(barriers.a_here(half), chunk >> 1 & 1);
      } else {
        filled();
      }
      const std::uint32_t scales_at = shared.a_scales(half) + in_tile * chunk_blocks;
      const uint4 scales = load_shared(scales_at);
      const uint4 scales8 = load_shared(scales_at + 8 * chunk_blocks);
      const std::uint32_t codes = shared.a_codes(half) + in_tile * chunk_row + t % 2 * 8;
      std::uint32_t fragment[2][4]
                            [4];  // of this stage and the one before, whose wgmma may be under way
#pragma unroll
      for (int s = 0; s < stages; ++s) {
        auto& a = fragment[s & 1];
        const uint2 words =
            load_shared_pair(codes + (static_cast<std::uint32_t>(s << 5) ^ swizzle));
        const uint2 words8 = load_shared_pair(
            codes + (static_cast<std::uint32_t>(s << 5) ^ swizzle) + 8 * chunk_row);
        BlockExpansion block[2];
        block_expansions<F>(permute(word_of(scales, s), word_of(scales8, s), pick), block[0],
                            block[1]);
#pragma unroll
        for (int q = 0; q < 2; ++q) {
          std::uint32_t out[4];
          std::uint32_t out8[4];
          expand_word<F>(q == 0 ? words.x : words.y, block[0], out);
          expand_word<F>(q == 0 ? words8.x : words8.y, block[1], out8);
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            a[2 * q + r / 2][r % 2 * 2] = out[r];
            a[2 * q + r / 2][r % 2 * 2 + 1] = out8[r];
          }
        }
        barrier_wait(barriers.full(slot), parity);
        wgmma_fence();
        const std::uint32_t b = shared.stage(slot);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
#pragma unroll
          for (int side = 0; side < 2; ++side) {
            wgmma_m64n128k16(acc[side], a[j],
                             wgmma_descriptor(b + side * tile_n / 2 * row_bytes + 32 * j));
          }
        }
        wgmma_commit();
        // The stage before is finished once this one is the only group under way.
        wgmma_wait<1>();
        if (previous >= 0 && lane == 0) barrier_arrive(barriers.empty(previous));
        previous = slot;
        if (++slot == ring) {
          slot = 0;
          parity ^= 1;
        }
      }
    }
    wgmma_wait<0>();
    if (previous >= 0 && lane == 0) barrier_arrive(barriers.empty(previous));

    // Register 4j + r: row 16*(warp%4) + lane/4 + 8*(r/2), column 8j + 2*(lane%4) + r%2.
    const Tile tile = tile_at(index, w.tiles_m, w.tiles_n);
    const int column = tile.n0 + t * 2;
    const bool pairs = g.n % 2 == 0;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int r = tile.m0 + in_tile + 8 * h;
      if (r >= g.m) continue;
      float* out = g.d + static_cast<std::size_t>(r) * g.n + column;
#pragma unroll
      for (int j = 0; j < tile_n / 8; ++j) {
        const float* of = acc[j / 16] + 4 * (j % 16) + 2 * h;
        const float2 v = make_float2(__fmul_rn(g.alpha, of[0]), __fmul_rn(g.alpha, of[1]));
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

// bulk: K is a multiple of 256, so that rows of codes and of scales have the 16-byte pitch that the
// copy engine needs.
template <GemmFormat F, bool bulk>
__global__ void __launch_bounds__(threads, 1)
    gemm_wgmma_kernel(const Work w, const __grid_constant__ Maps maps) {
  extern __shared__ std::uint8_t dynamic_shared[];
  __shared__ std::uint64_t barrier_words[Barriers::count];
  const Shared shared{
      (static_cast<std::uint32_t>(__cvta_generic_to_shared(dynamic_shared)) + 1023U) & ~1023U};
  const Barriers barriers{static_cast<std::uint32_t>(__cvta_generic_to_shared(barrier_words))};
  if (threadIdx.x == 0) {
    for (int i = 0; i < ring; ++i) {
      barrier_init(barriers.full(i), producers / 32);
      barrier_init(barriers.empty(i), consumers / 32);
    }
    for (int half = 0; half < 2; ++half) {
      barrier_init(barriers.a_here(half), 1);
      barrier_init(barriers.b_here(half), 1);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (threadIdx.x < consumers) {
    grow_registers<consumer_registers>();
    consume<F, bulk>(w, shared, barriers);
  } else {
    shrink_registers<producer_registers>();
    if (w.chunks != 0) produce<F, bulk>(w, maps, shared, barriers);
  }
}

template <GemmFormat F, bool bulk>
cudaError_t launch_variant(const GemmArguments& g, cudaStream_t stream) {
  Work w{g, 0, (g.m + tile_m - 1) / tile_m, (g.n + tile_n - 1) / tile_n,
         (g.k_blocks + chunk_blocks - 1) / chunk_blocks};
  w.tiles = w.tiles_m * w.tiles_n;
  int device = 0;
  int multiprocessors = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) {
    status = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  }
  if (status == cudaSuccess) {
    status = raise_shared_limit<gemm_wgmma_kernel<F, bulk>>(shared_bytes);
  }
  if (status != cudaSuccess) return status;
  Maps maps{};
  if constexpr (bulk) {
    const auto blocks = static_cast<std::size_t>(g.k_blocks);
    if (!encode_tensor_map(maps.a_codes, g.a_codes, blocks * 8, g.m, chunk_row, tile_m, true) ||
        !encode_tensor_map(maps.b_codes, g.b_codes, blocks * 8, g.n, chunk_row, tile_n, true) ||
        !encode_tensor_map(maps.a_scales, g.a_scales, blocks, g.m, chunk_blocks, tile_m, false) ||
        !encode_tensor_map(maps.b_scales, g.b_scales, blocks, g.n, chunk_blocks, tile_n, false)) {
      return cudaErrorNotSupported;
    }
  }
  const int grid = w.tiles < multiprocessors ? w.tiles : multiprocessors;
  gemm_wgmma_kernel<F, bulk><<<grid, threads, shared_bytes, stream>>>(w, maps);
  return cudaGetLastError();
}

template <GemmFormat F>
cudaError_t launch(const GemmArguments& g, cudaStream_t stream) {
  const bool bulk = g.k_blocks != 0 && g.k_blocks % chunk_blocks == 0;
  return bulk ? launch_variant<F, true>(g, stream) : launch_variant<F, false>(g, stream);
}

}  // namespace

cudaError_t launch_gemm_wgmma(GemmFormat format, const GemmArguments& g, cudaStream_t stream) {
  return with_format(format, [&]<GemmFormat F>() { return launch<F>(g, stream); });
}

}  // namespace lowbit::gpu::detail
