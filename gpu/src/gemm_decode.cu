// SPDX-License-Identifier: MIT
// Hopper decode GEMM: at most 16 rows of activations (A) against many rows of weights (B).
//
// The time is the reading of B once, so everything is arranged around keeping reads in flight: each
// of the 16 warps of a CTA fetches its own share of K into its own ring in shared memory with the
// bulk tensor copy engine, up to three super-steps (12 KiB a warp) ahead, expands codes in registers
// straight into mma.sync fragments (no shuffle, no FP16 in shared memory) and multiplies.
//
// Schedule (what the model replays): warp w of 16 keeps its own accumulators, from +0, over
// chunks w, w+16, ... of 512 columns in super-steps of 128; a super-step is eight m16n8k16 in
// order, whose columns decode_column names. Partial sums are added in FP32 to nearest, ((p0 + p1) + p2) + ... + p15, and
// d = RN_FP32(alpha * sum). Warps without a super-step contribute +0.
#include <cuda.h>
#include <cuda_runtime.h>

#include "gemm_kernels.hpp"
#include "lowbit/gpu/gemm_layout.hpp"
#include "wgmma_inl.cuh"

namespace lowbit::gpu::detail {
namespace {

constexpr int tile_n = 64;
constexpr int groups = tile_n / 8;
constexpr int warps = decode_splits;
constexpr int ring = 3;
constexpr int code_bytes = tile_n * decode_super_step / 2;
constexpr int chunk_blocks = decode_chunk * decode_super_step / 16;
constexpr int scale_bytes = tile_n * chunk_blocks;  // of a warp's current chunk
constexpr int shared_bytes = warps * (ring * code_bytes + scale_bytes);
static_assert(warps * tile_n * 16 * 4 <= shared_bytes, "partial sums reuse the rings");

// A box of the tensor map at (byte column x, row y) to shared memory; completes on the barrier.
__device__ __forceinline__ void copy_box(std::uint32_t shared, const CUtensorMap& map, int x, int y,
                                         std::uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3}], [%4];" ::"r"(shared), "l"(&map), "r"(x), "r"(y), "r"(barrier)
      : "memory");
}
__device__ __forceinline__ void expect_bytes(std::uint32_t barrier, std::uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
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

// 32 codes of one row; zeros past the end of K.
__device__ __forceinline__ uint4 load_codes(const std::uint8_t* codes, int block, int k_blocks) {
  uint4 out = make_uint4(0, 0, 0, 0);
  if (block < k_blocks) {
    const uint2 v = __ldg(reinterpret_cast<const uint2*>(codes));
    out.x = v.x;
    out.y = v.y;
  }
  if (block + 1 < k_blocks) {
    const uint2 v = __ldg(reinterpret_cast<const uint2*>(codes + 8));
    out.z = v.x;
    out.w = v.y;
  }
  return out;
}

// bulk: K is a multiple of 256, so that rows of codes and of scales have the 16-byte pitch that the
// copy engine needs; it fills rows and columns outside the matrix with zeros.
template <GemmFormat F, bool bulk>
__global__ void __launch_bounds__(warps * 32, 1) gemm_decode_kernel(const GemmArguments g, const __grid_constant__ CUtensorMap code_map,
                       const __grid_constant__ CUtensorMap scale_map) {
  extern __shared__ __align__(128) std::uint8_t dynamic_shared[];
  __shared__ std::uint64_t barriers[warps][ring + 1];  // of the slots, then of the scales
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  const int row = lane >> 2;   // of the weights in a group of 8, and of A (with row + 8)
  const int part = lane & 3;   // which 32 columns of a super-step
  const int n0 = blockIdx.x * tile_n;
  const std::size_t pitch = static_cast<std::size_t>(g.k_blocks) * 8;
  const int super_steps = (g.k_blocks + 7) / 8;
  const int rows = g.n - n0;  // of B that exist in this tile
  std::uint8_t* my_ring = dynamic_shared + warp * (ring * code_bytes + scale_bytes);
  std::uint8_t* my_scales = my_ring + ring * code_bytes;
  const auto my_barriers = static_cast<std::uint32_t>(__cvta_generic_to_shared(barriers[warp]));
  if (bulk && lane == 0) {
    for (int i = 0; i <= ring; ++i) barrier_init(my_barriers + 8 * i, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncwarp();
  const int steps = decode_step_count(warp, super_steps);
  const std::uint8_t* b_codes = g.b_codes + (n0 + row) * pitch + part * 16;
  // Scale bytes of a chunk, 32 a row.
  const auto fill_scales = [&](int step) {
    const int block = step * 8;
    if constexpr (bulk) {
      if (lane == 0) {
        expect_bytes(my_barriers + 8 * ring, scale_bytes);
        copy_box(static_cast<std::uint32_t>(__cvta_generic_to_shared(my_scales)), scale_map, block, n0, my_barriers + 8 * ring);
      }
    } else {
      const bool inside = block + lane < g.k_blocks;
#pragma unroll 1
      for (int n = 0; n < tile_n; ++n) {
        my_scales[n * chunk_blocks + lane] =
            inside && n < rows ? __ldg(g.b_scales + static_cast<std::size_t>(n0 + n) * g.k_blocks + block + lane) : 0;
      }
    }
  };
  const auto fill = [&](int i, int slot) {
    if (i < steps) {
      const int step = decode_step(warp, i);
      std::uint8_t* codes = my_ring + slot * code_bytes;
      if constexpr (bulk) {
        if (lane == 0) {
          expect_bytes(my_barriers + 8 * slot, code_bytes);
          copy_box(static_cast<std::uint32_t>(__cvta_generic_to_shared(codes)), code_map, step * (decode_super_step / 2), n0,
                   my_barriers + 8 * slot);
        }
      } else {
#pragma unroll 1
        for (int j = 0; j < groups; ++j) {
          uint4 c = make_uint4(0, 0, 0, 0);
          const int block = step * 8 + part * 2;
          if (8 * j + row < rows) c = load_codes(b_codes + 8 * j * pitch + step * (decode_super_step / 2), block, g.k_blocks);
          *reinterpret_cast<uint4*>(codes + (j * 32 + lane) * 16) = c;
        }
      }
    }
  };
  uint4 a_codes[2];
  std::uint32_t a_scales[2];
  const auto fetch_a = [&](int step) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int m = row + 8 * h;
      if constexpr (bulk) {
        // In bounds; rows that do not exist are annulled by zero scales when they are used.
        const std::size_t block = static_cast<std::size_t>(min(m, g.m - 1)) * g.k_blocks + min(step, super_steps - 1) * 8 + part * 2;
        a_codes[h] = __ldg(reinterpret_cast<const uint4*>(g.a_codes + block * 8));
        a_scales[h] = __ldg(reinterpret_cast<const std::uint16_t*>(g.a_scales + block));
      } else {
        const int block = m < g.m && step < super_steps ? step * 8 + part * 2 : g.k_blocks;
        a_codes[h] = load_codes(g.a_codes + m * pitch + step * (decode_super_step / 2) + part * 16, block, g.k_blocks);
        a_scales[h] = 0;
        const std::uint8_t* scales = g.a_scales + static_cast<std::size_t>(m) * g.k_blocks + step * 8 + part * 2;
        if (block < g.k_blocks) a_scales[h] = __ldg(scales);
        if (block + 1 < g.k_blocks) a_scales[h] |= static_cast<std::uint32_t>(__ldg(scales + 1)) << 8;
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
  if (steps > 0) fill_scales(decode_step(warp, 0));
#pragma unroll
  for (int s = 0; s < ring; ++s) {
    // The copy engine serves requests in order: every warp's first super-step comes first.
    if (s != 0) __syncthreads();
    fill(s, s);
  }
  fetch_a(decode_step(warp, 0));

  int slot = 0;
  unsigned parity = 0;
#pragma unroll 1
  for (int i = 0; i < steps; ++i) {
    std::uint32_t a[2][16];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      BlockExpansion block[2];
      block_expansions<F>(row + 8 * h < g.m ? a_scales[h] : 0, block[0], block[1]);
      const std::uint32_t words[4] = {a_codes[h].x, a_codes[h].y, a_codes[h].z, a_codes[h].w};
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        std::uint32_t out[4];
        expand_word<F>(words[q], block[q / 2], out);
#pragma unroll
        for (int r = 0; r < 4; ++r) a[h][4 * q + r] = out[r];
      }
    }
    fetch_a(decode_step(warp, i + 1));

    if constexpr (bulk) {
      if (i % decode_chunk == 0) barrier_wait(my_barriers + 8 * ring, i / decode_chunk & 1);
      barrier_wait(my_barriers + 8 * slot, parity);
    }
    __syncwarp();
    const std::uint8_t* codes = my_ring + slot * code_bytes;
    const std::uint8_t* scales = my_scales + row * chunk_blocks + i % decode_chunk * 8 + part * 2;
#pragma unroll
    for (int j = 0; j < groups; ++j) {
      const uint4 c = *reinterpret_cast<const uint4*>(codes + (j * 32 + lane) * 16);
      const std::uint32_t s = *reinterpret_cast<const std::uint16_t*>(scales + 8 * j * chunk_blocks);
      BlockExpansion block[2];
      block_expansions<F>(s, block[0], block[1]);
      const std::uint32_t words[4] = {c.x, c.y, c.z, c.w};
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        std::uint32_t b[4];
        expand_word<F>(words[q], block[q / 2], b);
        mma_m16n8k16(acc[j], a[0][4 * q], a[1][4 * q], a[0][4 * q + 1], a[1][4 * q + 1], b[0], b[1]);
        mma_m16n8k16(acc[j], a[0][4 * q + 2], a[1][4 * q + 2], a[0][4 * q + 3], a[1][4 * q + 3], b[2], b[3]);
      }
    }
    __syncwarp();  // every lane has read the slot before it is filled again
    if (i % decode_chunk == decode_chunk - 1 && i + 1 < steps) fill_scales(decode_step(warp, i + 1));
    fill(i + ring, slot);
    if (++slot == ring) {
      slot = 0;
      parity ^= 1;
    }
  }

  // Partial sums [warp][row of A][column], then a fixed order of additions.
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

using Encode = decltype(&cuTensorMapEncodeTiled);

// The driver's encoder of tensor maps, found at run time so that nothing links against the driver.
Encode find_encoder() {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result) != cudaSuccess) {
    return nullptr;
  }
  return reinterpret_cast<Encode>(found);
}

