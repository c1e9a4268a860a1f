// SPDX-License-Identifier: MIT
// Hopper decode GEMM: at most 16 rows of activations (A) against many rows of weights (B).
//
// The time is the reading of B once, so everything is arranged around keeping reads in flight: each
// of the 16 warps of a CTA takes its own share of K. Its lanes load 16 bytes of eight rows each, a
// super-step ahead, straight into registers: as soon as a register has been expanded, the load of its
// next content starts. Codes are expanded in registers into mma.sync fragments (no shuffle, no FP16 in
// shared memory). Scale bytes, four super-steps at a time, pass through shared memory by the bulk tensor
// copy engine.
//
// Schedule (what the model replays): warp w of 16 keeps its own accumulators, from +0, over
// chunks w, w+16, ... of 512 columns in super-steps of 128; a super-step is eight m16n8k16 in
// order, whose columns decode_column names. Partial sums are added in FP32 to nearest, ((p0 + p1) + p2) + ... + p15, and
// d = RN_FP32(alpha * sum). Warps without a super-step contribute +0.
#include "gemm_kernels.hpp"
#include "lowbit/gpu/gemm_layout.hpp"
#include "tensor_copy.cuh"
#include "wgmma_inl.cuh"

namespace lowbit::gpu::detail {
namespace {

constexpr int tile_n = 64;
constexpr int groups = tile_n / 8;
constexpr int warps = decode_splits;
constexpr int chunk_blocks = decode_chunk * decode_super_step / 16;
constexpr int scale_bytes = tile_n * chunk_blocks;  // of a warp's chunk
constexpr int partial_pitch = tile_n + 8;           // floats; rows 8 banks apart
constexpr int partial_bytes = warps * 16 * partial_pitch * 4;
constexpr int shared_bytes = partial_bytes > 2 * warps * scale_bytes ? partial_bytes : 2 * warps * scale_bytes;

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

__device__ __forceinline__ uint4 load_streaming(const std::uint8_t* from) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from));
  return v;
}

// Two words of a row of A or B, 16 columns under one scale byte, to their fragments' registers.
template <GemmFormat F>
__device__ __forceinline__ void expand_block(std::uint32_t word0, std::uint32_t word1, std::uint32_t scale,
                                             std::uint32_t (&out)[2][4]) {
  BlockExpansion block[2];
  block_expansions<F>(scale, block[0], block[1]);
  expand_word<F>(word0, block[0], out[0]);
  expand_word<F>(word1, block[0], out[1]);
}

