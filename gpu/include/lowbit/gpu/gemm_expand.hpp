// SPDX-License-Identifier: MIT
/// \file
/// Four-bit codes to FP16 without rounding, in registers: the same bit operations on host and
/// device, so that a CPU test can exhaust every code and every scale byte.
///
/// An expanded element is 2^-10 * d * (dequantized element / tensor scale):
/// float blocks 2^-10 * d * scale * E2M1, integer blocks 2^-10 * (d E) * scale * INT4, with
/// (d, d E) = (1, -), (7, 6), (3, 4) for NVFP4, IF4, IF3. The largest is 448*7*6 * 2^-10 < 19,
/// every one is a multiple of 2^-20 with at most 9 significant bits: exact in FP16, whose unit is
/// 2^-24.
///
/// Why 2^-10: a nibble s e1 e0 m moved to FP16 bits 15, 11..9 is E2M1 * 2^-14 (bias 1 against 15,
/// subnormals included), and 2^14 * d * scale would overflow; 2^4 * d * scale <= 50176 does not.
/// An INT4 nibble with its sign bit flipped is v + 8; as low byte (v + 8) << 4 under the high byte
/// 0x1C it is the FP16 number 2^-14 * (72 + v), and the fused multiply-add with -72 * 2^-14 * s
/// leaves 2^-14 * v * s exactly.
#pragma once

#include <cstdint>

#include "lowbit/block_format.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/gpu/gemm.hpp"
#include "lowbit/gpu/host_device.hpp"

namespace lowbit::gpu {

/// Elements under one scale byte.
inline constexpr int gemm_block = 16;
/// Both operands are expanded times 2^-this.
inline constexpr int expand_prescale = 10;

namespace detail {

/// The formats' records in constant expressions; tests/gpu holds them to the registry.
inline constexpr BlockFormat if4_record{"if4", &e2m1, &int4, &e4m3, gemm_block};
inline constexpr BlockFormat if3_record{"if3", &e2m0, &int3, &e4m3, gemm_block};
/// d E of a format.
constexpr int scaled_unit(const BlockFormat& f) {
  return f.exact_denominator() * f.integer_unit().numerator / f.integer_unit().denominator;
}

}  // namespace detail

/// d and d E: what one unit of a float and of an integer block counts.
[[nodiscard]] constexpr int float_factor(GemmFormat f) {
  constexpr int of_if4 = detail::if4_record.exact_denominator();
  constexpr int of_if3 = detail::if3_record.exact_denominator();
  return f == GemmFormat::if4 ? of_if4 : f == GemmFormat::if3 ? of_if3 : 1;
}
/// f of integer blocks in the exact expansion (docs/gpu_gemm.md): 6 for IF4, 4 for IF3.
[[nodiscard]] constexpr int integer_factor(GemmFormat f) {
  constexpr int of_if4 = detail::scaled_unit(detail::if4_record);
  constexpr int of_if3 = detail::scaled_unit(detail::if3_record);
  return f == GemmFormat::if4 ? of_if4 : f == GemmFormat::if3 ? of_if3 : 0;
}

namespace detail {

inline double half_to_double(std::uint32_t h) {
  return to_double(f16, h);
}
inline std::uint32_t double_to_half(double v) {
  return from_double(f16, v, {.overflow = Overflow::infinity});
}

/// The FP16 word of 2^4 * factor.
constexpr std::uint32_t word_of_16_times(int factor) {
  return round_pack(f16, {false, static_cast<std::uint64_t>(factor), 4});
}

// Three words to one, bit by bit, as one operation that the optimizer cannot spread over the words
// of a block. kTable: the function of 0xF0, 0xCC and 0xAA, which hold every combination of three
// bits.
template <int kTable>
LOWBIT_HD std::uint32_t bitwise(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  std::uint32_t r = 0;
#ifdef __CUDA_ARCH__
  asm("lop3.b32 %0, %1, %2, %3, %4;" : "=r"(r) : "r"(a), "r"(b), "r"(c), "n"(kTable));
#else
  for (int i = 0; i < 8; ++i) {
    if ((kTable >> i & 1) != 0)
      r |= ((i & 4) != 0 ? a : ~a) & ((i & 2) != 0 ? b : ~b) & ((i & 1) != 0 ? c : ~c);
  }
#endif
  return r;
}
LOWBIT_HD std::uint32_t and_xor(std::uint32_t a, std::uint32_t mask, std::uint32_t flip) {
  return bitwise<(0xF0 & 0xCC) ^ 0xAA>(a, mask, flip);
}
LOWBIT_HD std::uint32_t or_and(std::uint32_t a, std::uint32_t all, std::uint32_t mask) {
  return bitwise<(0xF0 | 0xAA) & 0xCC>(a, mask, all);
}

// One half of a word in both halves. As moves of halves and not a permute of bytes, so that the
// instruction that uses it takes it as an operand's modifier.
template <int half>
LOWBIT_HD std::uint32_t both(std::uint32_t w) {
#ifdef __CUDA_ARCH__
  std::uint32_t r;
  if constexpr (half == 0) {
    asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; mov.b32 %0, {l, l};}" : "=r"(r) : "r"(w));
  } else {
    asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; mov.b32 %0, {h, h};}" : "=r"(r) : "r"(w));
  }
  return r;
#else
  return (w >> (16 * half) & 0xFFFF) * 0x10001;
#endif
}