// Boxes of box_columns bytes x tile_n rows of a rows x pitch byte matrix.
bool encode(CUtensorMap& map, const std::uint8_t* bytes, std::size_t pitch, int rows, int box_columns) {
  static const Encode encoder = find_encoder();
  if (encoder == nullptr) return false;
  const cuuint64_t extent[2] = {pitch, static_cast<cuuint64_t>(rows)};
  const cuuint64_t stride[1] = {pitch};
  const cuuint32_t box[2] = {static_cast<cuuint32_t>(box_columns), tile_n};
  const cuuint32_t step[2] = {1, 1};
  return encoder(&map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 2, const_cast<std::uint8_t*>(bytes), extent, stride, box, step,
                 CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                 CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

template <GemmFormat F, bool bulk>
cudaError_t launch_variant(const GemmArguments& g, cudaStream_t stream) {
  const cudaError_t raised = cudaFuncSetAttribute(
      gemm_decode_kernel<F, bulk>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (raised != cudaSuccess) return raised;
  CUtensorMap code_map{};
  CUtensorMap scale_map{};
  if (bulk && !(encode(code_map, g.b_codes, static_cast<std::size_t>(g.k_blocks) * 8, g.n, decode_super_step / 2) &&
                encode(scale_map, g.b_scales, static_cast<std::size_t>(g.k_blocks), g.n, chunk_blocks))) {
    return cudaErrorNotSupported;
  }
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
  return cudaLaunchKernelEx(&config, gemm_decode_kernel<F, bulk>, g, code_map, scale_map);
}

template <GemmFormat F>
cudaError_t launch(const GemmArguments& g, cudaStream_t stream) {
  const bool bulk = g.k_blocks != 0 && g.k_blocks % 16 == 0;
  return bulk ? launch_variant<F, true>(g, stream) : launch_variant<F, false>(g, stream);
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
