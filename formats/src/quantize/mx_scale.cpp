// SPDX-License-Identifier: MIT
#include "quantize/mx_scale.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "lowbit/approximate.hpp"

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

bool has_typed_range(const Dialect& d) {
  return d.mx_range == MxRange::typed_x86 || d.mx_range == MxRange::typed_cuda;
}

/// The same on the bits of a half number: above 57344 its exponent field is that of infinity, and a
/// subnormal number is 2^-14 or nothing.
int exponent_of_rounded_half(float b, int mantissa_bits) {
  const float carry = std::ldexp(1.0F, -mantissa_bits - 1);
  if (b >= 0x1p16F - 0x1p15F * carry) return 128;
  if (b >= 0x1p-14F) {
    const int e = std::ilogb(b);
    return b >= std::ldexp(2.0F - carry, e) ? e + 1 : e;
  }
  return b >= 0x1p-14F - 0x1p-14F * carry ? -14 : -127;
}

/// Exponent of b rounded half up to the element's mantissa, on the bits as they are.
int exponent_of_rounded(const TensorConstants& t, float b) {
  const BlockFormat& format = *t.format;
  // Integers have one bit before the point: their fraction is one bit short of the magnitude.
  int mantissa_bits =
      format.element->is_integer() ? -format.element_exponent : format.element->mantissa_bits;
  if (t.dialect->mx_even_bits == MxEvenBits::one) mantissa_bits = 1;
  if (has_typed_range(*t.dialect) && t.input_type == InputType::float16) {
    return exponent_of_rounded_half(b, mantissa_bits);
  }
  const auto bits = std::bit_cast<std::uint32_t>(b) + (std::uint32_t{1} << (22 - mantissa_bits));
  return static_cast<int>(bits >> 23 & 0xFFU) - 127;
}

/// b over the largest element, as the dialect divides.
float quotient(const TensorConstants& t, float b) {
  const float largest =
      static_cast<float>(std::ldexp(double{t.largest_element}, t.format->element_exponent));
  switch (t.dialect->mx_scale) {
    case MxScale::reciprocal:
    case MxScale::least_reciprocal:
    case MxScale::log2_reciprocal:
      return b * (1.0F / largest);
    case MxScale::least_typed:
    case MxScale::log2_typed:
      return round_to_input_type(b / largest, t.input_type);
    default:
      return b / largest;
  }
}

/// The exponent field of the rounded quotient, one more where its mantissa is not 0.
std::uint8_t byte_of_quotient(const TensorConstants& t, float b, bool up) {
  const auto bits = std::bit_cast<std::uint32_t>(quotient(t, b));
  return static_cast<std::uint8_t>((bits >> 23) + (up && (bits & 0x7FFFFFU) != 0 ? 1U : 0U));
}

/// log2 rounded once to binary32: a few units below a power of two it is that power's.
float rounded_log2(float b) {
  return static_cast<float>(std::log2(double{b}));
}

/// The exponent by logarithms: not finite where b is 0, infinite or NaN.
float exponent_by_log2(const TensorConstants& t, float b) {
  if (t.dialect->mx_scale == MxScale::log2_floor_typed) {
    return std::floor(round_to_input_type(rounded_log2(b), t.input_type)) -
           static_cast<float>(largest_exponent(*t.format));
  }
  if (t.dialect->mx_scale == MxScale::log2_floor) {
    return std::floor(rounded_log2(b)) - static_cast<float>(largest_exponent(*t.format));
  }
  float q = t.dialect->mx_scale == MxScale::log2_full_division ? div_full(b, t.largest_element)
                                                               : quotient(t, b);
  if (t.dialect->mx_range == MxRange::from_1e_10) {
    q = std::max(q, round_to_input_type(1e-10F, t.input_type));
  }
  float l = rounded_log2(q);
  if (t.dialect->mx_scale == MxScale::log2_typed) l = round_to_input_type(l, t.input_type);
  return std::ceil(l);
}

/// Whether the dialect finds the exponent of that rule by logarithms.
bool uses_log2(const Dialect& d, ScaleRule rule) {
  switch (d.mx_scale) {
    case MxScale::log2_divided:
    case MxScale::log2_reciprocal:
    case MxScale::log2_full_division:
      return rule == ScaleRule::rceil || rule == ScaleRule::static_6;
    case MxScale::log2_floor:
    case MxScale::log2_floor_typed:
      return rule == ScaleRule::floor;
    case MxScale::log2_typed:
      return true;
    default:
      return false;
  }
}

