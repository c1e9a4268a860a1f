// SPDX-License-Identifier: MIT
// Sixteen elements from their magnitudes to their codes, in the operations of the `canonical`
// dialect. Host-device: the tests run the very same functions on the CPU.
//
// Everything works on magnitudes (each operation of the dialect is symmetric in the sign), scaled by
// a power of two 2^-t that puts the element format's smallest normal number on that of E4M3 (or
// E5M2), so that the 8-bit hardware conversion packs codes: scaling by a power of two commutes with
// every rounding here, for values far below the first rounding boundary excepted, which become 0
// either way.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "lowbit/conversion.hpp"

#ifdef __CUDACC__
#define LOWBIT_HD __host__ __device__ __forceinline__
#define LOWBIT_HD_RARE __host__ __device__ __noinline__
#define LOWBIT_UNROLL _Pragma("unroll")
#else
#define LOWBIT_HD inline
#define LOWBIT_HD_RARE inline
#define LOWBIT_UNROLL
#endif

// Blackwell converts to E2M1, E2M3 and E3M2 in hardware, with the same rounding and saturation (not
// run on hardware; tests/formats/test_vendor_headers.cpp compares the toolkit's own model of these
// conversions with lowbit's).
#if defined(__CUDA_ARCH_FEAT_SM100_ALL) || defined(__CUDA_ARCH_FEAT_SM120_ALL)
#define LOWBIT_HARDWARE_FP4 1
#else
#define LOWBIT_HARDWARE_FP4 0
#endif

