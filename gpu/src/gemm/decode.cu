// SPDX-License-Identifier: MIT
// Hopper decode GEMM: at most 16 rows of activations (A) against many rows of weights (B).
//
// B is read once, and expanding it takes nearly as long as reading it, so the two have to overlap
// from the start:
// - A CTA has up to 64 rows of B, and there are as many CTAs as multiprocessors where N allows.
// - Four groups of six warps take neighbouring super-steps of 256 columns, so that the CTA reads
//   forward along its rows. (With shares of K far apart, memory delivered half of its rate.) Four
//   warps of a group are a warpgroup that multiplies, 16 rows of B per warp. Two warps feed it: the
//   first starts the bulk tensor copies of codes and scale bytes of B, and each expands half of A.
//   A slot is full when all of that is there, and free when four warps have read it.
// - The second slot is requested when the first has arrived. With more requests under way from the
//   start, all slots would arrive together, the first bytes as late as the last.
// - Codes of B are expanded in registers into the fragments of wgmma, with B on its M side: no
//   shuffle, and no FP16 of B in shared memory. (mma.sync took seven issue cycles each, in which
//   nothing else could be expanded.)
//
// Schedule (what the model replays): group w of 4 keeps its own accumulators, from +0, over
// super-steps w, w+4, ...; a super-step is 16 m64n16k16 in order, whose columns decode_column
// names. Partial sums are added in FP32 to nearest,
// ((p0 + p1) + p2) + p3, and d = RN_FP32(alpha * sum). Groups without a super-step contribute +0.
#include <algorithm>

#include "gemm/kernels.hpp"
#include "gemm/tensor_copy.cuh"
#include "gemm/wgmma_inl.cuh"
#include "lowbit/gpu/gemm_layout.hpp"

