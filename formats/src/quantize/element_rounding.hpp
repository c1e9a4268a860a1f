// SPDX-License-Identifier: MIT
// The element conversions of the block engine, a block at a time and specialised on the format.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "lowbit/conversion.hpp"
#include "lowbit/input_type.hpp"

namespace lowbit::detail {

/// 2^exponent as a float, for normal results.
constexpr float power_of_two(int exponent) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(exponent + 127) << 23);
}

/// The finite value of every code; NaN and infinity codes read as 0 (quantizers never emit them).
template <const ElementFormat& Format>
constexpr auto make_value_table() {
  std::array<float, std::size_t{1} << Format.bits> table{};
  for (std::uint32_t code = 0; code < table.size(); ++code) {
    const Number n = decode(Format, code);
    if (n.number_class != NumberClass::finite && n.number_class != NumberClass::zero) continue;
    const float magnitude = static_cast<float>(n.significand) * power_of_two(n.exponent);
    table[code] =
        n.negative && !(Format.is_integer() && magnitude == 0.0F) ? -magnitude : magnitude;
  }
  return table;
}

template <const ElementFormat& Format>
inline constexpr auto value_table = make_value_table<Format>();

template <const ElementFormat& Format>
constexpr std::uint8_t signed_code(std::uint32_t magnitude, std::uint32_t sign_bit) {
  if constexpr (Format.coding == Coding::twos_complement) {
    return static_cast<std::uint8_t>((sign_bit != 0 ? 0U - magnitude : magnitude) &
                                     Format.code_mask());
  } else if constexpr (Format.coding == Coding::sign_magnitude) {
    const std::uint32_t sign = sign_bit & static_cast<std::uint32_t>(magnitude != 0);
    return static_cast<std::uint8_t>(magnitude | sign << (Format.bits - 1));
  } else {
    return static_cast<std::uint8_t>(magnitude | sign_bit << (Format.bits - 1));
  }
}

/// To nearest, ties to the even code, saturating, the sign of zero kept (floats): the same codes as
/// from_float with the default policy, without a branch per element.
template <const ElementFormat& Format>
constexpr std::uint8_t nearest_even_code(float y) {
  const auto bits = std::bit_cast<std::uint32_t>(y);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  const float absolute = std::bit_cast<float>(magnitude);
  // Adding 2^(23 + unit) leaves the multiple of 2^unit nearest to the value in the low bits.
  const auto aligned = [](float v) {
    const float aligner = power_of_two(23 + Format.unit_exponent());
    return std::bit_cast<std::uint32_t>(v + aligner) - std::bit_cast<std::uint32_t>(aligner);
  };
  if constexpr (Format.is_integer()) {
    constexpr float largest = static_cast<float>(Format.max_code());
    return signed_code<Format>(aligned(absolute < largest ? absolute : largest), bits >> 31);
  } else {
    // Fields of both formats are consecutive integers, so a carry comes out right; the parity of
    // the code is that of the kept bits because the difference of the biases (in units of the last
    // place) is even.
    constexpr int dropped = 23 - Format.mantissa_bits;
    constexpr std::uint32_t rebias = static_cast<std::uint32_t>(127 - Format.bias)
                                     << Format.mantissa_bits;
    static_assert(rebias % 2 == 0);
    const std::uint32_t odd = (magnitude >> dropped) & 1U;
    const std::uint32_t normal =
        ((magnitude + ((1U << (dropped - 1)) - 1U) + odd) >> dropped) - rebias;
    constexpr float smallest_normal = power_of_two(Format.min_exponent());
    const bool subnormal = absolute < smallest_normal;
    const std::uint32_t code = subnormal ? aligned(absolute) : normal;
    return signed_code<Format>(std::min(code, Format.max_code()), bits >> 31);
  }
}

/// E2M1's fields cut out of a BF16 value of 2 * n, as bit arithmetic that was made for 0 to 6 does.
inline std::uint8_t wrapped_e2m1_code(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value) >> 16;
  const std::uint32_t exponent = (bits >> 7 & 0xFFU) - 126U;
  return static_cast<std::uint8_t>((bits >> 15 << 3 | exponent << 1 | (bits >> 6 & 1U)) & 0xFU);
}

