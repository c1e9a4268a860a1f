// SPDX-License-Identifier: MIT
// Hopper decode GEMM: at most 16 rows of activations (A) against many rows of weights (B).
//
// The time is the reading of B once, so everything is arranged around keeping reads in flight and in
// order: the 16 warps of a CTA take neighbouring super-steps of 128 columns, so that they read 1 KiB of each
// of 64 rows at about the same time. (With shares of K that lie apart, memory delivered half of its rate.)
// The bulk tensor copy engine brings codes in boxes for two warps and scale bytes for all. A round is asked for when the
// one before begins to arrive: 64 KiB under way are enough for the full rate, and with more of them the rounds
// would arrive together, the first one as late as the last. Codes are expanded in registers straight into mma.sync fragments (no
// shuffle, no FP16 in shared memory).
//
// Schedule (what the model replays): warp w of 16 keeps its own accumulators, from +0, over
// super-steps w, w+16, ... of 128 columns; a super-step is eight m16n8k16 in order, whose columns
// decode_column names. Partial sums are added in FP32 to nearest, ((p0 + p1) + p2) + ... + p15, and
// d = RN_FP32(alpha * sum). Warps without a super-step contribute +0.
#include "gemm_kernels.hpp"
#include "lowbit/gpu/gemm_layout.hpp"
#include "mma_sync_inl.cuh"
#include "tensor_copy.cuh"
#include "wgmma_inl.cuh"

namespace lowbit::gpu::detail {
namespace {

constexpr int tile_n = 64;
constexpr int groups = tile_n / 8;
constexpr int warps = decode_splits;
constexpr int pairs = warps / 2;  // of warps, whose super-steps are 128 bytes of a row together
constexpr int ring = 3;
constexpr int scale_ring = 4;
constexpr int step_bytes = decode_super_step / 2;  // of codes of a row
constexpr int step_blocks = decode_super_step / 16;
constexpr int row_bytes = 128;  // of a box, of codes or of scales
constexpr int box_bytes = tile_n * row_bytes;
constexpr int round_bytes = pairs * box_bytes;
// Codes come in halves of a box, so that the first rows can be worked on before the last ones are here.
constexpr int halves = 2;
constexpr int half_rows = tile_n / halves;
constexpr int half_bytes = box_bytes / halves;
constexpr int shared_bytes = ring * round_bytes + scale_ring * box_bytes + 1024;  // boxes are aligned to 1024
static_assert(2 * step_bytes == row_bytes && warps * step_blocks == row_bytes);
constexpr int partial_pitch = tile_n + 8;  // floats; rows 8 banks apart
static_assert(warps * 16 * partial_pitch * 4 <= ring * round_bytes, "partial sums reuse the ring");

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

// Byte `column` of row r in a box: the copy engine exchanges the row's 16-byte units.
__device__ __forceinline__ int in_box(int r, int column) { return r * row_bytes + (column ^ (r & 7) << 4); }

// 16 columns under one scale byte.
template <GemmFormat F>
__device__ __forceinline__ void expand_block(std::uint32_t word0, std::uint32_t word1, std::uint32_t scale,
                                             std::uint32_t (&out)[2][4]) {
  BlockExpansion block[2];
  block_expansions<F>(scale, block[0], block[1]);
  expand_word<F>(word0, block[0], out[0]);
  expand_word<F>(word1, block[0], out[1]);
}

// Until that many warps have read a box, over all rounds.
__device__ __forceinline__ void wait_for(const unsigned& readers, int count) {
  while (static_cast<int>(*static_cast<const volatile unsigned*>(&readers)) < count) {
  }
}

// bulk: K is a multiple of 256, so that rows of codes and of scales have the 16-byte pitch that the
// copy engine needs; it fills rows and columns outside the matrix with zeros.
template <GemmFormat F, bool bulk>
__global__ void __launch_bounds__(warps * 32, 1) gemm_decode_kernel(const GemmArguments g, const __grid_constant__ CUtensorMap code_map,
                       const __grid_constant__ CUtensorMap scale_map) {
  extern __shared__ std::uint8_t dynamic_shared[];
  __shared__ std::uint64_t codes_here[ring][halves][pairs];
  __shared__ std::uint64_t scales_here[scale_ring];
  __shared__ unsigned codes_read[ring][pairs];  // warps that have read a box, counted over all rounds
  __shared__ unsigned scales_read[scale_ring];
  std::uint8_t* const codes_of_rounds = dynamic_shared + (-__cvta_generic_to_shared(dynamic_shared) & 1023);
  std::uint8_t* const scales_of_rounds = codes_of_rounds + ring * round_bytes;
  const auto address = [](const void* p) { return static_cast<std::uint32_t>(__cvta_generic_to_shared(p)); };
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  const int pair = warp >> 1;
  const int row = lane >> 2;   // of the weights in a group of 8, and of A (with row + 8)
  const int part = lane & 3;   // which 32 columns of a super-step
  const int n0 = blockIdx.x * tile_n;
  const std::size_t pitch = static_cast<std::size_t>(g.k_blocks) * 8;
  const int super_steps = (g.k_blocks + step_blocks - 1) / step_blocks;
  const int steps = decode_step_count(warp, super_steps);
  const int rows = g.n - n0;  // of B that exist in this tile

  const auto copy_codes = [&](int i, int p, int half) {  // one thread, for the pair p of warps
    if (decode_step(p * 2, i) >= super_steps) return;
    const std::uint32_t here = address(&codes_here[i % ring][half][p]);
    expect_bytes(here, half_bytes);
    copy_box_once(address(codes_of_rounds + i % ring * round_bytes + p * box_bytes + half * half_bytes), code_map,
                  decode_step(p * 2, i) * step_bytes, n0 + half * half_rows, here);
  };
  const auto copy_scales = [&](int i) {  // one thread, for all warps
    if (decode_step(0, i) >= super_steps) return;
    expect_bytes(address(&scales_here[i % scale_ring]), box_bytes);
    copy_box_once(address(scales_of_rounds + i % scale_ring * box_bytes), scale_map, decode_step(0, i) * step_blocks, n0,
                  address(&scales_here[i % scale_ring]));
  };
  // A warp's own part of a box, without the copy engine.
  const auto fill = [&](int i) {
    const int block = decode_step(warp, i) * step_blocks;
    std::uint8_t* codes = codes_of_rounds + i % ring * round_bytes + pair * box_bytes;
    std::uint8_t* scales = scales_of_rounds + i % scale_ring * box_bytes;
#pragma unroll 1
    for (int n = row; n < tile_n; n += 8) {
      uint4 c = make_uint4(0, 0, 0, 0);
      const std::uint8_t* from = g.b_codes + (n0 + n) * pitch + static_cast<std::size_t>(block) * 8 + part * 16;
      if (n < rows) c = load_codes(from, block + part * 2, g.k_blocks);
      *reinterpret_cast<uint4*>(codes + in_box(n, warp % 2 * step_bytes + part * 16)) = c;
#pragma unroll
      for (int b = part * 2; b < part * 2 + 2; ++b) {
        const bool inside = n < rows && block + b < g.k_blocks;
        scales[in_box(n, warp * step_blocks + b)] =
            inside ? __ldg(g.b_scales + static_cast<std::size_t>(n0 + n) * g.k_blocks + block + b) : 0;
      }
    }
  };
  uint4 a_codes[2];
  std::uint32_t a_scales[2];
  // Rows of A that do not exist read the last one, and are annulled by zero scales when they are used.
  const auto fetch_a = [&](int step) {
    if (step >= super_steps) return;
    const int block = step * step_blocks + part * 2;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const std::size_t at = static_cast<std::size_t>(min(row + 8 * h, g.m - 1)) * g.k_blocks + block;
      if constexpr (bulk) {
        a_codes[h] = __ldg(reinterpret_cast<const uint4*>(g.a_codes + at * 8));
        a_scales[h] = __ldg(reinterpret_cast<const std::uint16_t*>(g.a_scales + at));
      } else {
        a_codes[h] = load_codes(g.a_codes + at * 8, block, g.k_blocks);
        a_scales[h] = block < g.k_blocks ? __ldg(g.a_scales + at) : 0;
        if (block + 1 < g.k_blocks) a_scales[h] |= static_cast<std::uint32_t>(__ldg(g.a_scales + at + 1)) << 8;
      }
    }
  };