namespace lowbit::gpu::detail {
namespace {

constexpr int warp_rows = 16;  // of B
constexpr int row_groups = 4;  // multiplying warps of a group
constexpr int feeders = 2;     // feeding warps of a group
constexpr int tile_n = warp_rows * row_groups;
constexpr int workers = decode_splits * row_groups;  // warps, the feeders after them
constexpr int threads = (workers + decode_splits * feeders) * 32;
constexpr int feeder_registers = 64;
constexpr int worker_registers = 88;
static_assert(decode_splits * (feeders * feeder_registers + row_groups * worker_registers) * 32 <=
                  threads * 80,
              "a launch gives 80 registers a thread");

constexpr int step_blocks = decode_super_step / gemm_block;
constexpr int lane_blocks =
    step_blocks / 4;  // a lane's 64 columns of a row of B; also the parts of A's rows
// A slot: codes and scale bytes of 64 rows of B, and A as FP16 (decode_a_offset).
constexpr int code_row = decode_super_step / 2;
constexpr int code_bytes = tile_n * code_row;
constexpr int scale_bytes = tile_n * step_blocks;
constexpr int ring = 2;
constexpr int shared_bytes = decode_splits * ring * (code_bytes + scale_bytes + decode_a_bytes) +
                             1024;  // boxes are aligned to 1024
// Super-steps before the last at which the next kernel may be launched.
constexpr int launch_ahead = 4;
constexpr int partial_pitch = tile_n + 4;  // floats; a pair of rows of A 8 banks apart
static_assert(16 * partial_pitch * 4 <= ring * code_bytes,
              "the partial sums of a group reuse its codes");

// The same value, kept in a register: the compiler would compute it again at each use.
__device__ __forceinline__ int opaque(int value) {
  asm volatile("" : "+r"(value));
  return value;
}
__device__ __forceinline__ void load_words(const std::uint8_t* from, std::uint32_t (&to)[4]) {
  const uint4 v = *reinterpret_cast<const uint4*>(from);
  to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}
__device__ __forceinline__ std::uint32_t address_of(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

// Byte `column` of row r in a box: the copy engine exchanges the row's 16-byte units.
__device__ __forceinline__ int in_box(int r, int column) {
  return r * code_row + (column ^ (r & 7) << 4);
}

// Where a group's slots lie in shared memory.
struct Slots {
  std::uint8_t* codes;
  std::uint8_t* scales;
  std::uint8_t* a;
  std::uint32_t full;  // barriers, 8 bytes per slot
  std::uint32_t free;
};

// The rows of B that a CTA has.
struct Rows {
  int first;
  int end;
};

// Codes and scale bytes of B without the copy engine, by the lanes of a warp.
__device__ __forceinline__ void fill(const GemmArguments& g, const Slots& slots, int slot,
                                     const Rows& rows, int block0) {
  const int lane = threadIdx.x & 31;
#pragma unroll 4
  for (int j = lane; j < tile_n * step_blocks; j += 32) {
    const int r = j / step_blocks;
    const int b = j % step_blocks;
    const std::size_t at = static_cast<std::size_t>(rows.first + r) * g.k_blocks + block0 + b;
    const bool inside = rows.first + r < rows.end && block0 + b < g.k_blocks;
    *reinterpret_cast<uint2*>(slots.codes + slot * code_bytes + in_box(r, b * 8)) =
        inside ? __ldg(reinterpret_cast<const uint2*>(g.b_codes + at * 8)) : make_uint2(0, 0);
    slots.scales[slot * scale_bytes + r * step_blocks + b] = inside ? __ldg(g.b_scales + at) : 0;
  }
}

// What a lane of a feeder takes of a super-step of A: one block of each of the four parts of 64
// columns of a row.
struct FourBlocks {
  uint2 codes[4];
  std::uint32_t scales[2];  // two bytes each
};
template <bool bulk>
__device__ __forceinline__ FourBlocks load_four(const GemmArguments& g, int row, int block0,
                                                int own) {
  FourBlocks v{};
  const std::size_t at = static_cast<std::size_t>(row) * g.k_blocks + block0;
  const std::uint8_t* const codes = g.a_codes + (at + own) * 8;
  if constexpr (bulk) {
#pragma unroll
    for (int t = 0; t < 4; ++t)
      v.codes[t] = __ldg(reinterpret_cast<const uint2*>(codes + t * lane_blocks * 8));
    const uint4 scales = __ldg(reinterpret_cast<const uint4*>(g.a_scales + at));
    const std::uint32_t pick = 0x40 + own * 0x11;
    v.scales[0] = permute(scales.x, scales.y, pick);
    v.scales[1] = permute(scales.z, scales.w, pick);
  } else {
#pragma unroll
    for (int t = 0; t < 4; ++t) {
      if (block0 + t * lane_blocks + own >= g.k_blocks) break;
      v.codes[t] = __ldg(reinterpret_cast<const uint2*>(codes + t * lane_blocks * 8));
      v.scales[t / 2] |= static_cast<std::uint32_t>(__ldg(g.a_scales + at + t * lane_blocks + own))
                         << (t % 2 * 8);
    }
  }
  return v;
}

// A warp that feeds a group, the first (half 0) or the second.
// bulk: K is a multiple of 256, so that rows of codes and of scales have the 16-byte pitch that the
// copy engine needs; it fills rows outside the matrix with zeros.
template <GemmFormat F, bool bulk>
__device__ __forceinline__ void feed(const GemmArguments& g, const CUtensorMap& code_map,
                                     const CUtensorMap& scale_map, const Slots& slots,
                                     const Rows& rows, int group, int half, int steps) {
  const int lane = threadIdx.x & 31;
  const auto copy = [&](int i) {
    const int slot = i % ring;
    if constexpr (bulk) {
      if (lane == 0) {
        const std::uint32_t here = slots.full + slot * 8;
        announce_bytes(here, code_bytes + scale_bytes);
        const int step = decode_step(group, i);
        copy_box_once(address_of(slots.codes + slot * code_bytes), code_map, step * code_row,
                      rows.first, here);
        copy_box(address_of(slots.scales + slot * scale_bytes), scale_map, step * step_blocks,
                 rows.first, here);
      }
      __syncwarp();
    } else {
      fill(g, slots, slot, rows, decode_step(group, i) * step_blocks);
    }
  };
  if (!g.b_settled) asm volatile("griddepcontrol.wait;" ::: "memory");
  // No more reads than this before the kernel ahead has ended: its last reads would wait behind
  // these.
  if (half == 0 && steps > 0) copy(0);
  if (g.b_settled) asm volatile("griddepcontrol.wait;" ::: "memory");
  // Rows that do not exist repeat the last one; nobody stores their sums.
  const int row = min(decode_a_row(lane), g.m - 1);
  const int own = decode_a_block(lane, half);
  FourBlocks a{};
  if (steps > 0) a = load_four<bulk>(g, row, decode_step(group, 0) * step_blocks, own);
  std::uint8_t* const a_words = slots.a + decode_a_offset(4 * own, decode_a_row(lane), 0);
#pragma unroll 1
  for (int i = 0; i < steps; ++i) {
    const int slot = i % ring;
    if (bulk && i >= ring) barrier_wait(slots.free + slot * 8, (i / ring - 1) & 1);
    if (half == 0 && i > 0) {
      if (bulk && i < ring) barrier_wait(slots.full + (i - 1) * 8, 0);
      copy(i);
    }
    if (i == max(steps - 1 - launch_ahead, 0))
      asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    FourBlocks next{};
    if (i + 1 < steps) next = load_four<bulk>(g, row, decode_step(group, i + 1) * step_blocks, own);
    std::uint8_t* const to = a_words + slot * decode_a_bytes;
    BlockExpansion block[4];
    block_expansions<F>(a.scales[0], block[0], block[1]);
    block_expansions<F>(a.scales[1], block[2], block[3]);
#pragma unroll
    for (int w = 0; w < 2; ++w) {
      std::uint32_t out[4][4];
#pragma unroll
      for (int t = 0; t < 4; ++t)
        expand_word<F>(w == 0 ? a.codes[t].x : a.codes[t].y, block[t], out[t]);
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        *reinterpret_cast<uint4*>(to + decode_a_offset(2 * w + r / 2, 0, r % 2 * 8)) =
            make_uint4(out[0][r], out[1][r], out[2][r], out[3][r]);
      }
    }
    a = next;
    fence_async_shared();
    if constexpr (bulk) {
      __syncwarp();
      if (lane == 0) barrier_arrive(slots.full + slot * 8);
    } else {
      __syncthreads();
    }
  }
}

// A warp's 16 rows of B, of 64, from `own` on, times the 16 rows of A. acc[4h + r]: row own +
// lane/4 + 8(r/2) of B, row 8h + 2(lane%4) + r%2 of A.
template <GemmFormat F, bool bulk>
__device__ __forceinline__ void multiply(const Slots& slots, int own, int steps, float (&acc)[8]) {
  const int lane = threadIdx.x & 31;
  const int row = own + (lane >> 2);  // and row + 8
  const int part = lane & 3;          // which 64 columns of a super-step
  const std::uint8_t* const codes[2] = {
      slots.codes + opaque(in_box(row, part * (code_row / 4))),
      slots.codes + opaque(in_box(row, part * (code_row / 4) + 16))};
  const std::uint8_t* const scales = slots.scales + opaque(row * step_blocks + part * lane_blocks);
  const std::uint64_t a_words = wgmma_plain_descriptor(
      address_of(slots.a), decode_a_offset(0, 0, 8), decode_a_offset(0, 8, 0));
  const auto super_step = [&]<int slot>(int i) {
    if constexpr (bulk) {
      barrier_wait(slots.full + slot * 8, i / ring & 1);
    } else {
      __syncthreads();  // by then every warp has read the other slot too, which is filled next
    }
    std::uint32_t s[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      s[r] = *reinterpret_cast<const std::uint32_t*>(scales + slot * scale_bytes +
                                                     r * 8 * step_blocks);
    }
    std::uint32_t fragment[2][4]
                          [4];  // of this block and the one before, whose wgmma may be under way
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      std::uint32_t c[2][4];
      BlockExpansion block[2][2];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        load_words(codes[half] + slot * code_bytes + r * 8 * code_row, c[r]);
        if (half == 0) block_expansions<F, 0>(s[r], block[r][0], block[r][1]);
        if (half == 1) block_expansions<F, 1>(s[r], block[r][0], block[r][1]);
      }
#pragma unroll
      for (int b = 0; b < 2; ++b) {
        auto& f = fragment[b];
#pragma unroll
        for (int w = 0; w < 2; ++w) {
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            std::uint32_t out[4];
            expand_word<F>(c[r][2 * b + w], block[r][b], out);
#pragma unroll
            for (int q = 0; q < 4; ++q) f[2 * w + q / 2][q % 2 * 2 + r] = out[q];
          }
        }
        wgmma_fence();
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          wgmma_m64n16k16(
              acc, f[j],
              a_words + (slot * decode_a_bytes + decode_a_offset(8 * half + 4 * b + j, 0, 0)) / 16);
        }
        wgmma_commit();
        if (half == 1 && b == 1) {
          wgmma_wait<0>();
        } else {
          wgmma_wait<1>();
        }
      }
    }
    if (bulk && lane == 0) barrier_arrive(slots.free + slot * 8);
  };
  static_assert(ring == 2);