/// Stochastic rounding by jitter: u - 0.5 is added to |y| in steps, then half to even. E2M1's step
/// follows from |y| before; nothing above the largest element.
template <const ElementFormat& Format>
std::uint8_t jittered_code(float y, float random) {
  const float jitter = random - 0.5F;
  const float magnitude = std::fabs(y);
  const std::uint32_t sign = y < 0.0F ? 1 : 0;
  if constexpr (Format == e2m1) {
    float q = 0.0F;
    if (magnitude < 2.0F) {
      const float sum = 2.0F * magnitude + jitter;
      if (sum < 0.0F) return y > 0.0F || y == 0.0F ? 8 : 0;
      q = std::nearbyint(sum) / 2.0F;
    } else if (magnitude < 4.0F) {
      q = std::nearbyint(magnitude + jitter);
    } else {
      q = std::min(2.0F * std::nearbyint(magnitude / 2.0F + jitter), 6.0F);
    }
    return signed_code<Format>(from_float(Format, q) & Format.magnitude_mask(), sign);
  } else {
    constexpr float largest = static_cast<float>(value_table<Format>[Format.max_code()]);
    const float jittered = std::clamp(magnitude + jitter, -largest, largest);
    // Below zero only to -0.5, which rounds to zero.
    const std::uint32_t code =
        from_float(Format, std::nearbyint(jittered)) & Format.magnitude_mask();
    return signed_code<Format>(code, sign);
  }
}

/// E2M1 with 8 random bits: |y| plus that part of the step at |y|, rounded down to a step. Above
/// the largest element, and for NaN, the largest; NaN is positive.
inline std::uint8_t eight_bit_code(float y, float random) {
  const float magnitude = std::fabs(y);
  const float step = magnitude < 2.0F ? 0.5F : (magnitude < 4.0F ? 1.0F : 2.0F);
  const float dither = std::floor(random * 256.0F) / 256.0F;
  const float t = std::fma(dither, step, magnitude);
  if (std::isnan(t)) return static_cast<std::uint8_t>(e2m1.max_code());
  const float after = t < 2.0F ? 0.5F : (t < 4.0F ? 1.0F : 2.0F);
  const float q = std::min(std::floor(t / after) * after, 6.0F);
  return signed_code<e2m1>(from_float(e2m1, q) & e2m1.magnitude_mask(), std::signbit(y) ? 1 : 0);
}

/// Toward zero in steps of the binade that log2(|y|), rounded to binary32, names: just below a
/// power of two that is the binade above.
template <const ElementFormat& Format>
std::uint8_t truncated_code(float y) {
  const float magnitude = std::fabs(y);
  if (!std::isfinite(y) || magnitude == 0.0F)
    return static_cast<std::uint8_t>(from_float(Format, y));
  const auto binade =
      static_cast<int>(std::floor(static_cast<float>(std::log2(double{magnitude}))));
  const int exponent = std::max(binade, Format.min_exponent()) - Format.mantissa_bits;
  const double q = std::ldexp(std::floor(std::ldexp(double{magnitude}, -exponent)), exponent);
  return static_cast<std::uint8_t>(from_double(Format, std::copysign(q, double{y})));
}

/// The first code whose |fl(y - q)| is least; positive codes come first.
template <const ElementFormat& Format>
std::uint8_t least_difference_code(float y) {
  std::uint32_t best = 0;
  float least = std::fabs(y);
  for (std::uint32_t code = 1; code < Format.code_count(); ++code) {
    const float d = std::fabs(y - value_table<Format>[code]);
    if (d < least) {
      least = d;
      best = code;
    }
  }
  return static_cast<std::uint8_t>(best);
}

/// To nearest in steps of the binade that log2(|y|), rounded to the input's type, names; half is
/// added in that type, so that values just below a half may become one.
template <const ElementFormat& Format>
std::uint8_t typed_code(float y, InputType type, bool ties_to_even) {
  const float magnitude = std::fabs(y);
  if (!std::isfinite(y) || magnitude == 0.0F)
    return static_cast<std::uint8_t>(from_float(Format, y));
  const float log2 = round_to_input_type(static_cast<float>(std::log2(double{magnitude})), type);
  const int exponent =
      std::max(static_cast<int>(std::floor(log2)), Format.min_exponent()) - Format.mantissa_bits;
  const float steps = std::ldexp(magnitude, -exponent);
  float n = std::floor(round_to_input_type(steps + 0.5F, type));
  if (ties_to_even && std::fmod(round_to_input_type(steps - 0.5F, type), 2.0F) == 0.0F) n -= 1.0F;
  return static_cast<std::uint8_t>(
      from_double(Format, std::copysign(std::ldexp(double{n}, exponent), double{y})));
}

}  // namespace lowbit::detail
