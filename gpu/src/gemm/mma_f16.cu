// SPDX-License-Identifier: MIT
// GEMM by the FP16 route with instructions that Hopper and both Blackwells have: four-bit codes are
// copied to shared memory as they are, expanded in registers into mma.sync fragments and
// multiplied. The machine code for sm_100a and sm_120a is not run on hardware; the same source is
// run on sm_90a.
//
// Why 64 x 64 outputs per warp: a lane expands 64 words of codes for 256 instructions, six
// operations per instruction, and the tensor cores of sm_120 take longer than that for one. Smaller
// tiles expand more. Two warps of the CTA expand each row; no FP16 word of an operand leaves the
// registers.
//
// Schedule (what the model replays): accumulators from +0; K in super-steps of 128 ascending, eight
// m16n8k16 each, whose columns mma_f16_column names; columns past K are zeros;
// d = RN_FP32(alpha * accumulator).
#include <cuda_runtime.h>

#include "gemm/kernels.hpp"
#include "gemm/mma_sync_inl.cuh"
#include "lowbit/gpu/gemm_raster.hpp"
#include "lowbit/gpu/mma_f16_layout.hpp"

namespace lowbit::gpu::detail {
namespace {

using Layout = MmaF16;
constexpr int m_tiles = Layout::warp_tile / 16;
constexpr int n_tiles = Layout::warp_tile / 8;
constexpr int registers = 2 * Layout::block_instructions;  // of a row's block: eight half2

// The rows of one operand in this CTA's tile.
struct Operand {
  const std::uint8_t* codes;
  const std::uint8_t* scales;
  int rows;  // that exist

  __device__ __forceinline__ Operand(const std::uint8_t* all_codes, const std::uint8_t* all_scales,
                                     int first, int all_rows, int k_blocks) {
    const std::size_t blocks = static_cast<std::size_t>(first) * k_blocks;
    codes = all_codes + blocks * 8;
    scales = all_scales + blocks;  // a multiple of 4, as `first` is one
    rows = all_rows - first;
  }