// b where m is all ones, a where it is zero, as one multiply-add: the lanes for logic are the
// scarcer ones.
LOWBIT_HD std::uint32_t choose(std::uint32_t m, std::uint32_t a, std::uint32_t b) {
  return m * (a - b) + a;
}

// Two FP16 products, round to nearest even.
LOWBIT_HD std::uint32_t mul2(std::uint32_t a, std::uint32_t b) {
  std::uint32_t r = 0;
#ifdef __CUDA_ARCH__
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
#ifdef __CUDA_ARCH__
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
// Two E4M3 bytes to two FP16 numbers (the upper half of the word is ignored); NaN stays NaN.
LOWBIT_HD std::uint32_t e4m3x2_to_half2(std::uint32_t bytes) {
#ifdef __CUDA_ARCH__
  std::uint32_t r;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(r) : "h"(static_cast<std::uint16_t>(bytes)));
  return r;
#else
  std::uint32_t r = 0;
  for (int i = 0; i < 2; ++i) {
    const std::uint32_t byte = bytes >> (8 * i) & e4m3.code_mask();
    const bool nan = (byte & e4m3.magnitude_mask()) == e4m3.nan_code();
    r |= (nan ? f16.magnitude_mask() : double_to_half(to_double(e4m3, byte))) << (16 * i);
  }
  return r;
#endif
}

}  // namespace detail

/// What the 16 codes under one scale byte share. Only logic, shifts to the right and byte permutes
/// count as work here: a GPU has half as many lanes for them as for FP16 arithmetic, and multiplies
/// beside them.
struct BlockExpansion {
  std::uint32_t scale;    ///< 2^4 * factor * E4M3 in both halves
  std::uint32_t addend;   ///< -72 * 2^-14 * scale in integer blocks, else 0
  std::uint32_t integer;  ///< all ones in integer blocks, else 0
  std::uint32_t keep;     ///< bits of the nibbles' bytes that stay
  std::uint32_t moved;  ///< float blocks: bits, after a shift by three, that are taken beside them;
                        ///< integers: signs, flipped
  std::uint32_t pick02;  ///< permutes of bytes 0 and 2, 1 and 3 into two halves
  std::uint32_t pick13;  ///< permute of bytes 1 and 3 into two halves
};

/// The expansion of a block with that scale and addend, from m, all ones for integers and zero for
/// floats.
template <GemmFormat F>
LOWBIT_HD BlockExpansion block_expansion(std::uint32_t scale, std::uint32_t addend,
                                         std::uint32_t m) {
  // An IF3 code moves one bit up, so its nibble reads s e1 e0 * and v2 v1 v0 *; * is masked off.
  constexpr std::uint32_t magnitude = F == GemmFormat::if3 ? 0x0C0C0C0C : 0x0E0E0E0E;
  constexpr std::uint32_t integer_bits = F == GemmFormat::if3 ? 0x60606060 : 0x70707070;
  constexpr std::uint32_t sign = 0x80808080;
  if constexpr (F == GemmFormat::nvfp4) {
    return {scale, 0, 0, sign, magnitude, 0x2404, 0x3414};
  } else {
    // Float blocks: the bytes are the high ones, over a zero (byte 4 of the permute). Integer
    // blocks: they are the low ones, under 0x1C (byte 5).
    return {scale,
            addend,
            m,
            detail::choose(m, sign, sign | integer_bits),
            detail::choose(m, magnitude, sign),
            detail::choose(m, 0x2404, 0x5250),
            detail::choose(m, 0x3414, 0x5351)};
  }
}

