// SPDX-License-Identifier: MIT
/// \file
/// What kernels and their tests on the CPU share: the marks of functions that are compiled for
/// both, and the byte permutation of a word, PTX's prmt.b32.
#pragma once

#include <cstdint>

/// Functions of one source for both sides. LOWBIT_HD_RARE: the same, kept out of line in device
/// code.
#ifdef __CUDACC__
#define LOWBIT_HD __host__ __device__ __forceinline__
#define LOWBIT_HD_RARE __host__ __device__ __noinline__
#define LOWBIT_UNROLL _Pragma("unroll")
#else
#define LOWBIT_HD inline
/// LOWBIT_HD, kept out of line in device code.
#define LOWBIT_HD_RARE inline
/// Asks for a full unrolling of the loop that follows, in device code.
#define LOWBIT_UNROLL
#endif

namespace lowbit::gpu::detail {

/// prmt.b32, default mode, of the bytes of {b, a} (a the low word): selector nibble 0..7 takes a
/// byte, 8..15 the sign bit of byte nibble - 8, eight times. The selector may be a variable.
LOWBIT_HD std::uint32_t permute(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
#ifdef __CUDA_ARCH__
  std::uint32_t r;  // __byte_perm leaves the sign mode undefined
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(selector));
  return r;
#else
  const std::uint64_t bytes = std::uint64_t{b} << 32 | a;
  std::uint32_t r = 0;
  for (int i = 0; i < 4; ++i) {
    std::uint32_t byte =
        static_cast<std::uint32_t>(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xFF);
    if ((selector >> (4 * i) & 8) != 0) byte = (byte & 0x80) != 0 ? 0xFF : 0;
    r |= byte << (8 * i);
  }
  return r;
#endif
}

/// The four bytes of {b, a} that the nibbles of a constant selector name, 0..7 each: permute
/// without the sign mode, which the compiler can see through and merge with the operations around
/// it.
template <std::uint32_t kSelector>
LOWBIT_HD std::uint32_t select_bytes(std::uint32_t a, std::uint32_t b) {
  static_assert((kSelector & ~0x7777U) == 0, "four nibbles, each the number of a byte");
#ifdef __CUDA_ARCH__
  return __byte_perm(a, b, kSelector);
#else
  return permute(a, b, kSelector);
#endif
}

}  // namespace lowbit::gpu::detail