#pragma unroll 1
  for (int i = 0; i < steps; i += ring) {
    super_step.template operator()<0>(i);
    if (i + 1 < steps) super_step.template operator()<1>(i + 1);
  }
}

template <GemmFormat F, bool bulk>
__global__ void __launch_bounds__(threads, 1)
    gemm_decode_kernel(const GemmArguments g, const __grid_constant__ CUtensorMap code_map,
                       const __grid_constant__ CUtensorMap scale_map) {
  extern __shared__ std::uint8_t dynamic_shared[];
  __shared__ std::uint64_t barriers[decode_splits][2][ring];
  std::uint8_t* const aligned = dynamic_shared + (-address_of(dynamic_shared) & 1023);
  const int warp = __shfl_sync(0xFFFFFFFFU, threadIdx.x >> 5,
                               0);  // so the compiler knows it as the same for all lanes
  const bool feeds = warp >= workers;
  const int group = feeds ? (warp - workers) / feeders : warp / row_groups;
  Slots slots;
  slots.codes = aligned + group * ring * code_bytes;
  slots.a = aligned + decode_splits * ring * code_bytes + group * ring * decode_a_bytes;
  slots.scales =
      aligned + decode_splits * ring * (code_bytes + decode_a_bytes) + group * ring * scale_bytes;
  slots.full = opaque(address_of(barriers[group][0]));
  slots.free = slots.full + ring * 8;
  const Rows rows{static_cast<int>(static_cast<std::int64_t>(g.n) * blockIdx.x / gridDim.x),
                  static_cast<int>(static_cast<std::int64_t>(g.n) * (blockIdx.x + 1) / gridDim.x)};
  // Without the copy engine, barriers of all warps hand slots over, so every group takes the same
  // number of super-steps. Some are past the end of K: zeros, which change no sum.
  const int steps =
      decode_step_count(bulk ? group : 0, (g.k_blocks + step_blocks - 1) / step_blocks);

  if (bulk && threadIdx.x == workers * 32) prefetch_map(code_map);
  if (bulk && threadIdx.x == workers * 32 + 32) prefetch_map(scale_map);
  if (threadIdx.x < decode_splits * 2 * ring) {
    const bool full = threadIdx.x / ring % 2 == 0;
    barrier_init(address_of(&barriers[0][0][0] + threadIdx.x), full ? feeders : row_groups);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  float acc[8] = {};
  const int own = warp % row_groups * warp_rows;
  if (feeds) {
    shrink_registers<feeder_registers>();
    feed<F, bulk>(g, code_map, scale_map, slots, rows, group, warp % feeders, steps);
  } else {
    grow_registers<worker_registers>();
    multiply<F, bulk>(slots, own, steps, acc);
  }
  // Partial sums [row of A][row of B] where the group's codes were, then a fixed order of
  // additions.
  __syncthreads();
  if (!feeds) {
    const int lane = threadIdx.x & 31;
    float* const to = reinterpret_cast<float*>(slots.codes) + own + (lane >> 2);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int r = 0; r < 4; ++r)
        to[(8 * h + 2 * (lane & 3) + r % 2) * partial_pitch + r / 2 * 8] = acc[4 * h + r];
    }
  }
  __syncthreads();
  for (int j = threadIdx.x; j < 16 * tile_n; j += threads) {
    const int m = j / tile_n;
    const int r = j % tile_n;
    if (m >= g.m || rows.first + r >= rows.end) continue;
    float sum = 0;
#pragma unroll
    for (int w = 0; w < decode_splits; ++w) {
      const float p =
          reinterpret_cast<const float*>(aligned + w * ring * code_bytes)[m * partial_pitch + r];
      sum = w == 0 ? p : __fadd_rn(sum, p);
    }
    g.d[static_cast<std::size_t>(m) * g.n + rows.first + r] = __fmul_rn(g.alpha, sum);
  }
}

