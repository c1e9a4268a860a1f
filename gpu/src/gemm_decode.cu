// SPDX-License-Identifier: MIT
// Hopper decode GEMM: at most 16 rows of activations (A) against many rows of weights (B).
//
// The time is the reading of B once, so everything is arranged around keeping reads in flight: each
// of the 16 warps of a CTA fetches its own share of K into its own ring in shared memory with
// asynchronous copies, up to three super-steps (13.5 KiB a warp) ahead, expands codes in registers
// straight into mma.sync fragments (no shuffle, no FP16 in shared memory) and multiplies.
//
// Schedule (what the model replays): warp w of 16 keeps its own accumulators, from +0, over
// super-steps w, w+16, ... of 128 columns; a super-step is eight m16n8k16 in order, whose columns
// decode_column names. Partial sums are added in FP32 to nearest, ((p0 + p1) + p2) + ... + p15, and
// d = RN_FP32(alpha * sum). Warps without a super-step contribute +0.
#include <cuda_runtime.h>

#include "gemm_kernels.hpp"
#include "lowbit/gpu/gemm_layout.hpp"

namespace lowbit::gpu::detail {
namespace {

constexpr int tile_n = 64;
constexpr int groups = tile_n / 8;
constexpr int warps = decode_splits;
constexpr int ring = 3;
constexpr int code_bytes = tile_n * decode_super_step / 2;
constexpr int scale_bytes = tile_n * decode_super_step / 16;
constexpr int slot_bytes = code_bytes + scale_bytes;
constexpr int shared_bytes = warps * ring * slot_bytes;
static_assert(warps * tile_n * 16 * 4 <= shared_bytes, "partial sums reuse the rings");

__device__ __forceinline__ void copy16(std::uint32_t shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared), "l"(global));
}
__device__ __forceinline__ void copy8(std::uint32_t shared, const void* global) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(shared), "l"(global));
}

__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], std::uint32_t a0, std::uint32_t a1,
                                             std::uint32_t a2, std::uint32_t a3, std::uint32_t b0,
                                             std::uint32_t b1) {
  asm(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// 32 codes and their two scale bytes of one row; zeros outside.
__device__ __forceinline__ void load_guarded(const std::uint8_t* codes, const std::uint8_t* scales,
                                             int block, int k_blocks, uint4& out_codes,
                                             std::uint32_t& out_scales) {
  out_codes = make_uint4(0, 0, 0, 0);
  out_scales = 0;
  if (block < k_blocks) {
    const uint2 v = __ldg(reinterpret_cast<const uint2*>(codes));
    out_codes.x = v.x;
    out_codes.y = v.y;
    out_scales = __ldg(scales);
  }
  if (block + 1 < k_blocks) {
    const uint2 v = __ldg(reinterpret_cast<const uint2*>(codes + 8));
    out_codes.z = v.x;
    out_codes.w = v.y;
    out_scales |= static_cast<std::uint32_t>(__ldg(scales + 1)) << 8;
  }
}

// whole: every tile has all its rows and every super-step all its blocks, so that nothing is guarded.
template <GemmFormat F, bool whole>
__global__ void __launch_bounds__(warps * 32, 1) gemm_decode_kernel(const GemmArguments g) {
  extern __shared__ __align__(16) std::uint8_t dynamic_shared[];
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  const int row = lane >> 2;   // of the weights in a group of 8, and of A (with row + 8)
  const int part = lane & 3;   // which 32 columns of a super-step
  const int n0 = blockIdx.x * tile_n;
  const std::size_t pitch = static_cast<std::size_t>(g.k_blocks) * 8;
  const int super_steps = (g.k_blocks + 7) / 8;
  const int rows = g.n - n0;  // of B that exist in this tile
  std::uint8_t* my_ring = dynamic_shared + warp * ring * slot_bytes;
  const std::uint8_t* b_codes = g.b_codes + (n0 + row) * pitch + part * 16;
  const std::uint8_t* b_scales = g.b_scales + static_cast<std::size_t>(n0 + lane) * g.k_blocks;
  const auto fill = [&](int step, int slot) {
    if (step < super_steps) {
      std::uint8_t* codes = my_ring + slot * slot_bytes;
      std::uint8_t* scales = codes + code_bytes;
      if constexpr (whole) {
        const auto to = static_cast<std::uint32_t>(__cvta_generic_to_shared(codes));
        const std::uint8_t* from = b_codes + step * (decode_super_step / 2);
#pragma unroll
        for (int i = 0; i < groups; ++i) {
          copy16(to + (i * 32 + lane) * 16, from);
          from += 8 * pitch;
        }
        copy8(to + code_bytes + lane * 8, b_scales + step * 8);
        copy8(to + code_bytes + (32 + lane) * 8, b_scales + static_cast<std::size_t>(32) * g.k_blocks + step * 8);
      } else {
#pragma unroll 1
        for (int i = 0; i < groups; ++i) {
          uint4 c = make_uint4(0, 0, 0, 0);
          std::uint32_t s = 0;
          if (8 * i + row < rows) {
            const int block = step * 8 + part * 2;
            load_guarded(b_codes + 8 * i * pitch + step * (decode_super_step / 2),
                         g.b_scales + static_cast<std::size_t>(n0 + 8 * i + row) * g.k_blocks + block,
                         block, g.k_blocks, c, s);
          }
          *reinterpret_cast<uint4*>(codes + (i * 32 + lane) * 16) = c;
          *reinterpret_cast<std::uint16_t*>(scales + (8 * i + row) * 8 + part * 2) =
              static_cast<std::uint16_t>(s);
        }
      }
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  static_assert(tile_n == 64);

  uint4 a_codes[2];
  std::uint32_t a_scales[2];
  const auto fetch_a = [&](int step) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int m = row + 8 * h;
      if constexpr (whole) {
        // In bounds, and annulled by zero scales where the row or the step does not exist.
        const std::size_t block = static_cast<std::size_t>(min(m, g.m - 1)) * g.k_blocks + min(step, super_steps - 1) * 8 + part * 2;
        a_codes[h] = __ldg(reinterpret_cast<const uint4*>(g.a_codes + block * 8));
        const std::uint32_t s = __ldg(reinterpret_cast<const std::uint16_t*>(g.a_scales + block));
        a_scales[h] = m < g.m ? s : 0;
      } else {
        const int block = m < g.m && step < super_steps ? step * 8 + part * 2 : g.k_blocks;
        load_guarded(g.a_codes + m * pitch + step * (decode_super_step / 2) + part * 16,
                     g.a_scales + static_cast<std::size_t>(m) * g.k_blocks + step * 8 + part * 2, block, g.k_blocks,
                     a_codes[h], a_scales[h]);
      }
    }
  };

  float acc[groups][4];
#pragma unroll
  for (int i = 0; i < groups; ++i) {
#pragma unroll
    for (int r = 0; r < 4; ++r) acc[i][r] = 0.0F;
  }

  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#pragma unroll
  for (int s = 0; s < ring; ++s) fill(warp + s * warps, s);
  fetch_a(warp);

  int slot = 0;
#pragma unroll 1
  for (int step = warp; step < super_steps; step += warps) {
    std::uint32_t a[2][16];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      BlockExpansion block[2];
      block_expansions<F>(a_scales[h], block[0], block[1]);
      const std::uint32_t words[4] = {a_codes[h].x, a_codes[h].y, a_codes[h].z, a_codes[h].w};
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        std::uint32_t out[4];
        expand_word<F>(words[q], block[q / 2], out);
#pragma unroll
        for (int r = 0; r < 4; ++r) a[h][4 * q + r] = out[r];
      }
    }
    fetch_a(step + warps);

    asm volatile("cp.async.wait_group %0;" ::"n"(ring - 1) : "memory");
    __syncwarp();
    const std::uint8_t* codes = my_ring + slot * slot_bytes;
    const std::uint8_t* scales = codes + code_bytes;
#pragma unroll
    for (int i = 0; i < groups; ++i) {
      const uint4 c = *reinterpret_cast<const uint4*>(codes + (i * 32 + lane) * 16);
      const std::uint32_t s =
          *reinterpret_cast<const std::uint16_t*>(scales + (8 * i + row) * 8 + part * 2);
      BlockExpansion block[2];
      block_expansions<F>(s, block[0], block[1]);
      const std::uint32_t words[4] = {c.x, c.y, c.z, c.w};
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        std::uint32_t b[4];
        expand_word<F>(words[q], block[q / 2], b);
        mma_m16n8k16(acc[i], a[0][4 * q], a[1][4 * q], a[0][4 * q + 1], a[1][4 * q + 1], b[0], b[1]);
        mma_m16n8k16(acc[i], a[0][4 * q + 2], a[1][4 * q + 2], a[0][4 * q + 3], a[1][4 * q + 3], b[2], b[3]);
      }
    }
    __syncwarp();  // every lane has read the slot before it is filled again
    fill(step + ring * warps, slot);
    slot = slot + 1 == ring ? 0 : slot + 1;
  }

  // Partial sums [warp][row of A][column], then a fixed order of additions.
  asm volatile("cp.async.wait_group 0;" ::: "memory");
  __syncthreads();
  float* partial = reinterpret_cast<float*>(dynamic_shared);