// bulk: K is a multiple of 256: rows of codes are then aligned to 16 bytes and whole in every super-step, and rows of
// scales have the pitch that the copy engine needs.
template <GemmFormat F, bool bulk>
__global__ void __launch_bounds__(warps * 32, 1) gemm_decode_kernel(const GemmArguments g, const __grid_constant__ CUtensorMap scale_map) {
  extern __shared__ __align__(128) std::uint8_t dynamic_shared[];
  __shared__ std::uint64_t barriers[warps][2];
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  const int row = lane >> 2;   // of the weights in a group of 8, and of A (with row + 8)
  const int part = lane & 3;   // which 32 columns of a super-step
  const int n0 = blockIdx.x * tile_n;
  const std::size_t pitch = static_cast<std::size_t>(g.k_blocks) * 8;
  const int super_steps = (g.k_blocks + 7) / 8;
  const int rows = g.n - n0;  // of B that exist in this tile
  std::uint8_t* my_scales = dynamic_shared + warp * 2 * scale_bytes;
  const auto my_barriers = static_cast<std::uint32_t>(__cvta_generic_to_shared(barriers[warp]));
  if (bulk && lane == 0) {
    for (int i = 0; i < 2; ++i) barrier_init(my_barriers + 8 * i, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncwarp();
  const int steps = decode_step_count(warp, super_steps);
  const std::uint8_t* b_codes = g.b_codes + static_cast<std::size_t>(n0) * pitch + part * 16;
  // Scale bytes of the chunk that begins with this warp's i-th super-step, 32 a row.
  const auto fill_scales = [&](int i) {
    if (i >= steps) return;
    const int slot = i / decode_chunk & 1;
    const int block = decode_step(warp, i) * 8;
    std::uint8_t* to = my_scales + slot * scale_bytes;
    if constexpr (bulk) {
      if (lane == 0) {
        expect_bytes(my_barriers + 8 * slot, scale_bytes);
        copy_box(static_cast<std::uint32_t>(__cvta_generic_to_shared(to)), scale_map, block, n0, my_barriers + 8 * slot);
      }
    } else {
      const bool inside = block + lane < g.k_blocks;
#pragma unroll 1
      for (int n = 0; n < tile_n; ++n) {
        to[n * chunk_blocks + lane] =
            inside && n < rows ? __ldg(g.b_scales + static_cast<std::size_t>(n0 + n) * g.k_blocks + block + lane) : 0;
      }
    }
  };
  // 32 codes of row 8j + row. Rows that do not exist read the last one, and are annulled by zero scales.
  const auto load_b = [&](int step, int j) {
    const std::uint8_t* from = b_codes + static_cast<std::size_t>(min(8 * j + row, rows - 1)) * pitch + step * (decode_super_step / 2);
    if constexpr (bulk) return load_streaming(from);
    return load_codes(from, step * 8 + part * 2, g.k_blocks);
  };
  uint4 a_codes[2];
  std::uint32_t a_scales[2];
  const auto load_a = [&](int step) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int m = row + 8 * h;
      const std::size_t block = static_cast<std::size_t>(min(m, g.m - 1)) * g.k_blocks + step * 8 + part * 2;
      if constexpr (bulk) {
        a_codes[h] = __ldg(reinterpret_cast<const uint4*>(g.a_codes + block * 8));
        a_scales[h] = __ldg(reinterpret_cast<const std::uint16_t*>(g.a_scales + block));
      } else {
        const int inside = g.k_blocks - (step * 8 + part * 2);
        a_codes[h] = load_codes(g.a_codes + block * 8, step * 8 + part * 2, g.k_blocks);
        a_scales[h] = inside > 0 ? __ldg(g.a_scales + block) : 0;
        if (inside > 1) a_scales[h] |= static_cast<std::uint32_t>(__ldg(g.a_scales + block + 1)) << 8;
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
  uint4 codes[groups];
  if (steps > 0) {
    fill_scales(0);
    const int step = decode_step(warp, 0);
#pragma unroll
    for (int j = 0; j < groups; ++j) codes[j] = load_b(step, j);
    load_a(step);
  }

#pragma unroll 1
  for (int i = 0; i < steps; ++i) {
    const int next = decode_step(warp, i + 1);
    const bool more = i + 1 < steps;
    const int slot = i / decode_chunk & 1;
    if (i % decode_chunk == 0) {
      fill_scales(i + decode_chunk);
      if constexpr (bulk) barrier_wait(my_barriers + 8 * slot, i / decode_chunk >> 1 & 1);
      __syncwarp();
    }
    const std::uint8_t* scales = my_scales + slot * scale_bytes + row * chunk_blocks + i % decode_chunk * 8 + part * 2;
    // The lane's two blocks one after the other, so that half of A's fragments is held at a time.
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      std::uint32_t a[2][2][4];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const std::uint32_t scale = row + 8 * r < g.m ? a_scales[r] >> (8 * h) : 0;
        expand_block<F>(h == 0 ? a_codes[r].x : a_codes[r].z, h == 0 ? a_codes[r].y : a_codes[r].w, scale, a[r]);
      }
      if (h == 1 && more) load_a(next);
#pragma unroll
      for (int j = 0; j < groups; ++j) {
        std::uint32_t b[2][4];
        expand_block<F>(h == 0 ? codes[j].x : codes[j].z, h == 0 ? codes[j].y : codes[j].w, scales[8 * j * chunk_blocks + h], b);
        if (h == 1 && more) codes[j] = load_b(next, j);
#pragma unroll
        for (int q = 0; q < 2; ++q) {
          mma_m16n8k16(acc[j], a[0][q][0], a[1][q][0], a[0][q][1], a[1][q][1], b[q][0], b[q][1]);
          mma_m16n8k16(acc[j], a[0][q][2], a[1][q][2], a[0][q][3], a[1][q][3], b[q][2], b[q][3]);
        }
      }
    }
    __syncwarp();  // every lane has read the chunk's scales before their place is filled again
  }

  // Partial sums [warp][row of A][column], then a fixed order of additions.
  __syncthreads();
  float* partial = reinterpret_cast<float*>(dynamic_shared);
#pragma unroll
  for (int i = 0; i < groups; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      *reinterpret_cast<float2*>(partial + (warp * 16 + row + 8 * h) * partial_pitch + 8 * i + 2 * part) =
          make_float2(acc[i][2 * h], acc[i][2 * h + 1]);
    }
  }
  __syncthreads();
  for (int o = threadIdx.x; o < 16 * tile_n; o += warps * 32) {
    const int m = o / tile_n;
    const int n = o % tile_n;
    if (m >= g.m || n0 + n >= g.n) continue;
    const float* from = partial + m * partial_pitch + n;
    float sum = from[0];
#pragma unroll
    for (int w = 1; w < warps; ++w) sum = __fadd_rn(sum, from[w * 16 * partial_pitch]);
    g.d[static_cast<std::size_t>(m) * g.n + n0 + n] = __fmul_rn(g.alpha, sum);
  }
}

template <GemmFormat F, bool bulk>
cudaError_t launch_variant(const GemmArguments& g, cudaStream_t stream) {
  const cudaError_t raised = cudaFuncSetAttribute(
      gemm_decode_kernel<F, bulk>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (raised != cudaSuccess) return raised;
  CUtensorMap scale_map{};
  if (bulk && !encode_tensor_map(scale_map, g.b_scales, static_cast<std::size_t>(g.k_blocks), g.n, chunk_blocks, tile_n, false)) {
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
  return cudaLaunchKernelEx(&config, gemm_decode_kernel<F, bulk>, g, scale_map);
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