  if (bulk && threadIdx.x == 128) prefetch_map(code_map);
  if (bulk && threadIdx.x == 160) prefetch_map(scale_map);
  if (threadIdx.x < ring * halves * pairs) {
    barrier_init(address(&codes_here[0][0][0] + threadIdx.x), 1);
    if (threadIdx.x < ring * pairs) codes_read[0][threadIdx.x] = 0;
    if (threadIdx.x < scale_ring) {
      barrier_init(address(&scales_here[threadIdx.x]), 1);
      scales_read[threadIdx.x] = 0;
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  if (!g.b_settled) {
    asm volatile("griddepcontrol.wait;" ::: "memory");
    fetch_a(warp);
  }
  if (bulk && warp == 0) {
    if (lane == 0) copy_scales(0);
    __syncwarp();
    if (lane < halves * pairs) copy_codes(0, lane % pairs, lane / pairs);
    __syncwarp();
  }
  if (g.b_settled) {
    // No more than the first round by now: the end of the kernel before would wait behind these reads.
    asm volatile("griddepcontrol.wait;" ::: "memory");
    fetch_a(warp);
  }

  float acc[groups][4];
#pragma unroll
  for (int i = 0; i < groups; ++i) {
#pragma unroll
    for (int r = 0; r < 4; ++r) acc[i][r] = 0.0F;
  }
#pragma unroll 1
  for (int i = 0; i < steps; ++i) {
    const int slot = i % ring;
    if constexpr (bulk) {
      barrier_wait(address(&scales_here[i % scale_ring]), i / scale_ring & 1);
    } else {
      fill(i);
    }
    __syncwarp();
    const std::uint8_t* codes = codes_of_rounds + slot * round_bytes + pair * box_bytes + in_box(row, warp % 2 * step_bytes + part * 16);
    const std::uint8_t* scales = scales_of_rounds + i % scale_ring * box_bytes + in_box(row, warp * step_blocks + part * 2);
    // The lane's two blocks one after the other: half of A's fragments is held at a time, which leaves registers to work
    // on several groups at once.
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      std::uint32_t a[2][2][4];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        expand_block<F>(h == 0 ? a_codes[r].x : a_codes[r].z, h == 0 ? a_codes[r].y : a_codes[r].w,
                        row + 8 * r < g.m ? a_scales[r] >> (8 * h) : 0, a[r]);
      }
      if (h == 1) fetch_a(decode_step(warp, i + 1));
#pragma unroll
      for (int j = 0; j < groups; ++j) {
        if (bulk && h == 0 && j % (groups / halves) == 0) {
          barrier_wait(address(&codes_here[slot][j / (groups / halves)][pair]), i / ring & 1);
          if (j == 0 && lane == 0) {
            if (warp == 0) {
              wait_for(scales_read[(i + 1) % scale_ring], (i + 1) / scale_ring * warps);
              copy_scales(i + 1);
            }
            if (warp % 2 == 0) {
              wait_for(codes_read[(i + 1) % ring][pair], (i + 1) / ring * 2);
              for (int half = 0; half < halves; ++half) copy_codes(i + 1, pair, half);
            }
          }
          __syncwarp();
        }
        const uint2 c = *reinterpret_cast<const uint2*>(codes + 8 * j * row_bytes + h * 8);
        std::uint32_t b[2][4];
        expand_block<F>(c.x, c.y, scales[8 * j * row_bytes + h], b);
#pragma unroll
        for (int q = 0; q < 2; ++q) {
          mma_sync_m16n8k16(acc[j], a[0][q][0], a[1][q][0], a[0][q][1], a[1][q][1], b[q][0], b[q][1]);
          mma_sync_m16n8k16(acc[j], a[0][q][2], a[1][q][2], a[0][q][3], a[1][q][3], b[q][2], b[q][3]);
        }
      }
    }
    __syncwarp();
    if (bulk && lane == 0) {
      __threadfence_block();
      atomicAdd(&codes_read[slot][pair], 1U);
      atomicAdd(&scales_read[i % scale_ring], 1U);
    }
  }