namespace lowbit::gpu::detail {

LOWBIT_HD std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }
LOWBIT_HD float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }
LOWBIT_HD float fused(float a, float b, float c) {
#ifdef __CUDA_ARCH__
  return __fmaf_rn(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}
LOWBIT_HD float larger(float a, float b) { return fmaxf(a, b); }
LOWBIT_HD float smaller(float a, float b) { return fminf(a, b); }

/// max(a + b, c), one instruction from sm_90 on.
LOWBIT_HD std::int32_t larger_sum(std::int32_t a, std::int32_t b, std::int32_t c) {
#ifdef __CUDA_ARCH__
  return __viaddmax_s32(a, b, c);
#else
  const auto sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
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

/// The bytes of {b, a} (a the low word) that the four nibbles of the selector name.
LOWBIT_HD std::uint32_t permute(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
#ifdef __CUDA_ARCH__
  return __byte_perm(a, b, selector);
#else
  const std::uint64_t both = std::uint64_t{b} << 32 | a;
  std::uint32_t out = 0;
  for (int i = 0; i < 4; ++i) {
    out |= static_cast<std::uint32_t>(both >> (8 * (selector >> (4 * i) & 7)) & 0xFF) << (8 * i);
  }
  return out;
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
__device__ __forceinline__ std::uint32_t to_e2m1x2(float low, float high) {
  std::uint16_t r;
  asm("{.reg .b8 t; cvt.rn.satfinite.e2m1x2.f32 t, %1, %2; mov.b16 %0, {t, 0};}" : "=h"(r) : "f"(high), "f"(low));
  return r;
}
/// Two E2M3 or E3M2 codes in two bytes.
template <bool kE3M2>
__device__ __forceinline__ std::uint32_t to_fp6x2(float low, float high) {
  std::uint16_t r;
  if constexpr (kE3M2) {
    asm("cvt.rn.satfinite.e3m2x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.satfinite.e2m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
  }
  return r;
}
#endif

/// The value of an E4M3 byte without sign (0 to 0x7E).
LOWBIT_HD float e4m3_value(std::uint32_t byte) {
  // Mantissa and exponent fields aligned to binary32's, then the biases' difference, 2^120.
  return float_of(byte << 20) * 0x1p120F;
}

// Element formats. scale: 2^-t. steps: log2 of 2^23 steps at 1, which is where the rounding below anchors y.
// first: below it the anchor is the same everywhere, first times 2^steps.
struct E2M1 {
  static constexpr float scale = 0x1p-6F, first = 1.5F, max = 6.0F;
  static constexpr std::int32_t steps = 22;
  static constexpr bool e5m2 = false;
};
struct E2M0 {
  static constexpr float scale = 0x1p-6F, first = 1.75F, max = 4.0F;
  static constexpr std::int32_t steps = 23;
  static constexpr bool e5m2 = false;
};
struct E2M3 {
  static constexpr float scale = 0x1p-6F, first = 1.5F, max = 7.5F;
  static constexpr std::int32_t steps = 20;
  static constexpr bool e5m2 = false;
};
struct E3M2 {
  static constexpr float scale = 0x1p-12F, first = 0.375F, max = 28.0F;
  static constexpr std::int32_t steps = 21;
  static constexpr bool e5m2 = true;
};
struct E4M3 {
  static constexpr float scale = 1.0F, max = 448.0F;
  static constexpr bool e5m2 = false;
};
struct E5M2 {
  static constexpr float scale = 1.0F, max = 57344.0F;
  static constexpr bool e5m2 = true;
};
/// Integers to +-Max.
template <int Max>
struct Int {
  static constexpr float max = Max;
};
using None = void;

/// y (scaled, not negative, below the point where the largest value is no longer the nearest) to
/// the nearest value of the format, ties to the even code.
///
/// The anchor is y's own bits with the exponent raised so far that its last place is the format's step
/// at y (below `first` a constant of the same last place): a multiple of that step, so subtracting y from
/// it rounds y to the step, and subtracting the result from it gives the rounded y, exactly. The rest of
/// y's significand in the anchor does no harm: where y is a tie, it has few digits and the anchor is even.
/// A difference may fall below the anchor's binade, where places are half a step; but then y is within
/// 2^-18 steps above a power of two, which is its rounding either way.
template <class E>
LOWBIT_HD float round_element(float y) {
  // E2M0: codes 2 and 3 (2 and 4) meet at 3, and the even code is the lower: the anchor is odd there.
  constexpr std::int32_t odd = std::is_same_v<E, E2M0> ? 1 : 0;
  constexpr std::int32_t raise = (E::steps << 23) + odd;
  constexpr std::int32_t least = std::bit_cast<std::int32_t>(E::first * E::scale) + (E::steps << 23);
  // One instruction; a float maximum and an addition in its place measured up to 2 % slower on an H100.
  const float anchor = std::bit_cast<float>(larger_sum(std::bit_cast<std::int32_t>(y), raise, least));
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
using If4 = Format<E2M1, Int<7>, false, 6400>;      // 7.5 * 6/7 = 6.43
using If3 = Format<E2M0, Int<3>, false, 4600>;      // 3.5 * 4/3 = 4.67
using If6E2M3 = Format<E2M3, Int<31>, false, 0>;    // the block's amax maps to up to 7.97
using If6E3M2 = Format<E3M2, Int<31>, false, 0>;    // up to 29.75, past 31.5 * 28/31
using Mxfp4 = Format<E2M1, None, false, 0>;
using Mxfp6E2M3 = Format<E2M3, None, false, 0>;
using Mxfp6E3M2 = Format<E3M2, None, false, 0>;
using Mxfp8E4M3 = Format<E4M3, None, false, 0>;
using Mxfp8E5M2 = Format<E5M2, None, false, 0>;
/// NVINT4: integers alone, kept in the place of the integer elements; never float.
struct Nvint4 {
  using F = E2M1;
  using I = Int<7>;
  static constexpr bool adaptive = false, four_over_six = false, nibbles = true, clamps = false;
  static constexpr float limit = 7.4F;
  static constexpr int words = 2;
};

/// R and E of canonical.md, correctly rounded exact ratios.
template <class F>
struct Ratios {
  static constexpr float shrink = 1.0F, expand = 1.0F;
};
template <>
struct Ratios<If4> {
  static constexpr float shrink = static_cast<float>(7.0 / 6.0), expand = static_cast<float>(6.0 / 7.0);
};
template <>
struct Ratios<If3> {
  static constexpr float shrink = 0.75F, expand = static_cast<float>(4.0 / 3.0);
};
template <>
struct Ratios<If6E2M3> {
  static constexpr float shrink = static_cast<float>(62.0 / 15.0), expand = static_cast<float>(15.0 / 62.0);
};
template <>
struct Ratios<If6E3M2> {
  static constexpr float shrink = static_cast<float>(31.0 / 28.0), expand = static_cast<float>(28.0 / 31.0);
};

/// Signs of 16 elements, bit 7 of a byte each. Nibble formats: words 0 and 1 hold the even and odd
/// elements of the first eight, 2 and 3 of the others; else word w holds elements 4w to 4w + 3.
struct Signs {
  std::uint32_t word[4];
};
template <bool kNibbles>
LOWBIT_HD Signs signs_of_pairs(const std::uint32_t (&pair)[8]) {
  Signs s;
LOWBIT_UNROLL
  for (int g = 0; g < 2; ++g) {
    if constexpr (kNibbles) {
      const std::uint32_t t0 = permute(pair[4 * g], pair[4 * g + 1], 0x7351);
      const std::uint32_t t1 = permute(pair[4 * g + 2], pair[4 * g + 3], 0x7351);
      s.word[2 * g] = permute(t0, t1, 0x5410);
      s.word[2 * g + 1] = permute(t0, t1, 0x7632);
    } else {
      s.word[2 * g] = permute(pair[4 * g], pair[4 * g + 1], 0x7531);
      s.word[2 * g + 1] = permute(pair[4 * g + 2], pair[4 * g + 3], 0x7531);
    }
  }
  return s;
}
template <bool kNibbles>
LOWBIT_HD Signs signs_of_floats(const float (&x)[16]) {
  std::uint32_t pair[8];
LOWBIT_UNROLL
  for (int i = 0; i < 8; ++i) pair[i] = permute(bits_of(x[2 * i]), bits_of(x[2 * i + 1]), 0x7632);
  return signs_of_pairs<kNibbles>(pair);
}

/// Codes of magnitudes, before their signs are set and (nibbles) neighbours merged: 8-bit floats whose bits
/// 2 to 4 are E2M1's three, the even elements of a half and the odd ones; or what Blackwell converts to.
template <class F>
inline constexpr int packed_words = F::nibbles && LOWBIT_HARDWARE_FP4 ? 2 : 4;

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
      packed[w] = to_fp6x2<E::e5m2>(q[4 * w] * up, q[4 * w + 1] * up) |
                  to_fp6x2<E::e5m2>(q[4 * w + 2] * up, q[4 * w + 3] * up) << 16;
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
        packed[w] = to_fp8x4<E::e5m2>(q[4 * w], q[4 * w + 1], q[4 * w + 2], q[4 * w + 3]);
      }
    }
  }
}

/// Converted magnitudes and signs to codes in memory order.
template <class E, class F>
LOWBIT_HD void merge(const std::uint32_t (&packed)[packed_words<F>], const Signs& signs, std::uint32_t (&out)[F::words]) {
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
LOWBIT_HD void pack_float(const float (&q)[16], const Signs& signs, std::uint32_t (&out)[F::words]) {
  std::uint32_t packed[packed_words<F>];
  convert<E, F>(q, packed);
  merge<E, F>(packed, signs, out);
}

/// z: magnitudes plus integer_magic, whose low bits are the magnitudes.
template <class I, class F>
LOWBIT_HD void pack_integer(const float (&z)[16], const Signs& signs, std::uint32_t (&out)[F::words]) {
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
      if constexpr (std::is_same_v<I, Int<3>>) {
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

/// What the tensor fixes for every block.
struct TensorScale {
  float amax;                ///< A, as stored
  float scaled_amax;         ///< A'
  float to_range;            ///< x' = fl(x * to_range * to_range2); 1 unless A is out of range
  float to_range2;
  float encode_scale;        ///< S
  float decode_scale;        ///< fl(1 / S)
  float constant;            ///< C
  float constant_reciprocal; ///< fl(1 / C)
  float largest;             ///< Q
  float largest_reciprocal;  ///< fl(1 / Q)
  Selection rule;
};

LOWBIT_HD float power_of_two(int exponent) {
  return exponent >= -126 ? float_of(static_cast<std::uint32_t>(exponent + 127) << 23)
                          : float_of(std::uint32_t{1} << (exponent + 149));
}

LOWBIT_HD TensorScale make_tensor_scale(float amax, float largest, float constant, Selection rule) {
  TensorScale t;
  t.amax = amax;
  t.scaled_amax = amax;
  t.to_range = 1.0F;
  t.to_range2 = 1.0F;
  t.largest = largest;
  t.largest_reciprocal = 1.0F / largest;
  t.constant = constant;
  t.constant_reciprocal = 1.0F / constant;
  t.rule = rule;
  if (amax > 0 && (amax < 0x1p-32F || amax > 0x1p32F)) {
    const std::uint32_t bits = bits_of(amax);
    int k = static_cast<int>(bits >> 23) - 127;
    if (k == -127) {
      k = -118;  // a subnormal: its highest bit
      for (std::uint32_t b = bits; (b & 0x80000000U) == 0; b <<= 1) --k;
    }
    // 2^-k in two factors: up to 2^149 it is no binary32 number, and scaling up is exact.
    t.to_range = power_of_two(-k > 127 ? 127 : -k);
    t.to_range2 = power_of_two(-k > 127 ? -k - 127 : 0);
    t.scaled_amax = amax * t.to_range * t.to_range2;
  }
  t.encode_scale = amax == 0 ? 0.0F : constant / t.scaled_amax;
  t.decode_scale = 1.0F / t.encode_scale;
  return t;
}

/// fl(x / c) as a product and a correction, reciprocal = fl(1 / c); equal to the division for every
/// significand of x and each Q and C in use (tests/gpu/test_gpu_block.cpp tries all of them).
/// Quotients that are subnormal may differ; those of Q give scale 0 all the same, and of C there are
/// none but 0.
LOWBIT_HD float divide_by_constant(float x, float c, float reciprocal) {
  const float q = x * reciprocal;
  const float rest = fused(-c, q, x);
  return fused(rest, reciprocal, q);
}

/// What a scale byte fixes: inv * 2^-t, and g * 2^t with g = fl(fl(s * A') / C), the value of one
/// unit, within two roundings of what the dialect multiplies and divides for each element.
struct ScaleEntry {
  float inverse;
  float unit;
};
template <class F>
LOWBIT_HD ScaleEntry make_scale_entry(const TensorScale& t, std::uint32_t byte) {
  const float s = e4m3_value(byte);
  ScaleEntry e;
  e.inverse = byte == 0 ? 0.0F : (1.0F / (t.decode_scale * s)) * F::F::scale;
  e.unit = s * t.scaled_amax / t.constant * (1.0F / F::F::scale);
  return e;
}

/// The same element by element, in the dialect's own operations: the error of a candidate over 16
/// elements, continued from e.
template <class F, bool kInteger>
LOWBIT_HD_RARE float exact_error(const float* x, const TensorScale& t, std::uint32_t byte, float e) {
  const ScaleEntry entry = make_scale_entry<F>(t, byte);
  const float s = e4m3_value(byte);
#ifdef __CUDA_ARCH__
#pragma unroll 1
#endif
  for (int i = 0; i < 16; ++i) {
    float y = x[i] * entry.inverse;
    float value;
    if constexpr (kInteger) {
      constexpr float magic = integer_magic<typename F::F>;
      y = smaller(y * Ratios<F>::shrink, F::I::max * F::F::scale);
      const float q = ((y + magic) - magic) * (1.0F / F::F::scale);
      value = q * s * t.scaled_amax * Ratios<F>::expand / t.constant;
    } else {
      y = smaller(y, F::F::max * F::F::scale);
      const float q = round_element<typename F::F>(y) * (1.0F / F::F::scale);
      value = q * s * t.scaled_amax / t.constant;
    }
    const float d = value - x[i];
    if (t.rule == Selection::mse) {
      const float square = d * d;
      e = e + square;
    } else {
      e = t.rule == Selection::mae ? e + std::fabs(d) : larger(e, std::fabs(d));
    }
  }
  return e;
}

/// One candidate: its error, and what its codes are packed from (q, or z for integers).
/// kExact: the dialect's own error, operation by operation; else one that is near enough to decide all
/// but near-ties.
template <class F, bool kInteger, bool kClamp, Selection kRule, bool kExact>
LOWBIT_HD float evaluate(const float (&x)[16], const ScaleEntry& entry, const TensorScale& t, std::uint32_t byte,
                         float (&q)[16]) {
  using E = typename F::F;
  float error = 0.0F;
  const float s = kExact ? e4m3_value(byte) * (1.0F / E::scale) : 0.0F;
LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) {
    float y = x[i] * entry.inverse;
    float value;
    if constexpr (kInteger) {
      constexpr float magic = integer_magic<E>;
      if constexpr (Ratios<F>::shrink != 1.0F) y = y * Ratios<F>::shrink;
      if constexpr (kClamp) y = smaller(y, F::I::max * E::scale);
      q[i] = y + magic;
      value = q[i] - magic;
    } else {
      if constexpr (kClamp) y = smaller(y, E::max * E::scale);
      // The conversion that packs the codes rounds these itself.
      constexpr bool converts = std::is_same_v<E, E4M3> || std::is_same_v<E, E5M2> ||
                                (LOWBIT_HARDWARE_FP4 && kRule == Selection::none && !std::is_same_v<E, E2M0>);
      if constexpr (converts) {
        value = y;
      } else {
        value = round_element<E>(y);
      }
      q[i] = value;
    }
    if constexpr (kRule != Selection::none && kExact) {
      float v = value * s * t.scaled_amax;
      if constexpr (kInteger) v = v * Ratios<F>::expand;
      const float d = divide_by_constant(v, t.constant, t.constant_reciprocal) - x[i];
      if constexpr (kRule == Selection::mse) {
        const float square = d * d;
        error = error + square;
      } else {
        error = kRule == Selection::mae ? error + std::fabs(d) : larger(error, std::fabs(d));
      }
    } else if constexpr (kRule != Selection::none) {
      error = add_error<kRule>(error, fused(value, entry.unit, -x[i]), t.rule);
    }
  }
  return error;
}

/// Whether two errors are so near that the dialect's roundings could order them otherwise.
///
/// With u = 2^-24, the fast path's value differs from the dialect's by at most 6 u |v| (float: 4),
/// so its d by 6 u |v| + 2 u |d|. mse: |d^2 - d'^2| <= 6 u (8 d^2 + v^2 / 8) + small, and sums of n
/// squares differ by n u relatively: with |v| <= V, 20 n / 16 u V^2 absolutely for both candidates
/// and (89 + 2 (n - 16)) u relatively, where 32 u (n / 16) and 256 u (512 u for n = 256) are used.
/// mae: 10 n u V and (n + 4) u e; abs_max: 12 u V. Errors that are not finite, or so small that
/// squares might have been subnormal, count as near. docs/gpu.md has the derivation.
template <int kElements>
LOWBIT_HD bool is_near_tie(Selection rule, float error1, float error2, float largest_value) {
  constexpr float n = kElements / 16;
  const float sum = error1 + error2;
  float margin;
  if (rule == Selection::mse) {
    margin = fused(sum, n > 1 ? 0x1p-14F : 0x1p-16F, largest_value * largest_value * (n * 0x1p-19F));
  } else if (rule == Selection::mae) {
    margin = fused(sum, n > 1 ? 0x1p-14F : 0x1p-18F, largest_value * (n * 0x1p-16F));
  } else {
    margin = largest_value * 0x1p-20F;
  }
  return !(std::fabs(error1 - error2) > margin) || !(sum > 0x1p-90F);
}

/// One lane's own block: nothing to combine.
struct Alone {
  static constexpr int elements = 16;
  LOWBIT_HD float sum(float x, Selection) const { return x; }
  template <class Step>
  LOWBIT_HD float chain(Step&& step) const {
    return step(0.0F);
  }
};

/// A block that the fast path leaves to the dialect's own operations, in memory.
template <class F>
struct ExactBlock {
  float x[16];
  Signs signs;
  std::uint32_t out[F::words];
};

/// The choice between the candidates, and the codes of the chosen one, clamped where they must be.
template <class F, class Group>
LOWBIT_HD_RARE bool choose_exactly(ExactBlock<F>& block, const TensorScale& t, std::uint32_t byte,
                                   std::uint32_t byte2, const Group& group) {
  const float error = group.chain([&](float e) { return exact_error<F, false>(block.x, t, byte, e); });
  const float error2 = group.chain([&](float e) { return exact_error<F, F::adaptive>(block.x, t, byte2, e); });
  const bool second = error2 < error;
  float x[16];
  float q[16];
  for (int i = 0; i < 16; ++i) x[i] = block.x[i];
  byte = second ? byte2 : byte;
  const ScaleEntry entry = make_scale_entry<F>(t, byte);
  if constexpr (F::adaptive) {
    if (second) {
      evaluate<F, true, true, Selection::none, false>(x, entry, t, byte, q);
      pack_integer<typename F::I, F>(q, block.signs, block.out);
      return second;
    }
  }
  evaluate<F, false, true, Selection::none, false>(x, entry, t, byte, q);
  pack_float<typename F::F, F>(q, block.signs, block.out);
  return second;
}

/// 16 elements of an NV or IF block whose amax is b (of x'), to codes and the scale byte.
/// Rules that select are given at run time here: the general kernels' (fast::quantize is the fast ones').
/// Group: how the lanes that share a 2D block combine.
/// \return the scale byte, integer flag included
template <class F, Selection kRule, class Group, class Table>
LOWBIT_HD std::uint32_t quantize_nv(const float (&x)[16], const Signs& signs, float b, const TensorScale& t,
                                    const Table& table, const Group& group, bool force_exact,
                                    std::uint32_t (&out)[F::words]) {
  constexpr bool integer_only = std::is_same_v<F, Nvint4>;
  constexpr bool selects = kRule != Selection::none;
  static_assert(!selects || kRule == Selection::at_run_time);
  const float h = divide_by_constant(b, t.largest, t.largest_reciprocal) * t.encode_scale;
  const std::uint32_t bytes = to_fp8x2<false>(h, F::four_over_six && selects ? h * 1.5F : 0.0F);
  const std::uint32_t byte = bytes & 0xFF;
  const ScaleEntry entry = table[byte];
  bool exact = force_exact;
  if constexpr (!F::clamps) exact = exact || !(b * entry.inverse < F::limit * F::F::scale);

  if constexpr (!selects) {
    float q[16];
    if (!exact) {
      evaluate<F, integer_only, F::clamps, kRule, false>(x, entry, t, byte, q);
    } else {
      evaluate<F, integer_only, true, kRule, false>(x, entry, t, byte, q);
    }
    if constexpr (integer_only) {
      pack_integer<typename F::I, F>(q, signs, out);
    } else {
      pack_float<typename F::F, F>(q, signs, out);
    }
    if (byte == 0) {
      for (int w = 0; w < F::words; ++w) out[w] = 0;
    }
    return byte;
  } else {
    constexpr bool adaptive = F::adaptive;
    const std::uint32_t byte2 = adaptive ? byte : bytes >> 8;
    const ScaleEntry entry2 = adaptive ? ScaleEntry{entry.inverse, entry.unit * Ratios<F>::expand} : table[byte2];
    // Candidate 4 maps b to 4, and from 5 on to 6.
    if constexpr (!adaptive) exact = exact || !(b * entry2.inverse < 4.9F * F::F::scale);

    std::uint32_t packed[packed_words<F>];
    std::uint32_t packed2[packed_words<F>];
    float error;
    float error2;
    {
      float q[16];
      error = evaluate<F, false, F::clamps, kRule, false>(x, entry, t, byte, q);
      convert<typename F::F, F>(q, packed);
      error2 = evaluate<F, adaptive, F::clamps, kRule, false>(x, entry2, t, byte2, q);
      if constexpr (adaptive) {
        pack_integer<typename F::I, F>(q, signs, out);
      } else {
        convert<typename F::F, F>(q, packed2);
      }
    }
    error = group.sum(error, t.rule);
    error2 = group.sum(error2, t.rule);
    bool second = error2 < error;
    const float largest_value = adaptive ? F::F::max * F::F::scale * entry.unit
                                         : larger(6.0F * F::F::scale * entry.unit, 4.0F * F::F::scale * entry2.unit);
    exact = exact || is_near_tie<Group::elements>(t.rule, error, error2, largest_value);
    if constexpr (adaptive) {
      std::uint32_t floats[F::words];
      merge<typename F::F, F>(packed, signs, floats);
LOWBIT_UNROLL
      for (int w = 0; w < F::words; ++w) out[w] = second ? out[w] : floats[w];
    } else {
LOWBIT_UNROLL
      for (int w = 0; w < packed_words<F>; ++w) packed[w] = second ? packed2[w] : packed[w];
      merge<typename F::F, F>(packed, signs, out);
    }
    if (exact && b != 0) {
      ExactBlock<F> block;
      for (int i = 0; i < 16; ++i) block.x[i] = x[i];
      block.signs = signs;
      second = choose_exactly(block, t, byte, byte2, group);
      for (int w = 0; w < F::words; ++w) out[w] = block.out[w];
    }
    const std::uint32_t chosen = second ? byte2 : byte;
    if (chosen == 0) {
LOWBIT_UNROLL
      for (int w = 0; w < F::words; ++w) out[w] = 0;
    }
    return adaptive && second ? chosen | 0x80 : chosen;
  }
}

/// The fast path of the selecting rules: 1D blocks, decided where a cheap error decides for certain.
///
/// Errors are taken in units of the (float, or for NVFP4 the first) candidate's step 1: no element but y is
/// needed, and in the IF formats both candidates share y, so that no unit is needed either.
namespace fast {

/// Below this y (of the block's amax) the fast path applies: nothing has to be clamped, or where a format
/// clamps, its errors are bounded.
template <class F>
inline constexpr float limit = F::clamps ? (F::F::e5m2 ? 30.0F : 8.0F) : F::limit;

/// Errors that differ by no more than this (for NVFP4 in units of candidate 4's step 1) might be ordered otherwise
/// by the dialect's roundings; docs/gpu.md derives it. V: the largest value, D: the largest |d|, in steps of 1.
template <class F, Selection kRule>
LOWBIT_HD constexpr float margin() {
  constexpr double u = 0x1p-24;
  constexpr double v = F::F::max;
  constexpr double d = F::F::e5m2 ? 2.0 : (F::clamps ? 0.5 : 1.0);
  constexpr double scale = F::F::scale;
  // 2 candidates, and a quarter for what is of second order and for the margin's own rounding.
  if (kRule == Selection::mse) return static_cast<float>(2.5 * 16 * (16 * d * v + 54 * d * d) * u * scale * scale);
  if (kRule == Selection::mae) return static_cast<float>(2.5 * 16 * (8 * v + 45 * d) * u * scale);
  return static_cast<float>(2.5 * (8 * v + 10 * d) * u * scale);
}

/// What a scale byte fixes.
template <class F, Selection kRule>
struct Entry {
  float inverse;  ///< inv * 2^-t
};
/// NVFP4: what makes errors of the two candidates comparable; NaN for byte 0, whose blocks are never decided here.
template <Selection kRule>
struct Entry<Nvfp4, kRule> {
  float inverse;
  float weight;
};
/// The dialect's values of the largest code of either candidate, which all clamped elements get.
template <class F>
struct alignas(16) LargestEntry {
  float inverse;
  float largest_float;
  float largest_integer;
};
template <>
struct Entry<If6E2M3, Selection::abs_max> : LargestEntry<If6E2M3> {};
template <>
struct Entry<If6E3M2, Selection::abs_max> : LargestEntry<If6E3M2> {};

template <class F, Selection kRule>
inline constexpr bool compares_largest = F::clamps && kRule == Selection::abs_max;

template <class F, Selection kRule>
LOWBIT_HD Entry<F, kRule> make_entry(const TensorScale& t, std::uint32_t byte) {
  const ScaleEntry both = make_scale_entry<F>(t, byte);
  Entry<F, kRule> e;
  e.inverse = both.inverse;
  if constexpr (F::four_over_six) {
    e.weight = kRule == Selection::mse ? both.unit * both.unit : both.unit;
    if (byte == 0) e.weight = float_of(0x7FC00000U);
  }
  if constexpr (compares_largest<F, kRule>) {
    const float s = e4m3_value(byte);
    e.largest_float = F::F::max * s * t.scaled_amax / t.constant;
    e.largest_integer = F::I::max * s * t.scaled_amax * Ratios<F>::expand / t.constant;
  }
  return e;
}

/// The part of TensorScale that every block needs.
struct Tensor {
  float largest, largest_reciprocal, encode_scale;
};

/// \return byte | byte2 << 8
template <class F>
LOWBIT_HD std::uint32_t scale_bytes(const Tensor& t, float b) {
  const float h = divide_by_constant(b, t.largest, t.largest_reciprocal) * t.encode_scale;
  return to_fp8x2<false>(h, F::four_over_six ? h * 1.5F : 0.0F);
}

/// A candidate's error over 16 elements, unrolled.
template <Selection kRule>
struct Error {
  float all = 0.0F;
  float held[2];  // abs_max: three maxima for four elements

  LOWBIT_HD void add(int i, float d) {
    if constexpr (kRule != Selection::abs_max) {
      all = add_error<kRule>(all, d, kRule);
    } else {
      float& pair = held[i / 2 % 2];
      pair = i % 2 == 0 ? d : larger(std::fabs(pair), std::fabs(d));
      if (i % 4 == 3) all = largest_of(all, held[0], held[1]);
    }
  }
};

/// Float candidate: y to packed codes; its error.
template <class F, Selection kRule>
LOWBIT_HD float evaluate_float(const float (&y)[16], std::uint32_t (&packed)[packed_words<F>]) {
  using E = typename F::F;
  float q[16];
  Error<kRule> error;
LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) {
    const float clamped = F::clamps ? smaller(y[i], E::max * E::scale) : y[i];
    q[i] = round_element<E>(clamped);
    // abs_max: elements that are clamped are compared by themselves (quantize).
    error.add(i, q[i] - (compares_largest<F, kRule> ? clamped : y[i]));
  }
  convert<E, F>(q, packed);
  return error.all;
}

/// Integer candidate: z as pack_integer takes it; its error.
template <class F, Selection kRule>
LOWBIT_HD float evaluate_integer(const float (&y)[16], float (&z)[16]) {
  using E = typename F::F;
  constexpr float magic = integer_magic<E>;
  Error<kRule> error;
LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) {
    // The largest float value times R rounds to the largest integer, so this clamps either.
    const float clamped = F::clamps ? smaller(y[i], E::max * E::scale) : y[i];
    z[i] = clamped * Ratios<F>::shrink + magic;
    const float n = z[i] - magic;
    error.add(i, fused(n, Ratios<F>::expand, -(compares_largest<F, kRule> ? clamped : y[i])));
  }
  return error.all;
}

/// One block.
/// x: its elements (signs are ignored), b: their largest magnitude, table: an Entry a scale byte.
/// \return whether it was decided; else `out` and `byte` are not what they should be, or (elements all finite and none
/// to be clamped, errors too near) the first candidate's
template <class F, Selection kRule, class Table>
LOWBIT_HD bool quantize(const float (&x)[16], const Signs& signs, float b, const Tensor& t, const Table& table,
                        std::uint32_t (&out)[F::words], std::uint32_t& byte) {
  using E = typename F::F;
  const std::uint32_t bytes = scale_bytes<F>(t, b);
  const std::uint32_t first = bytes & 0xFF;
  const Entry<F, kRule> entry = table[first];
  const float top = b * entry.inverse;
  bool decided = top < limit<F> * E::scale;
  bool second;
  float y[16];
LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) y[i] = std::fabs(x[i]) * entry.inverse;
  std::uint32_t packed[packed_words<F>];
  if constexpr (F::four_over_six) {
    const float error = evaluate_float<F, kRule>(y, packed);
    const std::uint32_t other = bytes >> 8;
    const Entry<F, kRule> entry2 = table[other];
LOWBIT_UNROLL
    for (int i = 0; i < 16; ++i) y[i] = std::fabs(x[i]) * entry2.inverse;
    std::uint32_t packed2[packed_words<F>];
    const float error2 = evaluate_float<F, kRule>(y, packed2) * entry2.weight;
    const float difference = fused(error, entry.weight, -error2);
    const float near = margin<F, kRule>() * entry2.weight;
    decided = (decided && std::fabs(difference) > near) || bytes == 0;
    second = difference > near;  // a tie is the first's, and most of what is near is one
LOWBIT_UNROLL
    for (int w = 0; w < packed_words<F>; ++w) packed[w] = second ? packed2[w] : packed[w];
    merge<E, F>(packed, signs, out);
    byte = second ? other : first;
  } else {
    float z[16];
    const float error2 = evaluate_integer<F, kRule>(y, z);
    pack_integer<typename F::I, F>(z, signs, out);
    const float error = evaluate_float<F, kRule>(y, packed);
    float difference = error - error2;
    constexpr float near = margin<F, kRule>();
    bool certain = std::fabs(difference) > near;
    second = difference > 0.0F;
    if constexpr (compares_largest<F, kRule>) {
      // Elements clamped to the largest code err by b less its value, and b itself by most. Where that exceeds the
      // others' errors under both candidates, both errors are known exactly.
      const float excess = top - E::max * E::scale;
      const float worst = larger(error, excess);
      const float worst2 = larger(error2, excess);
      difference = worst - worst2;
      const bool clamped_decide = excess > larger(error, error2) + near;
      certain = std::fabs(difference) > near || clamped_decide;
      const float exact = std::fabs(entry.largest_float - b) - std::fabs(entry.largest_integer - b);
      second = (clamped_decide ? exact : difference) > 0.0F;
    }
    decided = (decided && certain) || first == 0;
    second = second && first != 0;
    std::uint32_t floats[F::words];
    merge<E, F>(packed, signs, floats);
LOWBIT_UNROLL
    for (int w = 0; w < F::words; ++w) out[w] = second ? out[w] : floats[w];
    byte = first;
  }
  if (byte == 0) {
LOWBIT_UNROLL
    for (int w = 0; w < F::words; ++w) out[w] = 0;
  }
  if (F::adaptive && second) byte |= 0x80;
  return decided;
}

/// Whether blocks that `quantize` leaves undecided are mostly exact ties (NVFP4 abs_max: 3 % of a normal tensor's blocks).
template <class F, Selection kRule>
inline constexpr bool ties = F::four_over_six && kRule == Selection::abs_max;

/// Whether an undecided block of such a rule is the first candidate's for certain, as `quantize` left it.
///
/// An element that code times scale makes the same number under both candidates (6 s and 4 (1.5 s) say; the product is
/// exact) errs by the same in the dialect, operation by operation. So the second candidate can only win by an element that
/// is no such one, and whose error under the first candidate exceeds all errors under the second.
template <class F, Selection kRule, class Table>
LOWBIT_HD bool is_first(const float (&x)[16], float b, const Tensor& t, const Table& table) {
  using E = typename F::F;
  const std::uint32_t bytes = scale_bytes<F>(t, b);
  const Entry<F, kRule> entry = table[bytes & 0xFF];
  const Entry<F, kRule> entry2 = table[bytes >> 8];
  const float s = e4m3_value(bytes & 0xFF);
  const float s2 = e4m3_value(bytes >> 8);
  Error<kRule> error;  // of the elements that differ
  Error<kRule> error2;
LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) {
    const float y = std::fabs(x[i]) * entry.inverse;
    const float y2 = std::fabs(x[i]) * entry2.inverse;
    const float q = round_element<E>(y);
    const float q2 = round_element<E>(y2);
    error.add(i, q * s == q2 * s2 ? 0.0F : q - y);
    error2.add(i, q2 - y2);
  }
  const float difference = fused(error.all, entry.weight, -(error2.all * entry2.weight));
  return b * entry.inverse < limit<F> * E::scale && difference < -(margin<F, kRule>() * entry2.weight);
}

