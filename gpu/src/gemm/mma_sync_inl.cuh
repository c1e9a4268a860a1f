// SPDX-License-Identifier: MIT
// Warp-level instructions that every architecture from sm_80 on has: mma.sync on FP16 and the
// asynchronous copies of single words.
#pragma once

#include <cstdint>

namespace lowbit::gpu::detail {

// d[16][8] += a[16][16] * b[8][16]^T, FP16 fragments, FP32 accumulators.
__device__ __forceinline__ void mma_sync_m16n8k16(float (&d)[4], std::uint32_t a0, std::uint32_t a1,
                                                  std::uint32_t a2, std::uint32_t a3,
                                                  std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// `size` bytes (4 or 8, both addresses multiples of it) to shared memory, of which `bytes` are read
// and the rest are zeros.
template <int size>
__device__ __forceinline__ void copy_async(std::uint32_t shared, const std::uint8_t* from,
                                           int bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(from), "n"(size),
               "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void copy_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most `pending` of this thread's groups are unfinished.
template <int pending>
__device__ __forceinline__ void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

}  // namespace lowbit::gpu::detail