/// The least e with q <= 2^e; q is not negative.
int least_exponent(float q) {
  if (q == 0.0F) return -149;
  if (std::isinf(q)) return 128;
  const int e = std::ilogb(q);
  return std::ldexp(1.0F, e) == q ? e : e + 1;
}

int exponent_by_rule(const TensorConstants& t, float b) {
  const int emax = largest_exponent(*t.format);
  const bool is_finite = std::isfinite(b);
  // The exponent field of 0 is that of subnormal numbers.
  const int exponent = b == 0.0F ? -127 : is_finite ? std::ilogb(b) : 128;
  switch (t.rule) {
    case ScaleRule::ceil:
      return exponent - emax + (is_finite && b != 0.0F && std::ldexp(1.0F, exponent) != b ? 1 : 0);
    case ScaleRule::even:
      return exponent_of_rounded(t, b) - emax;
    case ScaleRule::static_6:
    case ScaleRule::static_4:
    case ScaleRule::rceil:
    case ScaleRule::optimal:  // where the search begins
    case ScaleRule::search:
      if (b == 0.0F) return -127;
      return is_finite ? least_exponent_without_clipping(t, b) : 127;
    default:
      return exponent - emax;
  }
}

}  // namespace

namespace {

/// 2^e, e at least -127, in the type of the input. It is infinite where the rounded amax is.
float typed_scale(const TensorConstants& t, int e) {
  if (e + largest_exponent(*t.format) >= 128) return std::numeric_limits<float>::infinity();
  return round_to_input_type(std::ldexp(1.0F, std::max(e, -127)), t.input_type);
}

/// The exponent before it is cut to a byte.
int unclamped_exponent(const TensorConstants& t, float b) {
  const MxScale scale = t.dialect->mx_scale;
  if (scale == MxScale::least_reciprocal || scale == MxScale::least_typed) {
    return least_exponent(quotient(t, b));
  }
  if (uses_log2(*t.dialect, t.rule)) {
    return static_cast<int>(std::clamp(exponent_by_log2(t, b), -300.0F, 300.0F));
  }
  return exponent_by_rule(t, b);
}

}  // namespace

std::uint8_t mx_scale_byte(const TensorConstants& t, float b) {
  const Dialect& d = *t.dialect;
  if (std::isinf(b)) {
    switch (d.mx_infinity) {
      case MxInfinity::largest:
      case MxInfinity::largest_flushed:
        return 254;
      case MxInfinity::smallest:
      case MxInfinity::divided:
        return 0;
      case MxInfinity::divided_nan_byte:
      case MxInfinity::nan_byte:
        return 255;
      case MxInfinity::fields:
        break;
    }
  }
  if (std::isnan(b) && d.mx_nan != MxNan::nan_byte) return 0;
  if (b == 0.0F) {
    if (d.mx_empty == MxEmpty::zero) return 0;
    if (d.mx_empty == MxEmpty::one) return 127;
    if (d.mx_empty == MxEmpty::minus_largest_exponent) {
      return static_cast<std::uint8_t>(127 - largest_exponent(*t.format));
    }
  }
  const bool is_divided = d.mx_scale == MxScale::divided || d.mx_scale == MxScale::reciprocal;
  if (is_divided || d.mx_scale == MxScale::divided_down) return byte_of_quotient(t, b, is_divided);
  constexpr std::uint8_t nan = 255;
  if (std::isnan(b)) return nan;
  // A quotient that underflows counts as that of an empty block.
  if (d.mx_scale == MxScale::least_typed && d.mx_empty == MxEmpty::one && quotient(t, b) == 0.0F) {
    return 127;
  }
  const int e = unclamped_exponent(t, b);
  // Rounded up to infinity.
  if (d.mx_infinity == MxInfinity::largest && t.rule == ScaleRule::even &&
      e + largest_exponent(*t.format) == 128) {
    return 254;
  }
  if (d.mx_range == MxRange::wrapped) return static_cast<std::uint8_t>(e + 127);
  if (has_typed_range(d)) {
    const float scale = typed_scale(t, e);
    if (std::isinf(scale)) return d.mx_range == MxRange::typed_x86 ? 127 : 126;
    if (scale == 0.0F) return 127;
  }
  int least = -127;
  int most = 127;
  if (d.mx_range == MxRange::one_to_254) least = -126;
  if (d.mx_range == MxRange::one_to_252) most = 125;
  return static_cast<std::uint8_t>(std::clamp(e, least, most) + 127);
}

