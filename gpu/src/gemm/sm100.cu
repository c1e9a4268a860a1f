// SPDX-License-Identifier: MIT
// Native NVFP4 GEMM for sm_100a: tcgen05.mma kind::mxf4nvf4.block_scale.block16, operands in shared
// memory, accumulators and UE4M3 scales in tensor memory.
// Not run on hardware: assembled, and its layouts are checked on the CPU.
//
// A CTA owns 128 x 128 outputs; stages of 256 columns of K: codes to swizzled shared memory, scale
// tiles (128x4 layout) as they lie in global memory and on to tensor memory with tcgen05.cp, then
// four instructions of 64 columns.
//
// Schedule: accumulators from +0 (the first instruction ignores D), k in steps of 64 ascending,
// d = RN_FP32(alpha * accumulator).
#include <cuda_runtime.h>

#include "gemm/kernels.hpp"
#include "gemm/wgmma_inl.cuh"
#include "lowbit/gpu/blackwell_layout.hpp"
#include "lowbit/scale_layout.hpp"

namespace lowbit::gpu::detail {
namespace {

using Mma = Sm100Mma;
constexpr int threads = 128;
constexpr int shared_bytes = 2 * Mma::operand_bytes + 2 * Mma::scale_bytes + 1024;
constexpr int tensor_columns = 256;  // 128 of accumulators, 16 and 16 of scales; a power of two
constexpr int scale_a_column = 128;
constexpr int scale_b_column = 144;

// One operand's stage: 128 rows x 128 bytes of codes, zeros outside the matrix.
__device__ __forceinline__ void stage_codes(std::uint8_t* to, const std::uint8_t* codes, int first,
                                            int rows, int stage, int k_blocks) {
  for (int i = threadIdx.x; i < 128 * 16; i += threads) {  // 8 bytes: one block
    const int row = i / 16;
    const int block = stage * 16 + i % 16;
    uint2 v = make_uint2(0, 0);
    if (first + row < rows && block < k_blocks) {
      v = __ldg(reinterpret_cast<const uint2*>(
          codes + (static_cast<std::size_t>(first + row) * k_blocks + block) * 8));
    }
    *reinterpret_cast<uint2*>(to + Mma::operand_offset(row, i % 16 * 8)) = v;
  }
}
// Four scale tiles; those past the end of K are zeros.
__device__ __forceinline__ void stage_scales(std::uint8_t* to, const std::uint8_t* scales,
                                             int first, int stage, int k_blocks) {
  const int tiles = (k_blocks + 3) / 4;
  const std::uint8_t* from = scales + swizzled_scale_offset(first, stage * 16, k_blocks);
  for (int i = threadIdx.x; i < Mma::scale_bytes / 16; i += threads) {
    uint4 v = make_uint4(0, 0, 0, 0);
    if (stage * 4 + i / 32 < tiles) v = __ldg(reinterpret_cast<const uint4*>(from) + i);
    reinterpret_cast<uint4*>(to)[i] = v;
  }
}

__device__ __forceinline__ void copy_scales(std::uint32_t tensor, std::uint64_t descriptor) {
  asm volatile("tcgen05.cp.cta_group::1.32x128b.warpx4 [%0], %1;" ::"r"(tensor), "l"(descriptor));
}
__device__ __forceinline__ void mma(std::uint32_t d, std::uint64_t a, std::uint64_t b,
                                    std::uint32_t scale_a, std::uint32_t scale_b, bool accumulate) {
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %6, 0;\n"
      "tcgen05.mma.cta_group::1.kind::mxf4nvf4.block_scale.block16 [%0], %1, %2, %3, [%4], [%5], "
      "p; }" ::"r"(d),
      "l"(a), "l"(b), "r"(Mma::instruction_descriptor()), "r"(scale_a), "r"(scale_b),
      "r"(static_cast<std::uint32_t>(accumulate)));
}

__global__ void __launch_bounds__(threads) gemm_nvfp4_sm100_kernel(const GemmArguments g) {
  extern __shared__ std::uint8_t dynamic_shared[];
  __shared__ std::uint64_t done;
  __shared__ std::uint32_t tensor_base;
  const auto raw = static_cast<std::uint32_t>(__cvta_generic_to_shared(dynamic_shared));
  const std::uint32_t pad = (1024 - raw % 1024) % 1024;  // swizzle atoms are aligned to 1024
  std::uint8_t* a = dynamic_shared + pad;
  std::uint8_t* b = a + Mma::operand_bytes;
  std::uint8_t* scale_a = b + Mma::operand_bytes;
  std::uint8_t* scale_b = scale_a + Mma::scale_bytes;
  const std::uint32_t shared = raw + pad;
  const auto barrier = static_cast<std::uint32_t>(__cvta_generic_to_shared(&done));
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  const int m0 = blockIdx.y * Mma::m;
  const int n0 = blockIdx.x * Mma::n;
  if (warp == 0) {
    asm volatile("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%0], %1;" ::"r"(
                     static_cast<std::uint32_t>(__cvta_generic_to_shared(&tensor_base))),
                 "n"(tensor_columns)
                 : "memory");
    asm volatile("tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;");
  }
  if (threadIdx.x == 0) {
    barrier_init(barrier, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory");
  __syncthreads();
  asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
  const std::uint32_t tensor = tensor_base;

  const int stages = (g.k_blocks + 15) / 16;
  for (int s = 0; s < stages; ++s) {
    stage_codes(a, g.a_codes, m0, g.m, s, g.k_blocks);
    stage_codes(b, g.b_codes, n0, g.n, s, g.k_blocks);
    stage_scales(scale_a, g.a_scales, m0, s, g.k_blocks);
    stage_scales(scale_b, g.b_scales, n0, s, g.k_blocks);
    fence_async_shared();
    __syncthreads();
    if (threadIdx.x == 0) {
      const std::uint32_t scales = shared + 2 * Mma::operand_bytes;
      // tcgen05.cp and tcgen05.mma of one thread execute in the order of issue.
#pragma unroll
      for (int step = 0; step < 4; ++step) {
        copy_scales(tensor + scale_a_column + 4 * step, Mma::scale_descriptor(scales, step));
        copy_scales(tensor + scale_b_column + 4 * step,
                    Mma::scale_descriptor(scales + Mma::scale_bytes, step));
      }
#pragma unroll
      for (int step = 0; step < 4; ++step) {
        mma(tensor, Mma::operand_descriptor(shared, step),
            Mma::operand_descriptor(shared + Mma::operand_bytes, step),
            tensor + scale_a_column + 4 * step, tensor + scale_b_column + 4 * step,
            s != 0 || step != 0);
      }
      asm volatile(
          "tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%0];" ::"l"(
              static_cast<std::uint64_t>(barrier))
          : "memory");
    }
    barrier_wait(barrier, s & 1);
    __syncthreads();
  }
  asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");

  // Warp w reads lanes 32w..32w+31: row 32w + lane of D, 32 columns at a time.
  const int m = m0 + warp * 32 + lane;
  for (int c = 0; c < Mma::n; c += 8) {
    std::uint32_t v[8] = {};
    if (stages != 0) {
      asm volatile("tcgen05.ld.sync.aligned.32x32b.x8.b32 {%0,%1,%2,%3,%4,%5,%6,%7}, [%8];"
                   : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]), "=r"(v[4]), "=r"(v[5]),
                     "=r"(v[6]), "=r"(v[7])
                   : "r"(tensor + (static_cast<std::uint32_t>(warp * 32) << 16) + c));
      asm volatile("tcgen05.wait::ld.sync.aligned;" ::: "memory");
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int n = n0 + c + i;
      if (m < g.m && n < g.n)
        g.d[static_cast<std::size_t>(m) * g.n + n] = __fmul_rn(g.alpha, __uint_as_float(v[i]));
    }
  }
  asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory");
  __syncthreads();
  if (warp == 0)
    asm volatile("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %0, %1;" ::"r"(tensor),
                 "n"(tensor_columns));
}

}  // namespace

cudaError_t launch_gemm_sm100(const GemmArguments& g, cudaStream_t stream) {
  const cudaError_t raised = cudaFuncSetAttribute(
      gemm_nvfp4_sm100_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (raised != cudaSuccess) return raised;
  const dim3 grid(static_cast<unsigned>((g.n + Mma::n - 1) / Mma::n),
                  static_cast<unsigned>((g.m + Mma::m - 1) / Mma::m));
  gemm_nvfp4_sm100_kernel<<<grid, threads, shared_bytes, stream>>>(g);
  return cudaGetLastError();
}

}  // namespace lowbit::gpu::detail
