// SPDX-License-Identifier: MIT
// One tensor-core instruction on a tile of 64 rows and 8 columns, by one warp group (128 threads).
// All of these take 32 bytes of each vector, and then their fragments have one layout in words
// (PTX ISA, "Matrix Fragments for mma" and "wgmma"): thread t of a warp holds, of A, words t % 4
// and t % 4 + 4 of rows t / 4 and t / 4 + 8, of B the same words of column t / 4, and of D columns
// 2 (t % 4) and the next of those rows. wgmma takes A from registers and B from shared memory.
#pragma once

#include <cstdint>

namespace lowbit::campaign {

enum class Hardware : int {
  mma_f32_f16,
  mma_f16_f16,
  mma_f32_bf16,
  mma_f32_tf32,
  mma_f32_e4m3,
  mma_f32_e5m2,
  mma_f16_e4m3,
  mma_f16_e5m2,
  wgmma_f32_f16,
  wgmma_f16_f16,
  wgmma_f32_bf16,
  wgmma_f32_tf32,
  wgmma_f32_e4m3,
  wgmma_f32_e5m2,
  wgmma_f32_e4m3_e5m2,
  wgmma_f16_e4m3,
  wgmma_f16_e5m2,
};

// d[0], d[1]: columns 2t and 2t + 1 of the upper row; d[2], d[3]: of the lower one. FP16 words are
// packed two a register, the first column low.
#define LOWBIT_MMA_F32(NAME)                                                                  \
  asm volatile("mma.sync.aligned." NAME " {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};" \
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                               \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#define LOWBIT_MMA_F16(NAME)                                                      \
  asm volatile("mma.sync.aligned." NAME " {%0,%1},{%2,%3,%4,%5},{%6,%7},{%0,%1};" \
               : "+r"(h[0]), "+r"(h[1])                                           \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#define LOWBIT_WGMMA_F32(NAME, TAIL)                                                 \
  asm volatile(                                                                      \
      "{ .reg .pred p; setp.ne.u32 p, %9, 0;\n"                                      \
      "wgmma.fence.sync.aligned;\n"                                                  \
      "wgmma.mma_async.sync.aligned." NAME " {%0,%1,%2,%3},{%4,%5,%6,%7},%8,p," TAIL \
      ";\n"                                                                          \
      "wgmma.commit_group.sync.aligned;\n"                                           \
      "wgmma.wait_group.sync.aligned 0; }"                                           \
      : "+f"(f[0]), "+f"(f[1]), "+f"(f[2]), "+f"(f[3])                               \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor), "r"(1)          \
      : "memory")
#define LOWBIT_WGMMA_F16(NAME, TAIL)                                           \
  asm volatile(                                                                \
      "{ .reg .pred p; setp.ne.u32 p, %7, 0;\n"                                \
      "wgmma.fence.sync.aligned;\n"                                            \
      "wgmma.mma_async.sync.aligned." NAME " {%0,%1},{%2,%3,%4,%5},%6,p," TAIL \
      ";\n"                                                                    \
      "wgmma.commit_group.sync.aligned;\n"                                     \
      "wgmma.wait_group.sync.aligned 0; }"                                     \
      : "+r"(h[0]), "+r"(h[1])                                                 \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(descriptor), "r"(1)    \
      : "memory")

__host__ __device__ constexpr bool is_wgmma(Hardware i) {
  return i >= Hardware::wgmma_f32_f16;
}

/// \param d  C on entry, D on return: FP32 words, or FP16 words in the low halves.
__device__ inline void run_instruction(Hardware i, const std::uint32_t a[4],
                                       const std::uint32_t b[2], std::uint64_t descriptor,
                                       std::uint32_t d[4]) {
  std::uint32_t h[2] = {(d[0] & 0xFFFFU) | (d[1] << 16), (d[2] & 0xFFFFU) | (d[3] << 16)};
  float f[4];
  for (int r = 0; r < 4; ++r) f[r] = __uint_as_float(d[r]);
  bool half = false;
  const bool single_wgmma = i == Hardware::wgmma_f32_f16 || i == Hardware::wgmma_f32_bf16 ||
                            (i >= Hardware::wgmma_f32_tf32 && i <= Hardware::wgmma_f32_e4m3_e5m2);
  switch (i) {
    case Hardware::mma_f32_f16:
      LOWBIT_MMA_F32("m16n8k16.row.col.f32.f16.f16.f32");
      break;
    case Hardware::mma_f32_bf16:
      LOWBIT_MMA_F32("m16n8k16.row.col.f32.bf16.bf16.f32");
      break;
    case Hardware::mma_f32_tf32:
      LOWBIT_MMA_F32("m16n8k8.row.col.f32.tf32.tf32.f32");
      break;
    case Hardware::mma_f32_e4m3:
      LOWBIT_MMA_F32("m16n8k32.row.col.f32.e4m3.e4m3.f32");
      break;
    case Hardware::mma_f32_e5m2:
      LOWBIT_MMA_F32("m16n8k32.row.col.f32.e5m2.e5m2.f32");
      break;
    case Hardware::mma_f16_f16:
      LOWBIT_MMA_F16("m16n8k16.row.col.f16.f16.f16.f16");
      half = true;
      break;
    case Hardware::mma_f16_e4m3:
      LOWBIT_MMA_F16("m16n8k32.row.col.f16.e4m3.e4m3.f16");
      half = true;
      break;
    case Hardware::mma_f16_e5m2:
      LOWBIT_MMA_F16("m16n8k32.row.col.f16.e5m2.e5m2.f16");
      half = true;
      break;
    case Hardware::wgmma_f32_f16:
      LOWBIT_WGMMA_F32("m64n8k16.f32.f16.f16", "1,1,0");
      break;
    case Hardware::wgmma_f32_bf16:
      LOWBIT_WGMMA_F32("m64n8k16.f32.bf16.bf16", "1,1,0");
      break;
    case Hardware::wgmma_f32_tf32:
      LOWBIT_WGMMA_F32("m64n8k8.f32.tf32.tf32", "1,1");
      break;
    case Hardware::wgmma_f32_e4m3:
      LOWBIT_WGMMA_F32("m64n8k32.f32.e4m3.e4m3", "1,1");
      break;
    case Hardware::wgmma_f32_e5m2:
      LOWBIT_WGMMA_F32("m64n8k32.f32.e5m2.e5m2", "1,1");
      break;
    case Hardware::wgmma_f32_e4m3_e5m2:
      LOWBIT_WGMMA_F32("m64n8k32.f32.e4m3.e5m2", "1,1");
      break;
    case Hardware::wgmma_f16_f16:
      LOWBIT_WGMMA_F16("m64n8k16.f16.f16.f16", "1,1,0");
      half = true;
      break;
    case Hardware::wgmma_f16_e4m3:
      LOWBIT_WGMMA_F16("m64n8k32.f16.e4m3.e4m3", "1,1");
      half = true;
      break;
    case Hardware::wgmma_f16_e5m2:
      LOWBIT_WGMMA_F16("m64n8k32.f16.e5m2.e5m2", "1,1");
      half = true;
      break;
  }
  if (half) {
    d[0] = h[0] & 0xFFFFU;
    d[1] = h[0] >> 16;
    d[2] = h[1] & 0xFFFFU;
    d[3] = h[1] >> 16;
  } else if (single_wgmma) {
    for (int r = 0; r < 4; ++r) d[r] = __float_as_uint(f[r]);
  }
}

/// B of a tile in shared memory as wgmma reads it without swizzling: two core matrices of 8 columns
/// x 16 bytes, one after the other along K. Word w of column n lies at this index.
__host__ __device__ constexpr int core_matrix_word(int n, int w) {
  return (w / 4) * 32 + n * 4 + w % 4;
}

/// The matrix descriptor of that B (PTX ISA, "Shared Memory Matrix Layout"): address and both
/// strides in units of 16 bytes; 128 bytes between the core matrices, whichever stride counts.
__device__ inline std::uint64_t b_descriptor(const void* shared) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  const std::uint64_t stride = 128 >> 4;
  return static_cast<std::uint64_t>((address & 0x3FFFFU) >> 4) | (stride << 16) | (stride << 32);
}

}  // namespace lowbit::campaign
