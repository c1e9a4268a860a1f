// SPDX-License-Identifier: MIT
// Hopper GEMM: four-bit operands expanded to FP16 into shared memory, multiplied by wgmma.
//
// A CTA owns 128 x 256 outputs: two warpgroups of 64 x 256 accumulators (128 registers a thread).
// K advances 128 a stage, two stages of shared memory. While the tensor cores work on one stage, the
// same eight warps expand the next one from registers and fetch the one after that from global
// memory: no FP16 word leaves the SM.
//
// Schedule (what the model replays): accumulators start at +0; k in steps of 16 ascending, one
// m64n256k16 each; d = RN_FP32(alpha * accumulator).
#include <cuda_runtime.h>

#include "gemm_kernels.hpp"
#include "lowbit/gpu/gemm_expand.hpp"
#include "wgmma_inl.cuh"

namespace lowbit::gpu::detail {
namespace {

constexpr int tile_m = 128;
constexpr int tile_n = 256;
constexpr int stage_k = 128;
constexpr int threads = 256;
constexpr int row_bytes = 128;                       // 64 FP16 of a swizzled row
constexpr int panel_a = tile_m * row_bytes;          // 64 columns of K
constexpr int panel_b = tile_n * row_bytes;
constexpr int stage_bytes = 2 * panel_a + 2 * panel_b;
constexpr int shared_bytes = 2 * stage_bytes + 1024;  // atoms are aligned to 1024
// A thread expands 32 columns of one row at a time: rows g*8 + lane%8, columns 32*(lane/8).
constexpr int groups_a = tile_m / 8 / (threads / 32);
constexpr int groups_b = tile_n / 8 / (threads / 32);
constexpr int groups = groups_a + groups_b;
constexpr int group_stride = threads / 32 * 8;  // rows between a warp's consecutive groups
// M-tiles that share a sweep over N, so that a wave of CTAs re-reads its operands from L2.
constexpr int raster_rows = 16;

// What a thread holds of the stage after next: 32 codes and 2 scale bytes of each of its rows.
struct Fetched {
  uint4 codes[groups];
  std::uint32_t scales[groups];
};

struct Operand {
  const std::uint8_t* codes;   // of this thread's first row, first column
  const std::uint8_t* scales;
  int row;                     // of this thread's first group
  int rows;
};

// 16-byte loads need an even number of blocks in a row; otherwise 8 bytes and one scale at a time.
__device__ __forceinline__ void fetch_row(const std::uint8_t* codes, const std::uint8_t* scales,
                                          bool in_range, int block, int k_blocks, bool even,
                                          uint4& out_codes, std::uint32_t& out_scales) {
  out_codes = make_uint4(0, 0, 0, 0);
  out_scales = 0;
  if (!in_range || block >= k_blocks) return;
  if (even) {
    out_codes = __ldg(reinterpret_cast<const uint4*>(codes));
    out_scales = __ldg(reinterpret_cast<const std::uint16_t*>(scales));
  } else {
    const uint2 first = __ldg(reinterpret_cast<const uint2*>(codes));
    out_codes.x = first.x;
    out_codes.y = first.y;
    out_scales = __ldg(scales);
    if (block + 1 < k_blocks) {
      const uint2 second = __ldg(reinterpret_cast<const uint2*>(codes + 8));
      out_codes.z = second.x;
      out_codes.w = second.y;
      out_scales |= static_cast<std::uint32_t>(__ldg(scales + 1)) << 8;
    }
  }
}

__device__ __forceinline__ void store_shared(std::uint32_t address, const std::uint32_t (&v)[4]) {
  asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(v[0]), "r"(v[1]),
               "r"(v[2]), "r"(v[3]));
}

template <GemmFormat F>
__device__ __forceinline__ void expand_row(const uint4& codes, std::uint32_t scales,
                                           std::uint32_t row_address, const std::uint32_t (&chunk)[4]) {
  BlockExpansion block[2];
  block_expansions<F>(scales, block[0], block[1]);
  std::uint32_t out[4];
  expand_word<F>(codes.x, block[0], out);
  store_shared(row_address + chunk[0], out);
  expand_word<F>(codes.y, block[0], out);
  store_shared(row_address + chunk[1], out);
  expand_word<F>(codes.z, block[1], out);
  store_shared(row_address + chunk[2], out);
  expand_word<F>(codes.w, block[1], out);
  store_shared(row_address + chunk[3], out);
}

template <GemmFormat F>
__global__ void __launch_bounds__(threads, 1) gemm_wgmma_kernel(const GemmArguments g, int tiles_m,
                                                                int tiles_n) {
  extern __shared__ std::uint8_t dynamic_shared[];
  const std::uint32_t shared =
      (static_cast<std::uint32_t>(__cvta_generic_to_shared(dynamic_shared)) + 1023U) & ~1023U;
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;

  // Tiles in bands of raster_rows M-tiles, M fastest within a band.
  const int band = blockIdx.x / (raster_rows * tiles_n);
  const int within = blockIdx.x % (raster_rows * tiles_n);
  const int band_rows = min(raster_rows, tiles_m - band * raster_rows);
  const int m0 = (band * raster_rows + within % band_rows) * tile_m;
  const int n0 = within / band_rows * tile_n;

  const int part = lane >> 3;  // which 32 columns of the stage
  const int first_row = warp * 8 + (lane & 7);
  const bool even = g.k_blocks % 2 == 0;
  const std::size_t pitch = static_cast<std::size_t>(g.k_blocks) * 8;
  const std::uint8_t* a_codes = g.a_codes + (m0 + first_row) * pitch + part * 16;
  const std::uint8_t* b_codes = g.b_codes + (n0 + first_row) * pitch + part * 16;
  const std::uint8_t* a_scales =
      g.a_scales + static_cast<std::size_t>(m0 + first_row) * g.k_blocks + part * 2;
  const std::uint8_t* b_scales =
      g.b_scales + static_cast<std::size_t>(n0 + first_row) * g.k_blocks + part * 2;
  unsigned in_range = 0;
#pragma unroll
  for (int i = 0; i < groups; ++i) {
    const bool ok = i < groups_a ? m0 + first_row + i * group_stride < g.m
                                 : n0 + first_row + (i - groups_a) * group_stride < g.n;
    in_range |= ok ? 1U << i : 0U;
  }

  // Chunk c of this thread's 32 columns lands at 16-byte unit (4*(part%2) + c) ^ (row%8).
  std::uint32_t chunk[4];
#pragma unroll
  for (int c = 0; c < 4; ++c) chunk[c] = static_cast<std::uint32_t>(((part & 1) * 4 + c) ^ (lane & 7)) << 4;
  const std::uint32_t store_a = shared + (part >> 1) * panel_a + first_row * row_bytes;
  const std::uint32_t store_b = shared + 2 * panel_a + (part >> 1) * panel_b + first_row * row_bytes;

  Fetched next;
  const auto fetch = [&](int i, int stage) {
    const int j = i < groups_a ? i : i - groups_a;
    const std::size_t row_offset = static_cast<std::size_t>(j) * group_stride;
    const std::uint8_t* codes = (i < groups_a ? a_codes : b_codes) + row_offset * pitch +
                                static_cast<std::size_t>(stage) * (stage_k / 2);
    const std::uint8_t* scales = (i < groups_a ? a_scales : b_scales) +
                                 row_offset * g.k_blocks + static_cast<std::size_t>(stage) * (stage_k / 16);
    fetch_row(codes, scales, (in_range >> i & 1) != 0, stage * (stage_k / 16) + part * 2, g.k_blocks,
              even, next.codes[i], next.scales[i]);
  };
  const auto expand = [&](int i, int buffer) {
    const std::uint32_t base = (i < groups_a ? store_a + i * group_stride * row_bytes
                                             : store_b + (i - groups_a) * group_stride * row_bytes) +
                               buffer * stage_bytes;
    expand_row<F>(next.codes[i], next.scales[i], base, chunk);
  };

  const int stages = (g.k_blocks + stage_k / 16 - 1) / (stage_k / 16);
  float acc[128];
#pragma unroll
  for (int i = 0; i < 128; ++i) acc[i] = 0.0F;

  if (stages > 0) {
#pragma unroll
    for (int i = 0; i < groups; ++i) fetch(i, 0);
#pragma unroll
    for (int i = 0; i < groups; ++i) {
      expand(i, 0);
      fetch(i, 1);
    }
    fence_async_shared();
  }
  __syncthreads();

  const std::uint32_t mma_a = shared + (warp >> 2) * 64 * row_bytes;
  const std::uint32_t mma_b = shared + 2 * panel_a;
#pragma unroll 1
  for (int s = 0; s < stages; ++s) {
    const std::uint32_t buffer = (s & 1) * stage_bytes;
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < stage_k / 16; ++step) {
      // 32 bytes a step within the swizzled 128-byte row, then the next panel.
      wgmma_m64n256k16(acc, wgmma_descriptor(mma_a + buffer + step / 4 * panel_a + step % 4 * 32),
                       wgmma_descriptor(mma_b + buffer + step / 4 * panel_b + step % 4 * 32));
    }
    wgmma_commit();
    if (s + 1 < stages) {
#pragma unroll
      for (int i = 0; i < groups; ++i) {
        expand(i, (s + 1) & 1);
        fetch(i, s + 2);
      }
      fence_async_shared();
    }
    wgmma_wait_all();
    __syncthreads();
  }

  // Accumulator register 4j + r: row 16*(warp%4) + lane/4 + 8*(r/2), column 8j + 2*(lane%4) + r%2.
  const int row = m0 + (warp >> 2) * 64 + (warp & 3) * 16 + (lane >> 2);
  const int column = n0 + (lane & 3) * 2;
  const bool pairs = g.n % 2 == 0;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int r = row + 8 * h;
    if (r >= g.m) continue;
    float* out = g.d + static_cast<std::size_t>(r) * g.n + column;
#pragma unroll
    for (int j = 0; j < 32; ++j) {
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

template <GemmFormat F>
cudaError_t launch(const GemmArguments& g, cudaStream_t stream) {
  const int tiles_m = (g.m + tile_m - 1) / tile_m;
  const int tiles_n = (g.n + tile_n - 1) / tile_n;
  const cudaError_t raised = cudaFuncSetAttribute(
      gemm_wgmma_kernel<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (raised != cudaSuccess) return raised;
  gemm_wgmma_kernel<F><<<tiles_m * tiles_n, threads, shared_bytes, stream>>>(g, tiles_m, tiles_n);
  return cudaGetLastError();
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