  __device__ __forceinline__ void copy(std::uint32_t stage, int super_step, int k_blocks) const {
    const int thread = threadIdx.x;
#pragma unroll
    for (int i = 0; i < Layout::code_copies; ++i) {
      const StageCopy c = Layout::code_copy(thread, i, super_step, rows, k_blocks);
      copy_async<8>(stage + c.destination, codes + c.source, c.bytes);
    }
#pragma unroll 1
    for (int i = 0; i < Layout::scale_copies; ++i) {
      const StageCopy c = Layout::scale_copy(thread, i, super_step, rows, k_blocks);
      if (c.bytes == 0 || c.bytes == 4) {
        copy_async<4>(stage + c.destination, scales + c.source, c.bytes);
      } else {
        // The end of a row, byte by byte: the last one's word may reach past the operand's end.
        std::uint32_t word = 0;
#pragma unroll 1
        for (int k = 0; k < c.bytes; ++k)
          word |= static_cast<std::uint32_t>(__ldg(scales + c.source + k)) << (8 * k);
        asm volatile("st.shared.b32 [%0], %1;" ::"r"(stage + c.destination), "r"(word) : "memory");
      }
    }
  }
};

// One block of a row to the fragments of four instructions.
template <GemmFormat F>
__device__ __forceinline__ void expand_block(const std::uint8_t* operand, int row, int shift,
                                             int block, std::uint32_t (&out)[registers]) {
  const uint2 codes = *reinterpret_cast<const uint2*>(operand + Layout::code_offset(row, block));
  BlockExpansion expansion;
  BlockExpansion unused;
  block_expansions<F>(operand[Layout::scale_offset(row, shift, block)], expansion, unused);
  std::uint32_t low[4];
  std::uint32_t high[4];
  expand_word<F>(codes.x, expansion, low);
  expand_word<F>(codes.y, expansion, high);
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    out[r] = low[r];
    out[4 + r] = high[r];
  }
}

template <GemmFormat F>
__global__ void __launch_bounds__(Layout::threads, 2)
    gemm_mma_f16_kernel(const GemmArguments g, int tiles_m, int tiles_n) {
  __shared__ __align__(16) std::uint8_t stages[Layout::ring * Layout::stage_bytes];
  const auto stages_address = static_cast<std::uint32_t>(__cvta_generic_to_shared(stages));
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  const TilePlace place = place_tile(blockIdx.x, tiles_m, tiles_n);
  const int m0 = place.m * Layout::tile;
  const int n0 = place.n * Layout::tile;
  const Operand a(g.a_codes, g.a_scales, m0, g.m, g.k_blocks);
  const Operand b(g.b_codes, g.b_scales, n0, g.n, g.k_blocks);
  const int steps = (g.k_blocks + Layout::step_blocks - 1) / Layout::step_blocks;
  const auto fill = [&](int s) {
    if (s < steps) {
      const std::uint32_t stage = stages_address + s % Layout::ring * Layout::stage_bytes;
      a.copy(stage, s, g.k_blocks);
      b.copy(stage + Layout::operand_bytes, s, g.k_blocks);
    }
    copy_commit();  // an empty group too: groups are counted
  };

  float acc[m_tiles][n_tiles][4];
#pragma unroll
  for (int i = 0; i < m_tiles; ++i) {
#pragma unroll
    for (int j = 0; j < n_tiles; ++j) {
#pragma unroll
      for (int r = 0; r < 4; ++r) acc[i][j][r] = 0.0F;
    }
  }

  // Rows of a lane differ by multiples of eight, so that one shift serves them all.
  const int row = lane >> 2;
  const int part = lane & 3;
  const int shift = Layout::scale_shift(row, g.k_blocks);
#pragma unroll
  for (int s = 0; s < Layout::ring - 1; ++s) fill(s);
#pragma unroll 1
  for (int s = 0; s < steps; ++s) {
    copy_wait<Layout::ring - 2>();
    __syncthreads();  // the copies of this step have arrived, and every warp has read the slot that
                      // is filled next
    fill(s + Layout::ring - 1);
    const std::uint8_t* stage_a = stages + s % Layout::ring * Layout::stage_bytes;
    const std::uint8_t* stage_b = stage_a + Layout::operand_bytes;
#pragma unroll 1
    for (int half = 0; half < 2; ++half) {
      const int block = 2 * part + half;
      std::uint32_t fa[Layout::row_groups][registers];
#pragma unroll
      for (int i = 0; i < Layout::row_groups; ++i) {
        expand_block<F>(stage_a, Layout::warp_row_a(warp) + 8 * i + row, shift, block, fa[i]);
      }
#pragma unroll
      for (int j = 0; j < n_tiles; ++j) {
        std::uint32_t fb[registers];
        expand_block<F>(stage_b, Layout::warp_row_b(warp) + 8 * j + row, shift, block, fb);
#pragma unroll
        for (int q = 0; q < Layout::block_instructions; ++q) {
#pragma unroll
          for (int i = 0; i < m_tiles; ++i) {
            mma_sync_m16n8k16(acc[i][j], fa[2 * i][2 * q], fa[2 * i + 1][2 * q],
                              fa[2 * i][2 * q + 1], fa[2 * i + 1][2 * q + 1], fb[2 * q],
                              fb[2 * q + 1]);
          }
        }
      }
    }
  }

  const bool pairs = g.n % 2 == 0;
#pragma unroll
  for (int i = 0; i < m_tiles; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int m = m0 + Layout::d_row(warp, lane, i, 2 * h);
      if (m >= g.m) continue;
      float* out = g.d + static_cast<std::size_t>(m) * g.n;
#pragma unroll
      for (int j = 0; j < n_tiles; ++j) {
        const int n = n0 + Layout::d_column(warp, lane, j, 2 * h);
        const float2 v = make_float2(__fmul_rn(g.alpha, acc[i][j][2 * h]),
                                     __fmul_rn(g.alpha, acc[i][j][2 * h + 1]));
        if (pairs) {
          if (n < g.n) *reinterpret_cast<float2*>(out + n) = v;
        } else {
          if (n < g.n) out[n] = v.x;
          if (n + 1 < g.n) out[n + 1] = v.y;
        }
      }
    }
  }
}

template <GemmFormat F>
cudaError_t launch(const GemmArguments& g, cudaStream_t stream) {
  const int tiles_m = (g.m + Layout::tile - 1) / Layout::tile;
  const int tiles_n = (g.n + Layout::tile - 1) / Layout::tile;
  const auto tiles = static_cast<unsigned>(tiles_m) * static_cast<unsigned>(tiles_n);
  // Two CTAs on a multiprocessor need most of its memory as shared memory on sm_120.
  const cudaError_t raised =
      cudaFuncSetAttribute(gemm_mma_f16_kernel<F>, cudaFuncAttributePreferredSharedMemoryCarveout,
                           cudaSharedmemCarveoutMaxShared);
  if (raised != cudaSuccess) return raised;
  gemm_mma_f16_kernel<F><<<tiles, Layout::threads, 0, stream>>>(g, tiles_m, tiles_n);
  return cudaGetLastError();
}

}  // namespace

cudaError_t launch_gemm_mma_f16(GemmFormat format, const GemmArguments& g, cudaStream_t stream) {
  return with_format(format, [&]<GemmFormat F>() { return launch<F>(g, stream); });
}

}  // namespace lowbit::gpu::detail