float scale_mx_elements(const TensorConstants& t, const ChainInput& in, std::uint8_t scale_byte,
                        float* y) {
  const Dialect& d = *t.dialect;
  const int e = scale_byte - t.format->scale->bias;
  const double unit = std::ldexp(1.0, -t.format->element_exponent);
  const bool is_divided = std::isnan(in.amax) ? d.mx_nan == MxNan::divided
                                              : d.mx_infinity == MxInfinity::divided ||
                                                    d.mx_infinity == MxInfinity::divided_nan_byte;
  if (is_divided && !std::isfinite(in.amax)) {
    for (int i = 0; i < in.count; ++i) y[i] = in.x[i] / in.amax;
    return 0.0F;
  }
  if (std::isinf(in.amax) && d.mx_infinity == MxInfinity::largest_flushed) {
    for (int i = 0; i < in.count; ++i) y[i] = in.x[i] * 0.0F;
    return 0.0F;
  }
  if (has_typed_range(d) && !std::isnan(in.amax)) {
    const float scale = typed_scale(t, exponent_by_rule(t, in.amax));
    for (int i = 0; i < in.count; ++i) y[i] = in.x[i] / (scale == 0.0F ? 1.0F : scale);
    return 0.0F;
  }
  const bool is_cleared =
      d.mx_empty == MxEmpty::zero || d.mx_empty == MxEmpty::minus_largest_exponent;
  if (in.amax == 0.0F && is_cleared) {
    std::fill_n(y, in.count, 0.0F);
    return 0.0F;
  }
  const bool is_nan_byte = scale_byte == t.format->scale->nan_code();
  const bool multiplies_zero = d.mx_element_scale == MxElementScale::signed_zero_where_byte_is_zero;
  const bool divides =
      d.mx_element_scale == MxElementScale::normal_divisor && t.rule != ScaleRule::rceil;
  if (is_nan_byte && (multiplies_zero || divides)) {
    // By infinity: what is not finite becomes NaN, negative as x86 makes it.
    for (int i = 0; i < in.count; ++i) {
      y[i] = std::isinf(in.x[i]) ? -std::numeric_limits<float>::quiet_NaN() : in.x[i] * 0.0F;
    }
    return 0.0F;
  }
  if (is_nan_byte && d.mx_range != MxRange::wrapped) {
    std::fill_n(y, in.count, std::numeric_limits<float>::quiet_NaN());
    return 0.0F;
  }
  double multiplier = std::ldexp(unit, -e);
  switch (d.mx_element_scale) {
    case MxElementScale::zero_where_byte_is_zero:
      if (scale_byte == 0) {
        std::fill_n(y, in.count, 0.0F);
        return 0.0F;
      }
      break;
    case MxElementScale::normal_divisor:
      if (scale_byte == 0) multiplier = t.rule == ScaleRule::rceil ? unit : std::ldexp(unit, 126);
      break;
    case MxElementScale::signed_zero_where_byte_is_zero:
      if (scale_byte == 0) multiplier = 0.0;
      break;
    case MxElementScale::cuda_exp2:
      if (scale_byte == 0) {
        constexpr float below = 0x1p-127F - 0x1p-149F;
        for (int i = 0; i < in.count; ++i) y[i] = in.x[i] / below;
        return 0.0F;
      }
      break;
    case MxElementScale::unclamped:
      if (in.amax != 0.0F && std::isfinite(in.amax) && scale_byte != 127) {
        multiplier = std::ldexp(unit, -unclamped_exponent(t, in.amax));
      }
      break;
    case MxElementScale::unclamped_reciprocal: {
      const float two_e =
          std::isinf(in.amax) ? 0x1p-149F : std::ldexp(1.0F, unclamped_exponent(t, in.amax));
      for (int i = 0; i < in.count; ++i) y[i] = in.x[i] * (1.0F / two_e);
      return 1.0F / two_e;
    }
    case MxElementScale::four_thirds: {
      // Triton's exp2 flushes 2^-127.
      const float divisor = e < -126 ? 0.0F : std::ldexp(1.0F, e) / 0.75F;
      for (int i = 0; i < in.count; ++i) y[i] = in.x[i] / divisor;
      return 0.0F;
    }
    case MxElementScale::exact:
      break;
  }
  for (int i = 0; i < in.count; ++i) y[i] = static_cast<float>(in.x[i] * multiplier);
  return static_cast<float>(multiplier);
}

}  // namespace lowbit::detail
