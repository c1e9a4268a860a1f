// SPDX-License-Identifier: MIT
/// \file
/// What the codes of an element or scale format mean: one constexpr record per format, everything
/// else derived from it. Encoding only: how a real number becomes a code is conversion.hpp, and
/// in which order a block quantizer computes is dialect.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lowbit {

/// How a code is laid out.
enum class Coding : std::uint8_t {
  floating,         ///< sign, exponent field, mantissa field
  twos_complement,  ///< integers; the most negative code is read but never written by quantizers
  sign_magnitude,   ///< integers; the sign bit alone reads as 0
};

/// Which codes are not finite numbers.
enum class Specials : std::uint8_t {
  none,          ///< every code is a finite number
  nan_all_ones,  ///< all exponent and mantissa bits set is NaN; no infinity (E4M3FN, E8M0)
  ieee,          ///< top exponent field: mantissa 0 is infinity, anything else NaN
};

/// One format. A code is an unsigned integer below 2^bits; bits above are ignored by decoders.
/// Sources: OCP MX v1.0 section 5.3 (FP8, FP6, FP4, INT8, E8M0), docs/formats.md (the
/// others).
struct ElementFormat {
  std::string_view name;  ///< lower case, as the command spells it
  int bits;               ///< of a code, sign included
  int exponent_bits;      ///< 0 for integers
  int mantissa_bits;      ///< explicit ones; for integers the magnitude bits
  int bias;               ///< value exponent = field - bias; 0 for integers
  bool is_signed;         ///< whether the top bit is a sign
  Specials specials;      ///< which codes are not finite
  Coding coding;          ///< how a code is laid out
  bool has_zero = true;   ///< exponent field 0 is zero and subnormals; false for E8M0, E6M2

  /// Whether codes are integers.
  [[nodiscard]] constexpr bool is_integer() const { return coding != Coding::floating; }
  /// Powers of two without sign, mantissa or zero, as E8M0.
  [[nodiscard]] constexpr bool is_exponent_only() const {
    return !is_integer() && !is_signed && mantissa_bits == 0 && !has_zero;
  }
  /// How many codes there are, 2^bits; for formats below 32 bits.
  [[nodiscard]] constexpr std::uint32_t code_count() const { return std::uint32_t{1} << bits; }
  /// The bits of a code.
  [[nodiscard]] constexpr std::uint32_t code_mask() const {
    return static_cast<std::uint32_t>((std::uint64_t{1} << bits) - 1);
  }
  /// The sign bit; 0 for unsigned formats.
  [[nodiscard]] constexpr std::uint32_t sign_mask() const {
    return is_signed ? std::uint32_t{1} << (bits - 1) : 0;
  }
  /// All bits but the sign.
  [[nodiscard]] constexpr std::uint32_t magnitude_mask() const {
    return code_mask() & ~sign_mask();
  }
  /// Exponent of the smallest normal number and of every subnormal.
  [[nodiscard]] constexpr int min_exponent() const {
    return is_integer() ? 0 : (has_zero ? 1 - bias : -bias);
  }
  /// Exponent of the last place of the smallest numbers: every value is a multiple of 2^this.
  [[nodiscard]] constexpr int unit_exponent() const {
    return is_integer() ? 0 : min_exponent() - mantissa_bits;
  }
  /// Code of the largest finite number.
  [[nodiscard]] constexpr std::uint32_t max_code() const {
    if (is_integer() || specials == Specials::none) return magnitude_mask();
    if (specials == Specials::nan_all_ones) return magnitude_mask() - 1;
    return (((std::uint32_t{1} << exponent_bits) - 1) << mantissa_bits) - 1;
  }
  /// Exponent of the largest finite number: it lies in [2^this, 2^(this+1)).
  [[nodiscard]] constexpr int max_exponent() const {
    return is_integer() ? mantissa_bits - 1 : static_cast<int>(max_code() >> mantissa_bits) - bias;
  }
  /// A quiet NaN, or 0 where the format has none (has_nan() is false).
  [[nodiscard]] constexpr std::uint32_t nan_code() const {
    if (specials == Specials::nan_all_ones) return magnitude_mask();
    if (specials != Specials::ieee) return 0;
    return magnitude_mask() ^ ((std::uint32_t{1} << (mantissa_bits - 1)) - 1);
  }
  /// Whether some code is NaN.
  [[nodiscard]] constexpr bool has_nan() const { return specials != Specials::none; }
  /// Whether some code is infinite.
  [[nodiscard]] constexpr bool has_infinity() const { return specials == Specials::ieee; }
  /// Positive infinity, where there is one.
  [[nodiscard]] constexpr std::uint32_t infinity_code() const { return max_code() + 1; }

