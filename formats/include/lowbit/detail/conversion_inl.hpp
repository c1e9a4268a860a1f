// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "lowbit/conversion.hpp"

namespace lowbit {
namespace detail {

/// Place of the highest set bit; value must not be 0. (nvcc takes std::countl_zero for a constant
/// in device code: the builtin behind it does not exist there.)
constexpr int top_bit(std::uint64_t value) {
#ifdef __CUDA_ARCH__
  if (!std::is_constant_evaluated()) return 63 - __clzll(static_cast<long long>(value));
#endif
  return 63 - std::countl_zero(value);
}

/// Whether u < rest / 2^shift, exactly; u in [0, 1), rest > 0, shift > 0.
constexpr bool random_below(float u, std::uint64_t rest, int shift) {
  const auto bits = std::bit_cast<std::uint32_t>(u);
  const int field = static_cast<int>(bits >> 23);
  const std::uint64_t m = (bits & 0x7FFFFFU) | (field != 0 ? 0x800000U : 0U);
  // u = m * 2^(max(field, 1) - 150), so the question is m * 2^scale < rest.
  const int scale = (field != 0 ? field : 1) - 150 + shift;
  if (m == 0) return true;
  if (scale >= 0) return scale < 64 && m <= ((rest - 1) >> scale);
  return scale <= -64 || (m >> -scale) < rest;
}

/// Whether a kept integer goes up by one when the part `rest` / 2^shift of a unit is dropped.
constexpr bool rounds_up(Rounding rounding, bool odd, std::uint64_t rest, int shift, float random) {
  if (shift <= 0 || rest == 0) return false;
  if (rounding == Rounding::stochastic) return random_below(random, rest, shift);
  if (rounding == Rounding::toward_zero || shift > 64) return false;  // shift > 64: below a half
  const std::uint64_t half = std::uint64_t{1} << (shift - 1);
  if (rest != half) return rest > half;
  if (rounding == Rounding::nearest_even) return odd;
  return rounding == Rounding::nearest_away;
}

constexpr std::uint32_t overflow_code(const ElementFormat& format, bool negative,
                                      Overflow overflow) {
  if (negative && !format.is_signed) return 0;
  const std::uint32_t sign = negative ? format.sign_mask() : 0;
  if (overflow == Overflow::infinity && format.has_infinity()) return sign | format.infinity_code();
  if (overflow == Overflow::infinity && format.has_nan()) return format.nan_code();
  if (negative && format.coding == Coding::twos_complement) {
    return (0U - format.max_code()) & format.code_mask();
  }
  return sign | format.max_code();
}

constexpr std::uint32_t nan_result(const ElementFormat& format, NanResult result) {
  if (format.has_nan()) return format.nan_code();
  return result == NanResult::nan_or_max ? format.max_code() : 0;
}

}  // namespace detail

constexpr std::uint32_t round_pack(const ElementFormat& format, const Exact& value,
                                   const ConversionPolicy& policy, float random) {
  const std::uint32_t sign = value.negative ? format.sign_mask() : 0;
  const std::uint32_t zero = policy.keep_zero_sign && !format.is_integer() ? sign : 0;
  if (value.significand == 0) return zero;
  if (value.negative && !format.is_signed) return 0;

  // The value lies in [2^top, 2^(top+1)); the kept integer counts units of 2^unit.
  const int top = detail::top_bit(value.significand) + value.exponent;
  if (top > format.max_exponent() + 1) {
    if (policy.rounding == Rounding::toward_zero) {
      return detail::overflow_code(format, value.negative, Overflow::saturate);
    }
    return detail::overflow_code(format, value.negative, policy.overflow);
  }
  const int lowest = format.unit_exponent();
  const int unit = format.is_integer() || top - format.mantissa_bits < lowest
                       ? lowest
                       : top - format.mantissa_bits;
  const int shift = unit - value.exponent;
  std::uint64_t kept = 0;
  std::uint64_t rest = 0;
  if (shift <= 0) {
    kept = value.significand << -shift;
  } else if (shift < 64) {
    kept = value.significand >> shift;
    rest = value.significand & ((std::uint64_t{1} << shift) - 1);
  } else {
    rest = value.significand;
  }

  // Codes of one sign are consecutive integers: adding the exponent field to the kept integer
  // (which carries the hidden bit) makes a carry out of the significand come out right.
  const auto code_of = [&](std::uint64_t k) {
    const auto field = static_cast<std::uint64_t>(unit - lowest) << format.mantissa_bits;
    if (format.is_integer()) return k;
    // Without zero and subnormals code 0 is the hidden bit alone.
    const std::uint64_t hidden = std::uint64_t{1} << format.mantissa_bits;
    return format.has_zero ? k + field : (k < hidden ? 0 : k - hidden) + field;
  };
  const bool odd = (code_of(kept) & 1) != 0;
  kept += detail::rounds_up(policy.rounding, odd, rest, shift, random) ? 1 : 0;
  const std::uint64_t magnitude = code_of(kept);
  if (magnitude > format.max_code()) {
    const bool truncates = policy.rounding == Rounding::toward_zero;
    return detail::overflow_code(format, value.negative,
                                 truncates ? Overflow::saturate : policy.overflow);
  }
  const auto code = static_cast<std::uint32_t>(magnitude);
  if (code == 0) return zero;
  if (value.negative && format.coding == Coding::twos_complement) {
    return (0U - code) & format.code_mask();
  }
  return sign | code;
}

constexpr std::uint32_t from_double(const ElementFormat& format, double value,
                                    const ConversionPolicy& policy, float random) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const bool negative = (bits >> 63) != 0;
  const int field = static_cast<int>((bits >> 52) & 0x7FF);
  const std::uint64_t mantissa = bits & ((std::uint64_t{1} << 52) - 1);
  if (field == 0x7FF) {
    return mantissa != 0 ? detail::nan_result(format, policy.nan)
                         : detail::overflow_code(format, negative, policy.overflow);
  }
  const std::uint64_t significand = field != 0 ? mantissa | std::uint64_t{1} << 52 : mantissa;
  return round_pack(format, {negative, significand, (field != 0 ? field : 1) - 1075}, policy,
                    random);
}

constexpr std::uint32_t from_float(const ElementFormat& format, float value,
                                   const ConversionPolicy& policy, float random) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool negative = (bits >> 31) != 0;
  const int field = static_cast<int>((bits >> 23) & 0xFF);
  const std::uint32_t mantissa = bits & 0x7FFFFFU;
  if (field == 0xFF) {
    return mantissa != 0 ? detail::nan_result(format, policy.nan)
                         : detail::overflow_code(format, negative, policy.overflow);
  }
  const std::uint32_t significand = field != 0 ? mantissa | 0x800000U : mantissa;
  return round_pack(format, {negative, significand, (field != 0 ? field : 1) - 150}, policy,
                    random);
}

}  // namespace lowbit