/// The same block in the dialect's own operations, whatever it is. x: magnitudes.
template <class F, Selection kRule>
LOWBIT_HD std::uint32_t quantize_exactly(const float (&x)[16], const Signs& signs, float b, const TensorScale& t,
                                         std::uint32_t (&out)[F::words]) {
  using E = typename F::F;
  const std::uint32_t bytes = scale_bytes<F>({t.largest, t.largest_reciprocal, t.encode_scale}, b);
  std::uint32_t byte = bytes & 0xFF;
  const std::uint32_t byte2 = F::adaptive ? byte : bytes >> 8;
  ScaleEntry entry = make_scale_entry<F>(t, byte);
  const ScaleEntry entry2 = F::adaptive ? entry : make_scale_entry<F>(t, byte2);
  float q[16];
  const float error = evaluate<F, false, true, kRule, true>(x, entry, t, byte, q);
  const float error2 = evaluate<F, F::adaptive, true, kRule, true>(x, entry2, t, byte2, q);
  const bool second = error2 < error;
  if constexpr (F::adaptive) {
    pack_integer<typename F::I, F>(q, signs, out);
  } else {
    byte = second ? byte2 : byte;
    entry = second ? entry2 : entry;
  }
  if (!F::adaptive || !second) {
    evaluate<F, false, true, Selection::none, false>(x, entry, t, byte, q);
    pack_float<E, F>(q, signs, out);
  }
  if (byte == 0) {
    for (int w = 0; w < F::words; ++w) out[w] = 0;
  }
  return F::adaptive && second ? byte | 0x80 : byte;
}

}  // namespace fast

