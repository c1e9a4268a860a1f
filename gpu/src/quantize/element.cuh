// SPDX-License-Identifier: MIT
// Elements: rounding magnitudes, and sixteen of them to codes in memory order. Host-device: the
// tests run the very same functions on the CPU.
//
// Everything works on magnitudes (each operation of the dialect is symmetric in the sign), scaled
// by a power of two 2^-t that puts the element format's smallest normal number on that of E4M3 (or
// E5M2), so that the 8-bit hardware conversion packs codes: scaling by a power of two commutes with
// every rounding here, except for values far below the first rounding boundary; those become 0
// either way.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "lowbit/conversion.hpp"
#include "lowbit/gpu/host_device.hpp"

// Blackwell converts to E2M1, E2M3 and E3M2 in hardware, with the same rounding and saturation (not
// run on hardware; tests/formats/test_vendor_headers.cpp compares the toolkit's own model of these
// conversions with lowbit's). A test defines this macro on the CPU, where the format's one routine
// converts.
#ifndef LOWBIT_HARDWARE_FP4
#if defined(__CUDA_ARCH_FEAT_SM100_ALL) || defined(__CUDA_ARCH_FEAT_SM120_ALL)
#define LOWBIT_HARDWARE_FP4 1
#else
#define LOWBIT_HARDWARE_FP4 0
#endif
#endif

