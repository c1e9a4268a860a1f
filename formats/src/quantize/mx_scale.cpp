// SPDX-License-Identifier: MIT
#include "quantize/mx_scale.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace lowbit::detail {
namespace {

/// The last exponent of the elements: their largest value lies in [2^this, 2^(this + 1)).
int largest_exponent(const BlockFormat& format) {
  return format.element->max_exponent() + format.element_exponent;
}

int least_exponent_without_clipping(const TensorConstants& t, float b) {
  const double largest = std::ldexp(double{t.largest_element}, t.format->element_exponent);
  int e = std::ilogb(b) - std::ilogb(largest);
  if (double{b} > std::ldexp(largest, e)) ++e;
  return e;
}

/// Exponent of b rounded half up to the element's mantissa, on the bits as they are.
int exponent_of_rounded(const BlockFormat& format, float b) {
  // Integers have one bit before the point: their fraction is one bit short of the magnitude.
  const int mantissa_bits =
      format.element->is_integer() ? -format.element_exponent : format.element->mantissa_bits;
  const auto bits = std::bit_cast<std::uint32_t>(b) + (std::uint32_t{1} << (22 - mantissa_bits));
  return static_cast<int>(bits >> 23) - 127;
}

/// The exponent field of the rounded quotient, one more where its mantissa is not 0.
std::uint8_t byte_of_quotient(const TensorConstants& t, float b) {
  const float quotient = t.dialect->mx_scale == MxScale::divided ? b / t.largest_element
                                                                 : b * (1.0F / t.largest_element);
  const auto bits = std::bit_cast<std::uint32_t>(quotient);
  return static_cast<std::uint8_t>((bits >> 23) + ((bits & 0x7FFFFFU) != 0 ? 1U : 0U));
}

}  // namespace

std::uint8_t mx_scale_byte(const TensorConstants& t, float b) {
  if (b == 0.0F) return 0;
  if (t.dialect->mx_scale != MxScale::exact) return byte_of_quotient(t, b);
  const int emax = largest_exponent(*t.format);
  int e = 0;
  switch (t.rule) {
    case ScaleRule::ceil:
      e = std::ilogb(b) - emax + (std::ldexp(1.0F, std::ilogb(b)) != b ? 1 : 0);
      break;
    case ScaleRule::even:
      e = exponent_of_rounded(*t.format, b) - emax;
      break;
    case ScaleRule::static_6:
    case ScaleRule::static_4:
    case ScaleRule::rceil:
    case ScaleRule::optimal:  // where the search begins
    case ScaleRule::search:
      e = least_exponent_without_clipping(t, b);
      break;
    default:
      e = std::ilogb(b) - emax;
      break;
  }
  return static_cast<std::uint8_t>(std::clamp(e, -127, 127) + 127);
}

}  // namespace lowbit::detail