enum class MxRule : int { floor = 0, rceil = 1, ceil = 2, even = 3, rceil_4 = 4 };

template <class F>
struct MxTraits;
template <>
struct MxTraits<Mxfp4> {
  static constexpr int emax = 2, mantissa = 1;
  static constexpr std::uint32_t significand = 0xC00000;
};
template <>
struct MxTraits<Mxfp6E2M3> {
  static constexpr int emax = 2, mantissa = 3;
  static constexpr std::uint32_t significand = 0xF00000;
};
template <>
struct MxTraits<Mxfp6E3M2> {
  static constexpr int emax = 4, mantissa = 2;
  static constexpr std::uint32_t significand = 0xE00000;
};
template <>
struct MxTraits<Mxfp8E4M3> {
  static constexpr int emax = 8, mantissa = 3;
  static constexpr std::uint32_t significand = 0xE00000;
};
template <>
struct MxTraits<Mxfp8E5M2> {
  static constexpr int emax = 15, mantissa = 2;
  static constexpr std::uint32_t significand = 0xE00000;
};

/// The E8M0 byte of a block with amax b, 0 for b = 0.
template <class F>
LOWBIT_HD std::uint32_t mx_scale_byte(float b, MxRule rule) {
  using T = MxTraits<F>;
  const std::uint32_t bits = bits_of(b);
  if (bits == 0) return 0;
  int exponent = static_cast<int>(bits >> 23) - 127;
  std::uint32_t significand = (bits & 0x7FFFFFU) | 0x800000U;
  if (exponent == -127) {
    exponent = -126;
    significand = bits;
    while (significand < 0x800000U) {
      significand <<= 1;
      --exponent;
    }
  }
  int e = exponent - T::emax;
  if (rule == MxRule::ceil) e += significand != 0x800000U;
  if (rule == MxRule::rceil) e += significand > T::significand;
  if (rule == MxRule::rceil_4) e += significand > 0x800000U;  // MXFP4: 4 = 2^emax
  if (rule == MxRule::even) {
    e = static_cast<int>((bits + (1U << (22 - T::mantissa))) >> 23) - 127 - T::emax;
  }
  e = e < -127 ? -127 : (e > 127 ? 127 : e);
  return static_cast<std::uint32_t>(e + 127);
}

/// 16 elements of an MX block with that scale byte.
template <class F>
LOWBIT_HD void quantize_mx(const float (&x)[16], const Signs& signs, std::uint32_t byte,
                           std::uint32_t (&out)[F::words]) {
  const float multiplier = power_of_two(127 - static_cast<int>(byte)) * F::F::scale;
  float q[16];
  evaluate<F, false, true, Selection::none, false>(x, {multiplier, 0.0F}, TensorScale{}, 0, q);
  pack_float<typename F::F, F>(q, signs, out);
}

}  // namespace lowbit::gpu::detail