template <GemmFormat F, bool bulk>
cudaError_t launch_variant(const GemmArguments& g, cudaStream_t stream) {
  cudaError_t status = raise_shared_limit<gemm_decode_kernel<F, bulk>>(shared_bytes);
  int device = 0;
  int multiprocessors = 0;
  if (status == cudaSuccess) status = cudaGetDevice(&device);
  if (status == cudaSuccess)
    status = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  if (status != cudaSuccess) return status;
  CUtensorMap code_map{};
  CUtensorMap scale_map{};
  const auto blocks = static_cast<std::size_t>(g.k_blocks);
  if (bulk &&
      !(encode_tensor_map(code_map, g.b_codes, blocks * 8, g.n, code_row, tile_n, true) &&
        encode_tensor_map(scale_map, g.b_scales, blocks, g.n, step_blocks, tile_n, false))) {
    return cudaErrorNotSupported;
  }
  // The launch overlaps the end of the kernel before it in the stream; the kernel itself waits for
  // that one's memory (griddepcontrol.wait) before it reads any.
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  // Rows in equal shares of at most a tile, one for each multiprocessor where they suffice.
  const int least = (g.n + tile_n - 1) / tile_n;
  const int most = (g.n + warp_rows - 1) / warp_rows;
  config.gridDim = dim3(static_cast<unsigned>(std::clamp(multiprocessors, least, most)));
  config.blockDim = dim3(threads);
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
