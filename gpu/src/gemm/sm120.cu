// SPDX-License-Identifier: MIT
// Native NVFP4 GEMM for sm_120a: mma.sync kind::mxf4nvf4.block_scale m16n8k64 with UE4M3 scales.
// Not run on hardware: assembled, and its layouts are checked on the CPU.
//
// A warp owns 32 x 32 outputs (2 x 4 instructions per step), a CTA of four warps 64 x 64. Fragments
// are read straight from global memory; scales are in the 128x4 layout, so a row's four bytes of a
// step are one aligned word.
//
// Schedule: accumulators from +0, k in steps of 64 ascending, d = RN_FP32(alpha * accumulator).
#include <cuda_runtime.h>

#include "gemm/kernels.hpp"
#include "lowbit/gpu/blackwell_layout.hpp"
#include "lowbit/scale_layout.hpp"

namespace lowbit::gpu::detail {
namespace {

using Mma = Sm120Mma;
constexpr int warp_m = 32;
constexpr int warp_n = 32;
constexpr int threads = 128;

// Eight codes of a row, zeros outside the matrix.
__device__ __forceinline__ std::uint32_t codes_at(const std::uint8_t* codes, int row, int rows,
                                                  int column, int k_blocks) {
  if (row >= rows || column / 16 >= k_blocks) return 0;
  return __ldg(reinterpret_cast<const std::uint32_t*>(
      codes + static_cast<std::size_t>(row) * k_blocks * 8 + column / 2));
}
// Four scale bytes of a row. The swizzled layout is padded with zeros to 128 rows and 4 blocks.
__device__ __forceinline__ std::uint32_t scales_at(const std::uint8_t* scales, int row, int rows,
                                                   int step, int k_blocks) {
  if (row >= rows) return 0;
  return __ldg(reinterpret_cast<const std::uint32_t*>(
      scales + swizzled_scale_offset(row, step * 4, k_blocks)));
}

__device__ __forceinline__ void mma(float (&d)[4], const std::uint32_t (&a)[4],
                                    const std::uint32_t (&b)[2], std::uint32_t scale_a,
                                    std::uint32_t scale_b) {
  asm volatile(
      "mma.sync.aligned.kind::mxf4nvf4.block_scale.scale_vec::4X.m16n8k64.row.col.f32.e2m1.e2m1."
      "f32.ue4m3 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3}, {%10}, {0,0}, {%11}, {0,0};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(scale_a),
        "r"(scale_b));
}

__global__ void __launch_bounds__(threads) gemm_nvfp4_sm120_kernel(const GemmArguments g) {
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  const int m0 = blockIdx.y * 2 * warp_m + (warp >> 1) * warp_m;
  const int n0 = blockIdx.x * 2 * warp_n + (warp & 1) * warp_n;
  float acc[2][4][4] = {};
  const int steps = (g.k_blocks + 3) / 4;
  for (int s = 0; s < steps; ++s) {
    std::uint32_t a[2][4];
    std::uint32_t scale_a[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = m0 + i * Mma::m;
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        a[i][r] = codes_at(g.a_codes, row + Mma::a_row(lane, r), g.m,
                           s * Mma::k + Mma::a_column(lane, r), g.k_blocks);
      }
      scale_a[i] = scales_at(g.a_scales, row + Mma::scale_a_row(lane), g.m, s, g.k_blocks);
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = n0 + j * Mma::n;
      std::uint32_t b[2];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        b[r] = codes_at(g.b_codes, row + Mma::b_row(lane), g.n, s * Mma::k + Mma::b_column(lane, r),
                        g.k_blocks);
      }
      const std::uint32_t scale_b =
          scales_at(g.b_scales, row + Mma::scale_b_row(lane), g.n, s, g.k_blocks);
#pragma unroll
      for (int i = 0; i < 2; ++i) mma(acc[i][j], a[i], b, scale_a[i], scale_b);
    }
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const int m = m0 + i * Mma::m + Mma::d_row(lane, r);
        const int n = n0 + j * Mma::n + Mma::d_column(lane, r);
        if (m < g.m && n < g.n)
          g.d[static_cast<std::size_t>(m) * g.n + n] = __fmul_rn(g.alpha, acc[i][j][r]);
      }
    }
  }
}

}  // namespace

cudaError_t launch_gemm_sm120(const GemmArguments& g, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((g.n + 63) / 64), static_cast<unsigned>((g.m + 63) / 64));
  gemm_nvfp4_sm120_kernel<<<grid, threads, 0, stream>>>(g);
  return cudaGetLastError();
}

}  // namespace lowbit::gpu::detail
