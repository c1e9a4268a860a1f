// SPDX-License-Identifier: MIT
/// \file
/// Four-bit codes to FP16 without rounding, in registers: the same bit operations on host and
/// device, so that a CPU test can exhaust every code and every scale byte.
///
/// An expanded element is 2^-10 * d * (dequantized element / tensor scale):
/// float blocks 2^-10 * d * scale * E2M1, integer blocks 2^-10 * (d E) * scale * INT4, with
/// (d, d E) = (1, -), (7, 6), (3, 4) for NVFP4, IF4, IF3. The largest is 448*7*6 * 2^-10 < 19, every
/// one is a multiple of 2^-20 with at most 9 significant bits: exact in FP16, whose unit is 2^-24.
///
/// Why 2^-10: a nibble s e1 e0 m moved to FP16 bits 15, 11..9 is E2M1 * 2^-14 (bias 1 against 15,
/// subnormals included), and 2^14 * d * scale would overflow; 2^4 * d * scale <= 50176 does not.
/// An INT4 nibble with its sign bit flipped is v + 8; as low byte (v + 8) << 4 under the high byte
/// 0x1C it is the FP16 number 2^-14 * (72 + v), and the fused multiply-add with -72 * 2^-14 * s
/// leaves 2^-14 * v * s exactly.
#pragma once

#include <cstdint>

#include "lowbit/gpu/gemm.hpp"

#ifndef __CUDACC__
#include "lowbit/conversion.hpp"
#endif

/// Functions of one source for both sides: device code in CUDA sources, host code in C++ ones.
#ifdef __CUDACC__
#define LOWBIT_HD __device__ __forceinline__
#else
#define LOWBIT_HD inline
#endif

namespace lowbit::gpu {

/// Elements under one scale byte.
inline constexpr int gemm_block = 16;
/// Both operands are expanded times 2^-this.
inline constexpr int expand_prescale = 10;

/// d and d E: what one unit of a float and of an integer block counts.
[[nodiscard]] constexpr int float_factor(GemmFormat f) {
  return f == GemmFormat::if4 ? 7 : f == GemmFormat::if3 ? 3 : 1;
}
[[nodiscard]] constexpr int integer_factor(GemmFormat f) {
  return f == GemmFormat::if4 ? 6 : f == GemmFormat::if3 ? 4 : 0;
}

namespace detail {

// prmt.b32, default mode, selectors 0..7 only.
LOWBIT_HD std::uint32_t permute(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
#ifdef __CUDACC__
  return __byte_perm(a, b, selector);
#else
  const std::uint64_t bytes = static_cast<std::uint64_t>(b) << 32 | a;
  std::uint32_t r = 0;
  for (int i = 0; i < 4; ++i) {
    r |= static_cast<std::uint32_t>(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xFF) << (8 * i);
  }
  return r;
#endif
}

#ifndef __CUDACC__
inline double half_to_double(std::uint32_t h) {
  const int field = static_cast<int>(h >> 10 & 31);
  const double sig = (h & 1023) + (field != 0 ? 1024 : 0);
  if (field == 31) return (h & 1023) != 0 ? __builtin_nan("") : (h & 0x8000 ? -1 : 1) * __builtin_inf();
  const double v = __builtin_ldexp(sig, (field != 0 ? field : 1) - 25);
  return (h & 0x8000) != 0 ? -v : v;
}
inline std::uint32_t double_to_half(double v) {
  return from_double(f16, v, {.overflow = Overflow::infinity});
}
#endif

// Two FP16 products, round to nearest even.
LOWBIT_HD std::uint32_t mul2(std::uint32_t a, std::uint32_t b) {
  std::uint32_t r = 0;
#ifdef __CUDACC__
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
#else
  for (int i = 0; i < 32; i += 16) {
    r |= double_to_half(half_to_double(a >> i & 0xFFFF) * half_to_double(b >> i & 0xFFFF)) << i;
  }
#endif
  return r;
}
// Two FP16 fused multiply-adds. On the host the double sum is exact: 22 bits of product over the
// exponent range that the expansion uses.
LOWBIT_HD std::uint32_t fma2(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  std::uint32_t r = 0;
#ifdef __CUDACC__
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
#else
  for (int i = 0; i < 32; i += 16) {
    r |= double_to_half(half_to_double(a >> i & 0xFFFF) * half_to_double(b >> i & 0xFFFF) +
                        half_to_double(c >> i & 0xFFFF))
         << i;
  }
#endif
  return r;
}
// Two E4M3 bytes (sign bits clear) to two FP16 numbers; NaN stays NaN.
LOWBIT_HD std::uint32_t e4m3x2_to_half2(std::uint32_t bytes) {
#ifdef __CUDACC__
  std::uint32_t r;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(r) : "h"(static_cast<std::uint16_t>(bytes)));
  return r;
#else
  std::uint32_t r = 0;
  for (int i = 0; i < 2; ++i) {
    const std::uint32_t b = bytes >> (8 * i) & 0x7F;
    const std::uint32_t field = b >> 3;
    const double v = __builtin_ldexp((b & 7) + (field != 0 ? 8 : 0), static_cast<int>(field != 0 ? field : 1) - 10);
    r |= (b == 0x7F ? 0x7FFFU : double_to_half(v)) << (16 * i);
  }
  return r;
#endif
}

}  // namespace detail