namespace lowbit::gpu::detail {

/// Of a scale byte, which is E4M3 here: NaN, and the flag of integer blocks where a format has
/// them.
inline constexpr std::uint32_t nan_scale = e4m3.nan_code();
inline constexpr std::uint32_t integer_flag = e4m3.sign_mask();

LOWBIT_HD std::uint32_t bits_of(float x) {
  return std::bit_cast<std::uint32_t>(x);
}
LOWBIT_HD float float_of(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}
LOWBIT_HD float fused(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return __fmaf_rn(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}
LOWBIT_HD float larger(float a, float b) {
  return fmaxf(a, b);
}
LOWBIT_HD float smaller(float a, float b) {
  return fminf(a, b);
}

/// Into [0, 1].
LOWBIT_HD float saturated(float a) {
#ifdef __CUDA_ARCH__
  return __saturatef(a);
#else
  return smaller(larger(a, 0.0F), 1.0F);
#endif
}

/// max(a + b, c), one instruction from sm_90 on.
LOWBIT_HD std::int32_t larger_sum(std::int32_t a, std::int32_t b, std::int32_t c) {
#ifdef __CUDA_ARCH__
  return __viaddmax_s32(a, b, c);
#else
  const auto sum =
      static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
  return sum > c ? sum : c;
#endif
}

/// The largest of three that are not negative: as integers, one instruction from sm_90 on.
LOWBIT_HD float largest_of(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return float_of(static_cast<std::uint32_t>(__vimax3_s32(
      static_cast<int>(bits_of(a)), static_cast<int>(bits_of(b)), static_cast<int>(bits_of(c)))));
#else
  return larger(a, larger(b, c));
#endif
}

/// Two floats to two bytes, to nearest even, saturating; the first in the low byte.
template <bool kE5M2>
LOWBIT_HD std::uint32_t to_fp8x2(float low, float high) {
#ifdef __CUDA_ARCH__
  std::uint16_t r;
  if constexpr (kE5M2) {
    asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
  }
  return r;
#else
  const ElementFormat& format = kE5M2 ? e5m2 : e4m3;
  return from_float(format, low) | from_float(format, high) << 8;
#endif
}
template <bool kE5M2>
LOWBIT_HD std::uint32_t to_fp8x4(float a, float b, float c, float d) {
  return to_fp8x2<kE5M2>(a, b) | to_fp8x2<kE5M2>(c, d) << 16;
}

#if LOWBIT_HARDWARE_FP4
/// Two E2M1 codes in a byte, the first in the low nibble.
LOWBIT_HD std::uint32_t to_e2m1x2(float low, float high) {
#ifdef __CUDA_ARCH__
  std::uint16_t r;
  asm("{.reg .b8 t; cvt.rn.satfinite.e2m1x2.f32 t, %1, %2; mov.b16 %0, {t, 0};}"
      : "=h"(r)
      : "f"(high), "f"(low));
  return r;
#else
  return from_float(e2m1, low) | from_float(e2m1, high) << 4;
#endif
}
/// Two E2M3 or E3M2 codes in two bytes.
template <bool kE3M2>
LOWBIT_HD std::uint32_t to_fp6x2(float low, float high) {
#ifdef __CUDA_ARCH__
  std::uint16_t r;
  if constexpr (kE3M2) {
    asm("cvt.rn.satfinite.e3m2x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.satfinite.e2m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
  }
  return r;
#else
  const ElementFormat& format = kE3M2 ? e3m2 : e2m3;
  return from_float(format, low) | from_float(format, high) << 8;
#endif
}
#endif

/// The value of an E4M3 byte without sign (0 to 0x7E).
LOWBIT_HD float e4m3_value(std::uint32_t byte) {
  // Mantissa and exponent fields aligned to binary32's, then the biases' difference, 2^120.
  return float_of(byte << 20) * 0x1p120F;
}

/// 2^exponent, from 2^-149 to 2^127.
LOWBIT_HD constexpr float power_of_two(int exponent) {
  return exponent >= -126 ? std::bit_cast<float>(static_cast<std::uint32_t>(exponent + 127) << 23)
                          : std::bit_cast<float>(std::uint32_t{1} << (exponent + 149));
}

/// What the kernels need of a floating element format.
template <const ElementFormat& kRecord>
struct Element {
  static constexpr int mantissa_bits = kRecord.mantissa_bits;
  /// Of the largest element: significand * 2^(max_exponent - mantissa_bits).
  static constexpr int max_exponent = kRecord.max_exponent();
  static constexpr std::uint32_t max_significand =
      1U << mantissa_bits | (kRecord.max_code() & ((1U << mantissa_bits) - 1));
  static constexpr float max =
      static_cast<float>(max_significand) * power_of_two(max_exponent - mantissa_bits);
  /// The 8-bit float whose conversion packs the codes has its mantissa bits, or more.
  static constexpr bool packs_as_e5m2 = mantissa_bits == e5m2.mantissa_bits;
  /// 2^-t: brings its smallest normal number to that float's.
  static constexpr float scale =
      power_of_two((packs_as_e5m2 ? e5m2 : e4m3).min_exponent() - kRecord.min_exponent());
  /// Log2 of 2^23 steps at 1, which is where the rounding below anchors y.
  static constexpr std::int32_t steps = 23 - mantissa_bits;
  /// Below it the anchor is the same everywhere, first times 2^steps.
  static constexpr float first =
      (mantissa_bits == 0 ? 1.75F : 1.5F) * power_of_two(kRecord.min_exponent());
};
using E2M1 = Element<e2m1>;
using E2M0 = Element<e2m0>;
using E2M3 = Element<e2m3>;
using E3M2 = Element<e3m2>;
using E4M3 = Element<e4m3>;
using E5M2 = Element<e5m2>;
/// Integers of both signs: the largest magnitude is the positive one.
template <const ElementFormat& kRecord>
struct Integer {
  static constexpr float max = static_cast<float>((1 << kRecord.mantissa_bits) - 1);
};
using None = void;

/// y (scaled, not negative, below the point where the largest value is no longer the nearest) to
/// the nearest value of the format, ties to the even code.
///
/// The anchor is y's own bits with the exponent raised so far that its last place is the format's
/// step at y (below `first` a constant of the same last place): a multiple of that step, so
/// subtracting y from it rounds y to the step, and subtracting the result from it gives the rounded
/// y, exactly. The rest of y's significand in the anchor does no harm: where y is a tie, y has few
/// digits and the anchor is even. A difference may fall below the anchor's binade, where places are
/// half a step; y is then within 2^-18 steps above a power of two and rounds to that power either
/// way.
template <class E>
LOWBIT_HD float round_element(float y) {
  // E2M0: codes 2 and 3 (2 and 4) meet at 3, and the even code is the lower: the anchor is odd
  // there.
  constexpr std::int32_t odd = std::is_same_v<E, E2M0> ? 1 : 0;
  constexpr std::int32_t raise = (E::steps << 23) + odd;
  constexpr std::int32_t least =
      std::bit_cast<std::int32_t>(E::first * E::scale) + (E::steps << 23);
  // One instruction. A float maximum and an addition instead measured up to 2 % slower on an H100.
  const float anchor =
      std::bit_cast<float>(larger_sum(std::bit_cast<std::int32_t>(y), raise, least));
  return anchor - (anchor - y);
}

/// What rounds integers: adding it leaves the integer in the low bits.
template <class E>
inline constexpr float integer_magic = 1.5F * 0x1p23F * E::scale;

enum class Selection : int { none = 0, mse = 1, mae = 2, abs_max = 3, at_run_time = 4 };

template <Selection kRule>
LOWBIT_HD float add_error(float error, float d, Selection rule) {
  if constexpr (kRule == Selection::mse) return fused(d, d, error);
  if constexpr (kRule == Selection::mae) return error + std::fabs(d);
  if constexpr (kRule == Selection::abs_max) return larger(error, std::fabs(d));
  if (rule == Selection::mse) return fused(d, d, error);
  return rule == Selection::mae ? error + std::fabs(d) : larger(error, std::fabs(d));
}

/// A block format as the kernels see it. Second: the integer elements of an IF format.
/// Limit: below this y nothing has to be clamped; 0: always clamp.
template <class Float, class Integer, bool kFourOverSix, int kLimit1000>
struct Format {
  using F = Float;
  using I = Integer;
  static constexpr bool adaptive = !std::is_void_v<Integer>;
  static constexpr bool four_over_six = kFourOverSix;
  static constexpr bool nibbles = std::is_same_v<Float, E2M1>;
  static constexpr float limit = static_cast<float>(kLimit1000) / 1000.0F;
  static constexpr bool clamps = kLimit1000 == 0;
  static constexpr int words = nibbles ? 2 : 4;  ///< 32-bit words of 16 codes
};
using Nvfp4 = Format<E2M1, None, true, 6900>;
using If4 = Format<E2M1, Integer<int4>, false, 6400>;   // 7.5 * 6/7 = 6.43
using If3 = Format<E2M0, Integer<int3>, false, 4600>;   // 3.5 * 4/3 = 4.67
using If6E2M3 = Format<E2M3, Integer<int6>, false, 0>;  // the block's amax maps to up to 7.97
using If6E3M2 = Format<E3M2, Integer<int6>, false, 0>;  // up to 29.75, past 31.5 * 28/31
using Mxfp4 = Format<E2M1, None, false, 0>;
using Mxfp6E2M3 = Format<E2M3, None, false, 0>;
using Mxfp6E3M2 = Format<E3M2, None, false, 0>;
using Mxfp8E4M3 = Format<E4M3, None, false, 0>;
using Mxfp8E5M2 = Format<E5M2, None, false, 0>;
/// NVINT4: integers alone, kept in the place of the integer elements; never float.
struct Nvint4 {
  using F = E2M1;
  using I = Integer<int4>;
  static constexpr bool adaptive = false, four_over_six = false, nibbles = true, clamps = false;
  static constexpr float limit = 7.4F;
  static constexpr int words = 2;
};

/// R and E (docs/formats.md): the exact ratios of the two largest values, correctly rounded.
template <class F>
struct Ratios {
  static constexpr float shrink = 1.0F, expand = 1.0F;
};
template <class F>
requires F::adaptive struct Ratios<F> {
  static constexpr float shrink = static_cast<float>(double{F::I::max} / F::F::max);
  static constexpr float expand = static_cast<float>(double{F::F::max} / F::I::max);
};

/// Signs of 16 elements, bit 7 of one byte each. Nibble formats: words 0 and 1 hold the even and
/// odd elements of the first eight, 2 and 3 of the others; else word w holds elements 4w to 4w + 3.
struct Signs {
  std::uint32_t word[4];
};
template <bool kNibbles>
LOWBIT_HD Signs signs_of_pairs(const std::uint32_t (&pair)[8]) {
  Signs s;
  LOWBIT_UNROLL
  for (int g = 0; g < 2; ++g) {
    if constexpr (kNibbles) {
      const std::uint32_t t0 = select_bytes<0x7351>(pair[4 * g], pair[4 * g + 1]);
      const std::uint32_t t1 = select_bytes<0x7351>(pair[4 * g + 2], pair[4 * g + 3]);
      s.word[2 * g] = select_bytes<0x5410>(t0, t1);
      s.word[2 * g + 1] = select_bytes<0x7632>(t0, t1);
    } else {
      s.word[2 * g] = select_bytes<0x7531>(pair[4 * g], pair[4 * g + 1]);
      s.word[2 * g + 1] = select_bytes<0x7531>(pair[4 * g + 2], pair[4 * g + 3]);
    }
  }
  return s;
}
template <bool kNibbles>
LOWBIT_HD Signs signs_of_floats(const float (&x)[16]) {
  std::uint32_t pair[8];
  LOWBIT_UNROLL
  for (int i = 0; i < 8; ++i)
    pair[i] = select_bytes<0x7632>(bits_of(x[2 * i]), bits_of(x[2 * i + 1]));
  return signs_of_pairs<kNibbles>(pair);
}

/// Codes of magnitudes, before their signs are set and (nibbles) neighbours merged: 8-bit floats
/// whose bits 2 to 4 are E2M1's three, the even elements of a half and the odd ones; or what
/// Blackwell converts to (not run on hardware).
template <class F>
inline constexpr int packed_words = F::nibbles&& LOWBIT_HARDWARE_FP4 ? 2 : 4;

template <class E, class F>
LOWBIT_HD void convert(const float (&q)[16], std::uint32_t (&packed)[packed_words<F>]) {
#if LOWBIT_HARDWARE_FP4
  constexpr float up = 1.0F / E::scale;
  if constexpr (F::nibbles) {
    LOWBIT_UNROLL
    for (int g = 0; g < 2; ++g) {
      const float* p = q + 8 * g;
      packed[g] = to_e2m1x2(p[0] * up, p[1] * up) | to_e2m1x2(p[2] * up, p[3] * up) << 8 |
                  to_e2m1x2(p[4] * up, p[5] * up) << 16 | to_e2m1x2(p[6] * up, p[7] * up) << 24;
    }
    return;
  } else if constexpr (std::is_same_v<E, E2M3> || std::is_same_v<E, E3M2>) {
    LOWBIT_UNROLL
    for (int w = 0; w < 4; ++w) {
      packed[w] = to_fp6x2<E::packs_as_e5m2>(q[4 * w] * up, q[4 * w + 1] * up) |
                  to_fp6x2<E::packs_as_e5m2>(q[4 * w + 2] * up, q[4 * w + 3] * up) << 16;
    }
    return;
  }
#endif
  if constexpr (packed_words<F> == 4) {
    LOWBIT_UNROLL
    for (int w = 0; w < 4; ++w) {
      if constexpr (F::nibbles) {
        const float* p = q + 8 * (w / 2) + w % 2;
        packed[w] = to_fp8x4<false>(p[0], p[2], p[4], p[6]);
      } else {
        packed[w] = to_fp8x4<E::packs_as_e5m2>(q[4 * w], q[4 * w + 1], q[4 * w + 2], q[4 * w + 3]);
      }
    }
  }
}

/// Converted magnitudes and signs to codes in memory order.
template <class E, class F>
LOWBIT_HD void merge(const std::uint32_t (&packed)[packed_words<F>], const Signs& signs,
                     std::uint32_t (&out)[F::words]) {
  LOWBIT_UNROLL
  for (int w = 0; w < F::words; ++w) {
    if constexpr (F::nibbles) {
      const std::uint32_t sign =
          (signs.word[2 * w + 1] & 0x80808080U) | ((signs.word[2 * w] >> 4) & 0x08080808U);
      if constexpr (packed_words<F> == 2) {
        out[w] = packed[w] | sign;
      } else {
        out[w] = packed[2 * w + 1] * 4 + ((packed[2 * w] >> 2) + sign);
      }
    } else if constexpr (std::is_same_v<E, E2M0>) {
      out[w] = packed[w] >> 3 | ((signs.word[w] >> 5) & 0x04040404U);
    } else if constexpr (std::is_same_v<E, E2M3> || std::is_same_v<E, E3M2>) {
      out[w] = packed[w] | ((signs.word[w] >> 2) & 0x20202020U);
    } else {
      out[w] = packed[w] | (signs.word[w] & 0x80808080U);
    }
  }
}

template <class E, class F>
LOWBIT_HD void pack_float(const float (&q)[16], const Signs& signs,
                          std::uint32_t (&out)[F::words]) {
  std::uint32_t packed[packed_words<F>];
  convert<E, F>(q, packed);
  merge<E, F>(packed, signs, out);
}

/// z: magnitudes plus integer_magic, whose low bits are the magnitudes.
template <class I, class F>
LOWBIT_HD void pack_integer(const float (&z)[16], const Signs& signs,
                            std::uint32_t (&out)[F::words]) {
  constexpr std::uint32_t magic = std::bit_cast<std::uint32_t>(integer_magic<typename F::F>);
  if constexpr (F::nibbles) {
    LOWBIT_UNROLL
    for (int g = 0; g < 2; ++g) {
      std::uint32_t m = bits_of(z[8 * g + 7]);
      LOWBIT_UNROLL
      for (int i = 6; i >= 0; --i) m = m * 16 + bits_of(z[8 * g + i]);
      m -= magic * 0x11111111U;
      const std::uint32_t sign =
          (signs.word[2 * g + 1] & 0x80808080U) | ((signs.word[2 * g] >> 4) & 0x08080808U);
      // Two's complement nibble of +-m: (8 +- m) ^ 8, without a borrow between nibbles.
      const std::uint32_t negative = m & ((sign >> 3) * 7);
      out[g] = (0x88888888U + m - 2 * negative) ^ 0x88888888U;
    }
  } else {
    LOWBIT_UNROLL
    for (int w = 0; w < 4; ++w) {
      std::uint32_t m = bits_of(z[4 * w + 3]);
      LOWBIT_UNROLL
      for (int i = 2; i >= 0; --i) m = m * 256 + bits_of(z[4 * w + i]);
      m -= magic * 0x01010101U;
      if constexpr (std::is_same_v<I, Integer<int3>>) {
        const std::uint32_t negative = m & ((signs.word[w] >> 7 & 0x01010101U) * 3);
        out[w] = (0x08080808U + m - 2 * negative) & 0x07070707U;
      } else {
        // Sign and magnitude; 0 has no sign.
        const std::uint32_t nonzero = (m + 0x7F7F7F7FU) & signs.word[w] & 0x80808080U;
        out[w] = m | nonzero >> 2;
      }
    }
  }
}

}  // namespace lowbit::gpu::detail