  // Partial sums [warp][row of A][column], then a fixed order of additions.
  __syncthreads();
  float* partial = reinterpret_cast<float*>(codes_of_rounds);
#pragma unroll
  for (int i = 0; i < groups; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      *reinterpret_cast<float2*>(partial + (warp * 16 + row + 8 * h) * partial_pitch + 8 * i + 2 * part) =
          make_float2(acc[i][2 * h], acc[i][2 * h + 1]);
    }
  }
  __syncthreads();
  static_assert(16 * tile_n == 2 * warps * 32, "two neighbouring outputs a thread");
  const int m = threadIdx.x / (tile_n / 2);
  const int n = n0 + threadIdx.x % (tile_n / 2) * 2;
  if (m >= g.m || n >= g.n) return;
  const float* from = partial + m * partial_pitch + n - n0;
  float2 sum = *reinterpret_cast<const float2*>(from);
#pragma unroll
  for (int w = 1; w < warps; ++w) {
    const float2 next = *reinterpret_cast<const float2*>(from + w * 16 * partial_pitch);
    sum = make_float2(__fadd_rn(sum.x, next.x), __fadd_rn(sum.y, next.y));
  }
  float* out = g.d + static_cast<std::size_t>(m) * g.n + n;
  const float2 d = make_float2(__fmul_rn(g.alpha, sum.x), __fmul_rn(g.alpha, sum.y));
  if (g.n % 2 == 0) {
    *reinterpret_cast<float2*>(out) = d;
  } else {
    out[0] = d.x;
    if (n + 1 < g.n) out[1] = d.y;
  }
}

template <GemmFormat F, bool bulk>
cudaError_t launch_variant(const GemmArguments& g, cudaStream_t stream) {
  const cudaError_t raised = raise_shared_limit<gemm_decode_kernel<F, bulk>>(shared_bytes);
  if (raised != cudaSuccess) return raised;
  CUtensorMap code_map{};
  CUtensorMap scale_map{};
  const auto blocks = static_cast<std::size_t>(g.k_blocks);
  if (bulk && !(encode_tensor_map(code_map, g.b_codes, blocks * 8, g.n, row_bytes, half_rows, true) &&
                encode_tensor_map(scale_map, g.b_scales, blocks, g.n, row_bytes, tile_n, true))) {
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
  return with_format(format, [&]<GemmFormat F>() { return launch<F>(g, stream); });
}

}  // namespace lowbit::gpu::detail
