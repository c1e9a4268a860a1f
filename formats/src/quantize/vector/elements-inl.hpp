// SPDX-License-Identifier: MIT
// Elements to codes, a vector at a time. Compiled once per target.
#if defined(LOWBIT_ELEMENTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_ELEMENTS_INL
#undef LOWBIT_ELEMENTS_INL
#else
#define LOWBIT_ELEMENTS_INL
#endif

#include <bit>
#include <limits>

#include "quantize/element_rounding.hpp"
#include "quantize/vector/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

/// A magnitude rounded to a floating-point element of m > 0 mantissa bits, to nearest even. With
/// u = 2^max(floor(log2 |y|), e), e the exponent of the smallest normal element, the grid around y
/// has steps of u / 2^m. K u is a multiple of such a step in [2^(23 - m) u, 2^(24 - m) u), where
/// neighbouring floats are a step apart: fl(K u + |y|) is the number k of steps in the low bits. K
/// u is exact, so a fused operation and two operations give the same.
template <const ElementFormat& Format>
struct FloatRounding {
  static constexpr int m = Format.mantissa_bits;
  static_assert(m > 0 && Format.min_exponent() <= 0);
  /// In units of a step K is 2^23 + 2^(22 - m) - d, so the low bits are k - d, and the exponent
  /// field, at bit 23, is log2(u) + 150 - m. The code is 2^m (log2(u) - e) + k, so
  /// bits + (bits >> (23 - m)) is the code - d + 2^m (e + 150 - m) in the low bits: d makes the
  /// constants a multiple of 2^(bits - 1). It is even, so ties go to the even k.
  static constexpr int d = ((Format.min_exponent() + 150 - m) << m) & Format.magnitude_mask();
  static_assert(d % 2 == 0);
  static constexpr float constant =
      static_cast<float>((1 << 23) + (1 << (22 - m)) - d) / static_cast<float>(1 << m);
  static constexpr float largest = value_table<Format>[Format.max_code()];
  /// Of a block that a kernel serves, |y| is at most 17/16 of the largest element: whether that
  /// could round to the next element, if there were one.
  static constexpr bool clamps =
      largest * 17 / 16 >= 1.5F * largest - 0.5F * value_table<Format>[Format.max_code() - 1];

  VF magnitude;  ///< |y|; where it clamps, at most the largest element
  VF unit;       ///< u
  VF rounded;    ///< fl(K u + |y|)

  HWY_INLINE explicit FloatRounding(VF y) : magnitude(y) {
    if constexpr (clamps) magnitude = hn::Min(magnitude, set(largest));
    const VF power = float_of(hn::And(bits_of(magnitude), set_bits(0x7F800000U)));
    unit = hn::Max(power, set(power_of_two(Format.min_exponent())));
    rounded = hn::MulAdd(unit, set(constant), magnitude);
  }
  /// The element's magnitude, exactly.
  HWY_INLINE VF value() const { return hn::NegMulAdd(unit, set(constant), rounded); }
  HWY_INLINE VU word() const { return bits_of(rounded); }
  /// From word() to the magnitude's code; other bits are not cleared.
  static HWY_INLINE VU code(VU word) { return hn::Add(word, hn::ShiftRight<23 - m>(word)); }
};

/// A magnitude rounded to 0, 1, 2 or 4.
struct E2m0Rounding {
  VF steps;  ///< 0, 1, 2 or 3: the code
  VF step;   ///< 1 where the value is 4, else 0
  /// \param to_two  the largest magnitude that does not become 2: 1.5 or the number below it
  HWY_INLINE E2m0Rounding(VF magnitude, float to_two) {
    const VF one = set(1.0F);
    step = hn::IfThenElseZero(hn::Gt(magnitude, set(3.0F)), one);
    steps = hn::Add(hn::IfThenElseZero(hn::Gt(magnitude, set(0.5F)), one),
                    hn::IfThenElseZero(hn::Gt(magnitude, set(to_two)), one));
    steps = hn::Add(steps, step);
  }
  HWY_INLINE VF value() const { return hn::Add(steps, step); }
  /// The code is in the lowest two bits.
  HWY_INLINE VU word() const { return bits_of(hn::Add(steps, set(8388608.0F))); }
};

/// The low bits of the code that `mask` names, with the sign of x in the highest of `bits` bits
/// where it is not among them.
template <int bits = 4>
HWY_INLINE VU with_sign(VU code, VF x, VU mask = set_bits((1U << (bits - 1)) - 1)) {
  return select_bits(mask, code, hn::ShiftRight<32 - bits>(bits_of(x)));
}

/// A negative zero of y loses its sign where the dialect drops it.
template <bool keeps_zero_sign>
HWY_INLINE VF sign_source(VF x, VF y) {
  if constexpr (keeps_zero_sign) return x;
  return hn::IfThenZeroElse(hn::Eq(y, hn::Zero(DF())), x);
}

