// SPDX-License-Identifier: MIT
// Elements to codes, a vector at a time. Compiled once per target.
#if defined(LOWBIT_ELEMENTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_ELEMENTS_INL
#undef LOWBIT_ELEMENTS_INL
#else
#define LOWBIT_ELEMENTS_INL
#endif

#include <bit>

#include "quantize/element_rounding.hpp"
#include "quantize/vector/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

/// E2M1 of a magnitude below 7. With u = 2^max(floor(log2 |y|), 0) the grid around y has steps of
/// u / 2. K u is a multiple of u / 2 in [2^22 u, 2^23 u), where neighbouring floats are u / 2
/// apart: fl(K u + |y|) is the number of steps, rounded to nearest even, in the low bits. K u is
/// exact, so a fused operation and two operations give the same.
struct E2m1Rounding {
  /// 2^22 + 2^20 - 1: in units of u / 2 the low bits are k - 2, and the exponent field, at bit 23,
  /// is floor(log2 u) + 149. The code is 2 log2(u) + k, so bits + (bits >> 22) has it in the
  /// lowest three bits: k - 2 + 2 (log2(u) + 149) + 0 = code + 296, and 296 is a multiple of 8.
  static constexpr float constant = 5242879.0F;
  VF unit;     ///< u
  VF rounded;  ///< fl(K u + |y|)

  HWY_INLINE explicit E2m1Rounding(VF magnitude)
      : unit(hn::Max(float_of(hn::And(bits_of(magnitude), set_bits(0x7F800000U))), set(1.0F))),
        rounded(hn::MulAdd(unit, set(constant), magnitude)) {}
  /// The element's magnitude, exactly.
  HWY_INLINE VF value() const { return hn::NegMulAdd(unit, set(constant), rounded); }
};

/// From the bits of E2m1Rounding::rounded (or of integer_rounded()) to the code; other bits are not
/// cleared.
HWY_INLINE VU code_bits(VU rounded) {
  return hn::Add(rounded, hn::ShiftRight<22>(rounded));
}

/// The low bits that `mask` names (7 or 15) of the code, with the sign of x in bit 3 where it is
/// not among them.
HWY_INLINE VU with_sign(VU code, VF x, std::uint32_t mask = 7) {
  return select_bits(set_bits(mask), code, hn::ShiftRight<28>(bits_of(x)));
}

/// Integers to nearest even by adding 2^23 + 2^20 + 4, whose last bit is 0: the low bits are k + 4.
/// Of the sum, bits >> 22 is 300 for every k from -7 to 7, so code_bits() gives k + 304, and 304 is
/// a multiple of 16: k in two's complement.
inline constexpr float integer_aligner = 8388608.0F + 1048576.0F + 4.0F;
HWY_INLINE VF integer_rounded(VF y) {
  return hn::Add(y, set(integer_aligner));
}
HWY_INLINE VF integer_value(VF rounded) {
  return hn::Sub(rounded, set(integer_aligner));
}

/// A negative zero of y loses its sign where the dialect drops it.
template <bool keeps_zero_sign>
HWY_INLINE VF sign_source(VF x, VF y) {
  if constexpr (keeps_zero_sign) return x;
  return hn::IfThenZeroElse(hn::Eq(y, hn::Zero(DF())), x);
}

/// |y| + aligner, whose low three bits are E2M1's code: one step fewer than E2m1Rounding and
/// code_bits() where a permutation finds the aligner.
/// \param y  of a magnitude below 7
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
  return code_bits(bits_of(E2m1Rounding(hn::Abs(y)).rounded));
#endif
}

/// Elements of E2M1. \tparam clamps  whether |y| may be 7 or more
template <bool keeps_zero_sign, bool clamps>
struct E2m1Elements {
  static constexpr const ElementFormat& format = e2m1;
  static constexpr bool is_packed = true;
  static constexpr float largest = 6.0F;
  static HWY_INLINE VU codes(VF x, VF inverse) {
    const VF y = hn::Mul(x, inverse);
    const VF clamped = clamps ? hn::Min(hn::Abs(y), set(largest)) : y;
    return with_sign(e2m1_rounded_code(clamped), sign_source<keeps_zero_sign>(x, y));
  }
};

/// Elements of INT4; |y| is below 7.5.
struct Int4Elements {
  static constexpr const ElementFormat& format = int4;
  static constexpr bool is_packed = true;
  static HWY_INLINE VU codes(VF x, VF inverse) {
    // 2^23 + 2^22: the low bits are k in two's complement.
    const VU rounded = bits_of(hn::Add(hn::Mul(x, inverse), set(12582912.0F)));
    return hn::And(rounded, set_bits(15));
  }
};

/// Floating-point elements whose codes take a byte each: nearest_even_code(), a vector at a time.
template <const ElementFormat& Format, bool keeps_zero_sign>
struct ByteElements {
  static constexpr const ElementFormat& format = Format;
  static constexpr bool is_packed = false;
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