/// What the 16 codes under one scale byte share.
struct BlockExpansion {
  std::uint32_t scale;   ///< 2^4 * factor * E4M3 in both halves
  std::uint32_t addend;  ///< -72 * 2^-14 * scale in integer blocks, else 0
  std::uint32_t is_integer;  ///< all ones or zero
};

/// The expansions of two neighbouring blocks from their two scale bytes (low byte first).
template <GemmFormat F>
LOWBIT_HD void block_expansions(std::uint32_t scale_bytes, BlockExpansion& first,
                                BlockExpansion& second) {
  // FP16 words of 16 * factor: 16 = 0x4C00, 48, 64, 96, 112.
  constexpr std::uint32_t float_word = F == GemmFormat::nvfp4 ? 0x4C00 : F == GemmFormat::if4 ? 0x5700 : 0x5200;
  // IF3 codes are expanded as 2v (one bit up in the nibble), so their factor is halved: 32.
  constexpr std::uint32_t integer_word = F == GemmFormat::if4 ? 0x5600 : 0x5000;
  const std::uint32_t values = detail::e4m3x2_to_half2(scale_bytes & 0x7F7F);
  if constexpr (F == GemmFormat::nvfp4) {
    const std::uint32_t s = detail::mul2(values, float_word | float_word << 16);
    first = {detail::permute(s, s, 0x1010), 0, 0};
    second = {detail::permute(s, s, 0x3232), 0, 0};
  } else {
    const std::uint32_t flag0 = scale_bytes & 0x80;
    const std::uint32_t flag1 = scale_bytes & 0x8000;
    const std::uint32_t factors = (flag0 != 0 ? integer_word : float_word) |
                                  (flag1 != 0 ? integer_word : float_word) << 16;
    const std::uint32_t s = detail::mul2(values, factors);
    constexpr std::uint32_t offset = 0x9C80;  // -72 * 2^-14 = -1.125 * 2^-8
    const std::uint32_t c = detail::mul2(s, (flag0 != 0 ? offset : 0U) | (flag1 != 0 ? offset << 16 : 0U));
    first = {detail::permute(s, s, 0x1010), detail::permute(c, c, 0x1010), flag0 != 0 ? ~0U : 0U};
    second = {detail::permute(s, s, 0x3232), detail::permute(c, c, 0x3232), flag1 != 0 ? ~0U : 0U};
  }
}

/// Column, within the 8 of a word, of half h of expanded register r.
[[nodiscard]] constexpr int expanded_column(int r, int h) {
  return (r & 1) * 2 + (r >> 1) + 4 * h;
}

/// Eight codes (column 0 in the low nibble) to four half2 registers in the order of
/// expanded_column. Both operands of a product go through it, so the order cancels.
template <GemmFormat F>
LOWBIT_HD void expand_word(std::uint32_t word, const BlockExpansion& block, std::uint32_t out[4]) {
  // Four codes in the high nibbles of bytes at a time: even columns, then odd ones.
  const std::uint32_t odd = F == GemmFormat::if3 ? (word << 1) & 0xEEEEEEEEU : word;
  const std::uint32_t even = F == GemmFormat::if3 ? (word << 5) & 0xE0E0E0E0U : word << 4;
  if constexpr (F == GemmFormat::nvfp4) {
    // High bytes of the FP16 numbers: s000 e1e0m0.
    const std::uint32_t e = (even & 0x80808080U) | ((even >> 3) & 0x0E0E0E0EU);
    const std::uint32_t o = (odd & 0x80808080U) | ((odd >> 3) & 0x0E0E0E0EU);
    out[0] = detail::mul2(detail::permute(e, 0, 0x2404), block.scale);
    out[1] = detail::mul2(detail::permute(e, 0, 0x3414), block.scale);
    out[2] = detail::mul2(detail::permute(o, 0, 0x2404), block.scale);
    out[3] = detail::mul2(detail::permute(o, 0, 0x3414), block.scale);
  } else {
    const std::uint32_t m = block.is_integer;
    const std::uint32_t keep = 0x80808080U | (m & 0x70707070U);
    const std::uint32_t moved = 0x0E0E0E0EU & ~m;
    const std::uint32_t flip = 0x80808080U & m;
    const std::uint32_t filler = 0x1C1C1C1CU & m;
    const std::uint32_t pick02 = m != 0 ? 0x4240 : 0x2404;
    const std::uint32_t pick13 = m != 0 ? 0x4341 : 0x3414;
    // flip toggles a kept bit, so both lines are one three-input operation each.
    const std::uint32_t ef = (even & keep) ^ (((even >> 3) & moved) ^ flip);
    const std::uint32_t of = (odd & keep) ^ (((odd >> 3) & moved) ^ flip);
    out[0] = detail::fma2(detail::permute(ef, filler, pick02), block.scale, block.addend);
    out[1] = detail::fma2(detail::permute(ef, filler, pick13), block.scale, block.addend);
    out[2] = detail::fma2(detail::permute(of, filler, pick02), block.scale, block.addend);
    out[3] = detail::fma2(detail::permute(of, filler, pick13), block.scale, block.addend);
  }
}

}  // namespace lowbit::gpu
