// SPDX-License-Identifier: MIT
/// \file
/// How a real number becomes a code: one integer routine, round_pack, for every format, with the
/// policy (rounding, overflow, NaN, sign of zero) apart from the encoding.
#pragma once

#include <cstdint>

#include "lowbit/element_format.hpp"

namespace lowbit {

/// How a value between two codes is rounded.
enum class Rounding : std::uint8_t {
  nearest_even,         ///< ties to the even code
  nearest_away,         ///< ties away from zero
  nearest_toward_zero,  ///< ties toward zero
  toward_zero,          ///< truncation
  stochastic,           ///< up iff u < (|x| - lo) / (hi - lo), exactly, for a given u in [0, 1)
};

/// What a value beyond the largest finite number becomes.
enum class Overflow : std::uint8_t {
  saturate,  ///< to the largest finite number, infinities too
  infinity,  ///< to infinity where the format has one, else NaN where it has one, else saturate.
             ///< A value overflows when, rounded with an unbounded exponent, it exceeds the largest
             ///< finite one; truncation never overflows unless the input is infinite.
};

/// What NaN becomes.
enum class NanResult : std::uint8_t {
  nan_or_max,   ///< the format's NaN; the largest number where it has none (cuda_fp4.hpp: NaN ->
                ///< +max)
  nan_or_zero,  ///< the format's NaN; 0 where it has none
};

/// How a conversion rounds, and what it does with values that do not fit.
struct ConversionPolicy {
  Rounding rounding = Rounding::nearest_even;  ///< between two neighbouring codes
  Overflow overflow = Overflow::saturate;      ///< beyond the largest finite number
  NanResult nan = NanResult::nan_or_max;       ///< for a NaN input
  /// Whether results that are zero keep the sign of the input (-0 and negatives that round to 0).
  bool keep_zero_sign = true;
};

/// An exact value: (-1)^negative * significand * 2^exponent, not necessarily normalised. A caller
/// whose value has more bits keeps two below the target's last place and ORs a 1 into the lowest
/// one when anything nonzero was dropped ("jamming"). Every rounding except the stochastic one
/// gives the same result for the jammed value as for the exact one.
struct Exact {
  bool negative = false;          ///< the sign
  std::uint64_t significand = 0;  ///< 0 for zero
  int exponent = 0;               ///< of two, of the significand's last place
};

/// Rounds an exact value to a code of the format.
/// Integer formats clamp to +-max (never the most negative two's complement code) and have no
/// negative zero. Unsigned formats turn negative values into code 0, as E8M0 does anything below
/// 2^-127. A NaN result is always the positive one.
/// Thread-safe, no allocation.
/// \param format  of the code
/// \param value  the exact value
/// \param policy  rounding, overflow, NaN and the sign of zero
/// \param random  u in [0, 1), used by Rounding::stochastic only.
[[nodiscard]] constexpr std::uint32_t round_pack(const ElementFormat& format, const Exact& value,
                                                 const ConversionPolicy& policy = {},
                                                 float random = 0.0F);

/// A float to a code: exact input, one rounding.
[[nodiscard]] constexpr std::uint32_t from_float(const ElementFormat& format, float value,
                                                 const ConversionPolicy& policy = {},
                                                 float random = 0.0F);
/// A double to a code: one rounding, never through float.
[[nodiscard]] constexpr std::uint32_t from_double(const ElementFormat& format, double value,
                                                  const ConversionPolicy& policy = {},
                                                  float random = 0.0F);

}  // namespace lowbit

#include "lowbit/detail/conversion_inl.hpp"