  /// Whether all fields are equal.
  friend constexpr bool operator==(const ElementFormat& a, const ElementFormat& b) {
    return a.name == b.name;
  }
};

// name, bits, exponent bits, mantissa bits, bias, signed, specials, coding
/// FP3: 0, 1, 2, 4.
inline constexpr ElementFormat e2m0{"e2m0", 3, 2, 0, 1, true, Specials::none, Coding::floating};
/// FP4 of NVFP4 and MXFP4: 0, 0.5, 1, 1.5, 2, 3, 4, 6.
inline constexpr ElementFormat e2m1{"e2m1", 4, 2, 1, 1, true, Specials::none, Coding::floating};
/// Sign, one bit before the binary point, two behind it: quarters from 0 to 1.75, of HiF4.
inline constexpr ElementFormat s1p2{"s1p2", 4, 1, 2, 1, true, Specials::none, Coding::floating};
/// FP6, largest 7.5.
inline constexpr ElementFormat e2m3{"e2m3", 6, 2, 3, 1, true, Specials::none, Coding::floating};
/// FP6, largest 28.
inline constexpr ElementFormat e3m2{"e3m2", 6, 3, 2, 3, true, Specials::none, Coding::floating};
/// FP8 (E4M3FN), largest 448: elements, and scales of NV and IF formats.
inline constexpr ElementFormat e4m3{"e4m3",          8, 4, 3, 7, true, Specials::nan_all_ones,
                                    Coding::floating};
/// FP8, largest 57344.
inline constexpr ElementFormat e5m2{"e5m2", 8, 5, 2, 15, true, Specials::ieee, Coding::floating};
/// E4M3 without a sign: the scales of tensor cores.
inline constexpr ElementFormat ue4m3{"ue4m3",         7, 4, 3, 7, false, Specials::nan_all_ones,
                                     Coding::floating};
/// No sign, no infinity; 2^-17 to 114688: the scales of AMD-FP4.
inline constexpr ElementFormat ue5m3{"ue5m3",         8, 5, 3, 15, false, Specials::nan_all_ones,
                                     Coding::floating};
/// Powers of two, 2^-127 to 2^127: the scales of MX.
inline constexpr ElementFormat e8m0{
    "e8m0", 8, 8, 0, 127, false, Specials::nan_all_ones, Coding::floating, false};
/// 2^-48 to 49152 without a zero: the scales of HiF4.
inline constexpr ElementFormat e6m2{"e6m2",           8,    6, 2, 48, false, Specials::nan_all_ones,
                                    Coding::floating, false};
/// -4 to 3.
inline constexpr ElementFormat int3{
    "int3", 3, 0, 2, 0, true, Specials::none, Coding::twos_complement};
/// -8 to 7.
inline constexpr ElementFormat int4{
    "int4", 4, 0, 3, 0, true, Specials::none, Coding::twos_complement};
/// -31 to 31, sign and magnitude.
inline constexpr ElementFormat int6{
    "int6", 6, 0, 5, 0, true, Specials::none, Coding::sign_magnitude};
/// -128 to 127.
inline constexpr ElementFormat int8{
    "int8", 8, 0, 7, 0, true, Specials::none, Coding::twos_complement};