/// |y| + aligner, whose low three bits are E2M1's code: one step fewer than FloatRounding where a
/// permutation finds the aligner. \param y  of a magnitude below 7
HWY_INLINE VU e2m1_rounded_code(VF y) {
#if LOWBIT_IS_AVX512
  // By the low four bits of the exponent field, for magnitudes in [2^-12, 8): the power of two
  // above which floats are as far apart as elements are around y, and what the code counts from. 2
  // to 4: steps of 1, code 2 + k. 4 to 8: steps of 2, code 4 + k. Below 2: steps of 1/2, code k.
  // Magnitudes below 2^-12 round to 0, as 2^-12 does.
  constexpr int largest_magnitude_without_sign = 0xB;
  const VF raised{_mm512_range_ps(y.raw, _mm512_set1_ps(0x1p-12F), largest_magnitude_without_sign)};
  const __m512 table =
      _mm512_set_ps(0x1p22F, 0x1p22F, 0x1p22F, 0x1p22F, 0x1p22F, 0x1p22F, 0x1p22F, 0x1p22F, 0x1p22F,
                    0x1p22F, 0x1p22F, 0x1p22F, 0x1p22F, 0x1p22F, 0x1p24F + 8.0F, 0x1p23F + 2.0F);
  const VU exponent = hn::ShiftRight<23>(bits_of(raised));
  return bits_of(hn::Add(raised, VF{_mm512_permutexvar_ps(exponent.raw, table)}));
#else
  using Rounding = FloatRounding<e2m1>;
  return Rounding::code(Rounding(hn::Abs(y)).word());
#endif
}

/// Elements have `reach`: codes() is right where |y| is below it.
inline constexpr float any_magnitude = std::numeric_limits<float>::infinity();

/// Elements of E2M1. \tparam clamps  whether |y| may be 7 or more
template <bool keeps_zero_sign, bool clamps>
struct E2m1Elements {
  static constexpr const ElementFormat& format = e2m1;
  static constexpr bool is_packed = true;
  static constexpr float largest = 6.0F;
  static constexpr float reach = clamps ? any_magnitude : 7.0F;
  static HWY_INLINE VU codes(VF x, VF inverse) {
    const VF y = hn::Mul(x, inverse);
    const VF clamped = clamps ? hn::Min(hn::Abs(y), set(largest)) : y;
    return with_sign(e2m1_rounded_code(clamped), sign_source<keeps_zero_sign>(x, y));
  }
};

/// 2^23 + 2^22: the low bits of the sum are the nearest integer in two's complement.
inline constexpr float signed_integer_aligner = 12582912.0F;

/// Elements in two's complement. \tparam clamps  whether |y| may round to more than the largest
template <const ElementFormat& Format, bool clamps>
struct SignedIntegers {
  static constexpr const ElementFormat& format = Format;
  static constexpr bool is_packed = Format.bits == 4;
  static constexpr float reach =
      clamps ? any_magnitude : value_table<Format>[Format.max_code()] + 0.5F;
  static HWY_INLINE VU codes(VF x, VF inverse) {
    constexpr float largest = value_table<Format>[Format.max_code()];
    VF y = hn::Mul(x, inverse);
    if constexpr (clamps) y = hn::Max(hn::Min(y, set(largest)), set(-largest));
    const VU rounded = bits_of(hn::Add(y, set(signed_integer_aligner)));
    return hn::And(rounded, set_bits(Format.code_mask()));
  }
};

/// A sign without a magnitude is not written.
template <int bits>
HWY_INLINE VU without_negative_zero(VU code) {
  const VU zero = set_bits(1U << (bits - 1));
  return hn::IfThenZeroElse(hn::Eq(code, zero), code);
}

/// Elements with a sign and a magnitude, a byte each.
template <const ElementFormat& Format>
struct MagnitudeIntegers {
  static constexpr const ElementFormat& format = Format;
  static constexpr bool is_packed = false;
  static constexpr float reach = any_magnitude;
  static HWY_INLINE VU codes(VF x, VF inverse) {
    constexpr float largest = value_table<Format>[Format.max_code()];
    const VF magnitude = hn::Min(hn::Abs(hn::Mul(x, inverse)), set(largest));
    const VU rounded = bits_of(hn::Add(magnitude, set(8388608.0F)));
    return without_negative_zero<Format.bits>(with_sign<Format.bits>(rounded, x));
  }
};

/// Floating-point elements whose codes take a byte each: nearest_even_code(), a vector at a time.
template <const ElementFormat& Format, bool keeps_zero_sign>
struct ByteElements {
  static constexpr const ElementFormat& format = Format;
  static constexpr bool is_packed = false;
  static constexpr float reach = any_magnitude;
  static HWY_INLINE VU codes(VF x, VF inverse) {
    constexpr int dropped = 23 - Format.mantissa_bits;
    constexpr std::uint32_t half = (std::uint32_t{1} << (dropped - 1)) - 1;
    constexpr std::uint32_t rebias = static_cast<std::uint32_t>(127 - Format.bias)
                                     << Format.mantissa_bits;
    constexpr float largest = value_table<Format>[Format.max_code()];
    constexpr float aligner = power_of_two(23 + Format.unit_exponent());
    const VF y = hn::Mul(x, inverse);
    const VF magnitude = hn::Min(hn::Abs(y), set(largest));
    const VU bits = bits_of(magnitude);
    const VU odd = hn::And(hn::ShiftRight<dropped>(bits), set_bits(1));
    const VU normal = hn::Sub(hn::ShiftRight<dropped>(hn::Add(hn::Add(bits, set_bits(half)), odd)),
                              set_bits(rebias));
    const VU subnormal = hn::Sub(bits_of(hn::Add(magnitude, set(aligner))),
                                 set_bits(std::bit_cast<std::uint32_t>(aligner)));
    const auto is_subnormal =
        hn::RebindMask(DU(), hn::Lt(magnitude, set(power_of_two(Format.min_exponent()))));
    const VU code = hn::IfThenElse(is_subnormal, subnormal, normal);
    const VU sign = hn::And(bits_of(sign_source<keeps_zero_sign>(x, y)), set_bits(0x80000000U));
    return hn::Or(code, hn::ShiftRight<32 - Format.bits>(sign));
  }
};

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