/// The expansions of two neighbouring blocks from a word of four scale bytes: those of its bytes 2
/// pair and 2 pair + 1.
template <GemmFormat F, int pair = 0>
LOWBIT_HD void block_expansions(std::uint32_t scale_bytes, BlockExpansion& first,
                                BlockExpansion& second) {
  // FP16 words of 2^4 * factor. IF3 codes are expanded as 2v (one bit up in the nibble), so the
  // factor of integer blocks is halved there. Negative, as the scale byte of an integer block,
  // whose flag is where E4M3 has its sign, is converted to a negative number.
  constexpr std::uint32_t float_word = detail::word_of_16_times(float_factor(F));
  constexpr std::uint32_t integer_word =
      f16.sign_mask() |
      detail::word_of_16_times(F == GemmFormat::if3 ? integer_factor(F) / 2 : integer_factor(F));
  constexpr std::uint32_t both_words = 0x10001;
  constexpr std::uint32_t four_magnitudes = 0x01010101 * e4m3.magnitude_mask();
  constexpr int shift = 16 * pair;
  if constexpr (F == GemmFormat::nvfp4) {
    const std::uint32_t values = detail::e4m3x2_to_half2((scale_bytes & four_magnitudes) >> shift);
    const std::uint32_t s = detail::mul2(values, float_word * both_words);
    first = block_expansion<F>(detail::both<0>(s), 0, 0);
    second = block_expansion<F>(detail::both<1>(s), 0, 0);
  } else {
    constexpr std::uint32_t offset = 0x9C80;  // -72 * 2^-14 = -1.125 * 2^-8
    // Sign bits of the two bytes, of the first, of the second.
    constexpr std::uint32_t signs = pair == 0 ? 0x9988 : 0xBBAA;
    constexpr std::uint32_t first_sign = pair == 0 ? 0x8888 : 0xAAAA;
    constexpr std::uint32_t second_sign = first_sign + 0x1111;
    const std::uint32_t flags = detail::permute(scale_bytes, scale_bytes, signs);
    const std::uint32_t factors =
        detail::and_xor(flags, (float_word ^ integer_word) * both_words, float_word * both_words);
    const std::uint32_t s = detail::mul2(detail::e4m3x2_to_half2(scale_bytes >> shift), factors);
    const std::uint32_t addends = detail::mul2(s, flags & offset * both_words);
    first = block_expansion<F>(detail::both<0>(s), detail::both<0>(addends),
                               detail::permute(scale_bytes, scale_bytes, first_sign));
    second = block_expansion<F>(detail::both<1>(s), detail::both<1>(addends),
                                detail::permute(scale_bytes, scale_bytes, second_sign));
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
  // Four codes in the high nibbles of bytes at a time: even columns, then odd ones. Float blocks:
  // high bytes s000 e1e0m0 of the FP16 numbers; integer blocks: low bytes, the nibble with its
  // sign bit flipped. Masks choose, not branches; with NVFP4 they are constants.
  constexpr int up = F == GemmFormat::if3 ? 1 : 0;
  constexpr std::uint32_t filler = 0x1C00;
  const std::uint32_t odd = word << up;
  const std::uint32_t even = word << (4 + up);
  const std::uint32_t e = detail::and_xor(
      even, block.keep, detail::or_and(word << (1 + up), block.integer, block.moved));
  const std::uint32_t o = detail::and_xor(
      odd, block.keep, detail::or_and(word >> (3 - up), block.integer, block.moved));
  const std::uint32_t raw[4] = {
      detail::permute(e, filler, block.pick02), detail::permute(e, filler, block.pick13),
      detail::permute(o, filler, block.pick02), detail::permute(o, filler, block.pick13)};
  for (int r = 0; r < 4; ++r) {
    out[r] = F == GemmFormat::nvfp4 ? detail::mul2(raw[r], block.scale)
                                    : detail::fma2(raw[r], block.scale, block.addend);
  }
}

}  // namespace lowbit::gpu