// Wide formats: inputs, accumulators and tensor-core operands.
/// IEEE binary16.
inline constexpr ElementFormat f16{"f16", 16, 5, 10, 15, true, Specials::ieee, Coding::floating};
/// bfloat16.
inline constexpr ElementFormat bf16{"bf16", 16, 8, 7, 127, true, Specials::ieee, Coding::floating};
/// TF32 in 19 bits.
inline constexpr ElementFormat tf32{"tf32", 19, 8, 10, 127, true, Specials::ieee, Coding::floating};
/// IEEE binary32.
inline constexpr ElementFormat f32{"f32", 32, 8, 23, 127, true, Specials::ieee, Coding::floating};

/// The element and scale formats, narrow ones first, in the order in which the command lists them.
[[nodiscard]] std::span<const ElementFormat* const> element_formats();
/// The record of that name, or nullptr.
[[nodiscard]] const ElementFormat* find_element_format(std::string_view name);

/// What kind of number a code stands for.
enum class NumberClass : std::uint8_t { zero, finite, infinity, nan };

/// A decoded code: (-1)^negative * significand * 2^exponent where number_class is finite.
/// The significand is the stored one, not normalised: subnormals keep their leading zeros, and
/// exponent is that of the code's last place.
struct Number {
  NumberClass number_class = NumberClass::zero;  ///< the kind of number
  bool negative = false;                         ///< the sign, of zeros and infinities too
  std::uint32_t significand = 0;                 ///< 0 unless finite
  int exponent = 0;                              ///< of two
};

/// The meaning of a code. Total: bits above format.bits are ignored. Thread-safe, constexpr.
[[nodiscard]] constexpr Number decode(const ElementFormat& format, std::uint32_t code) {
  code &= format.code_mask();
  Number n;
  n.negative = (code & format.sign_mask()) != 0;
  std::uint32_t magnitude = code & format.magnitude_mask();
  if (format.is_integer()) {
    if (n.negative && format.coding == Coding::twos_complement) {
      magnitude = format.sign_mask() - magnitude;
    }
    n.significand = magnitude;
    n.number_class = magnitude == 0 ? NumberClass::zero : NumberClass::finite;
    return n;
  }
  if (magnitude > format.max_code()) {
    n.number_class = format.has_infinity() && magnitude == format.infinity_code()
                         ? NumberClass::infinity
                         : NumberClass::nan;
    return n;
  }
  const std::uint32_t field = magnitude >> format.mantissa_bits;
  const std::uint32_t hidden = std::uint32_t{1} << format.mantissa_bits;
  n.significand = magnitude & (hidden - 1);
  n.exponent = format.unit_exponent();
  if (field != 0 || !format.has_zero) {
    n.significand |= hidden;
    // A format with zero shares exponent 1 - bias between the subnormals and field 1.
    n.exponent += static_cast<int>(field) - (format.has_zero ? 1 : 0);
  }
  n.number_class = n.significand == 0 ? NumberClass::zero : NumberClass::finite;
  return n;
}

/// The value of a code that is a finite number, in constant expressions. Exact where it is a normal
/// binary32 number, as for every format of at most 8 bits but E8M0's 2^-127.
[[nodiscard]] constexpr float finite_value(const ElementFormat& format, std::uint32_t code) {
  const Number n = decode(format, code);
  float value = static_cast<float>(n.significand);
  for (int e = n.exponent; e < 0; ++e) value /= 2;
  for (int e = n.exponent; e > 0; --e) value *= 2;
  return n.negative ? -value : value;
}
/// The largest finite value.
[[nodiscard]] constexpr float largest_finite(const ElementFormat& format) {
  return finite_value(format, format.max_code());
}

/// The code's value as a double: exact for every format here. Signed zeros, infinities and a quiet
/// NaN come out as such.
[[nodiscard]] double to_double(const ElementFormat& format, std::uint32_t code);
/// The code's value as a float: exact (E8M0's 2^-127 and FP32's subnormals included).
[[nodiscard]] float to_float(const ElementFormat& format, std::uint32_t code);

}  // namespace lowbit