#pragma unroll
  for (int i = 0; i < groups; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      *reinterpret_cast<float2*>(partial + (warp * 16 + row + 8 * h) * tile_n + 8 * i + 2 * part) =
          make_float2(acc[i][2 * h], acc[i][2 * h + 1]);
    }
  }
  __syncthreads();
  for (int o = threadIdx.x; o < 16 * tile_n; o += warps * 32) {
    const int m = o / tile_n;
    const int n = n0 + o % tile_n;
    if (m >= g.m || n >= g.n) continue;
    float sum = partial[o];
#pragma unroll
    for (int w = 1; w < warps; ++w) sum = __fadd_rn(sum, partial[w * 16 * tile_n + o]);
    g.d[static_cast<std::size_t>(m) * g.n + n] = __fmul_rn(g.alpha, sum);
  }
}

template <GemmFormat F, bool whole>
cudaError_t launch_variant(const GemmArguments& g, cudaStream_t stream) {
  const cudaError_t raised = cudaFuncSetAttribute(
      gemm_decode_kernel<F, whole>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (raised != cudaSuccess) return raised;
  // The launch overlaps the end of the kernel before it in the stream; the kernel itself waits for
  // that one's memory (griddepcontrol.wait) before it reads any.
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>((g.n + tile_n - 1) / tile_n));
  config.blockDim = dim3(warps * 32);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &overlap;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, gemm_decode_kernel<F, whole>, g);
}

template <GemmFormat F>
cudaError_t launch(const GemmArguments& g, cudaStream_t stream) {
  const bool whole = g.k_blocks != 0 && g.k_blocks % 8 == 0 && g.n % tile_n == 0;
  return whole ? launch_variant<F, true>(g, stream) : launch_variant<F, false>(g, stream);
}

}  // namespace

cudaError_t launch_gemm_decode(GemmFormat format, const GemmArguments& g, cudaStream_t stream) {
  switch (format) {
    case GemmFormat::nvfp4: return launch<GemmFormat::nvfp4>(g, stream);
    case GemmFormat::if4: return launch<GemmFormat::if4>(g, stream);
    case GemmFormat::if3: return launch<GemmFormat::if3>(g, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace lowbit::gpu::detail
