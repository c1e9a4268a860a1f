// SPDX-License-Identifier: MIT
#include "quantize/scale_chain.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "lowbit/approximate.hpp"
#include "lowbit/conversion.hpp"

namespace lowbit::detail {
namespace {

constexpr float largest_float = std::numeric_limits<float>::max();
constexpr float smallest_normal_float = std::numeric_limits<float>::min();

/// The binary32 operations of the chain, with or without subnormal numbers.
class Arithmetic {
 public:
  explicit Arithmetic(const Dialect& dialect)
      : flushes_(dialect.subnormals == Subnormals::flushed) {}

  [[nodiscard]] float keep(float v) const {
    return flushes_ && std::fabs(v) < smallest_normal_float ? std::copysign(0.0F, v) : v;
  }
  [[nodiscard]] float times(float a, float b) const { return keep(keep(a) * keep(b)); }
  [[nodiscard]] float over(float a, float b) const { return keep(keep(a) / keep(b)); }

 private:
  bool flushes_;
};

/// ggml's byte: the exponent field of h rebiased, half up on the last kept bit. A carry out of the
/// mantissa raises the exponent; in the subnormals it stops at the largest one.
std::uint8_t half_up_byte(const ElementFormat& scale, float h) {
  if (!(h > 0.0F)) return 0;
  const auto largest = static_cast<std::uint8_t>(scale.max_code());
  const int top_field = static_cast<int>(largest >> scale.mantissa_bits);
  const int dropped = 23 - scale.mantissa_bits;
  const int last = (1 << scale.mantissa_bits) - 1;
  const float x = std::min(h, to_float(scale, scale.max_code()));
  const auto bits = std::bit_cast<std::uint32_t>(x);
  int exponent = static_cast<int>(bits >> 23 & 0xFFU) - 127 + scale.bias;
  int mantissa = static_cast<int>(bits >> dropped) & last;
  if (exponent <= 0) {
    const float units = x * std::ldexp(1.0F, -scale.unit_exponent());
    return static_cast<std::uint8_t>(std::min(static_cast<int>(units + 0.5F), last));
  }
  if (exponent >= top_field) return largest;
  mantissa += static_cast<int>(bits >> (dropped - 1) & 1U);
  if (mantissa > last) {
    mantissa = 0;
    ++exponent;
    if (exponent >= top_field) return largest;
  }
  return static_cast<std::uint8_t>(exponent << scale.mantissa_bits | mantissa);
}

float scaled_amax(const TensorConstants& t, const ChainInput& in) {
  float c = 0.0F;
  for (int i = 0; i < in.count; ++i) {
    const float a = std::fabs(in.x[i] / t.decode_scale);
    if (a > c) c = a;
  }
  return c;
}

/// The multiplier where s is 0. \param computed  what the operations give
float empty_multiplier(const TensorConstants& t, float h, float b, float computed) {
  switch (t.dialect->empty_scale) {
    case EmptyScale::zero:
    case EmptyScale::signed_zero:
      return 0.0F;
    case EmptyScale::hundred_millionth:
      return 1e-8F;
    case EmptyScale::bounded_unless_empty:
    case EmptyScale::computed_unless_empty:
      return b != 0.0F ? computed : 0.0F;
    case EmptyScale::computed_unless_h_zero:
      return h != 0.0F ? computed : 0.0F;
    case EmptyScale::bounded:
    case EmptyScale::bounded_keeping_nan:
    case EmptyScale::computed:
      break;
  }
  return computed;
}

float empty_elements(const ChainInput& in, float inverse, float* y) {
  for (int i = 0; i < in.count; ++i) y[i] = in.x[i] * inverse;
  return inverse;
}

float multiplier(const TensorConstants& t, const Arithmetic& f, float s) {
  switch (t.dialect->element_scale) {
    case ElementScale::scale_quotient:
      return f.over(t.encode_scale, s);
    case ElementScale::approximate_reciprocals:
      return rcp_approx_ftz(f.times(s, rcp_approx_ftz(t.encode_scale)));
    case ElementScale::approximate_quotient:
      return div_full(t.encode_scale, s);
    case ElementScale::bf16_quotient: {
      constexpr float largest = 0x1.fep127F;
      return round_to_input_type(std::min(t.encode_scale / s, largest), InputType::bfloat16);
    }
    case ElementScale::divided_twice:
      return 1.0F / s;
    default:
      return f.over(1.0F, f.times(s, t.decode_scale));
  }
}

}  // namespace

float chain_scale(const TensorConstants& t, const ChainInput& in, bool selecting) {
  const Dialect& d = *t.dialect;
  const Arithmetic f(d);
  const float b = in.amax;
  const float q = t.largest_element;
  const float reciprocal = 1.0F / q;
  if (selecting && d.selected_scale == SelectedScale::quotient_times_scale) {
    return f.times(f.over(b, q), t.encode_scale);
  }
  switch (d.block_scale) {
    case BlockScale::quotient_times_scale:
      return f.times(f.over(b, q), t.encode_scale);
    case BlockScale::times_scale_over_q:
      return f.times(b, f.times(t.encode_scale, reciprocal));
    case BlockScale::scale_times_product:
      return f.times(t.encode_scale, f.times(b, reciprocal));
    case BlockScale::scale_times_approximate_product:
      return f.times(t.encode_scale, f.times(b, rcp_approx_ftz(q)));
    case BlockScale::over_product:
      return f.over(b, f.times(q, t.decode_scale));
    case BlockScale::over_decode_scale:
      return f.over(f.over(b, q), t.decode_scale);
    case BlockScale::product_over_decode_scale:
      return f.over(f.times(b, reciprocal), t.decode_scale);
    case BlockScale::typed_quotient_times_scale:
      return t.encode_scale * round_to_input_type(b / q, t.input_type);
    case BlockScale::normalized: {
      const float v = b / q;
      return (v == 0.0F ? 1.0F : v) * t.scale_max / (t.amax / q);
    }
    case BlockScale::normalized_product: {
      const float v = b * reciprocal;
      return (v == 0.0F ? 1.0F : v) * t.scale_max / (t.amax * reciprocal);
    }
    case BlockScale::scaled_elements:
      return scaled_amax(t, in) / q;
    case BlockScale::full_division:
      return div_full(t.encode_scale * b, q);
    case BlockScale::full_over_product:
      return div_full(b, q * t.decode_scale);
    case BlockScale::over_decode_scale_over_q:
      return f.over(f.over(b, t.decode_scale), q);
  }
  return 0.0F;
}

std::uint8_t rounded_scale(const TensorConstants& t, float h) {
  const Dialect& d = *t.dialect;
  if (d.scale_rounding == ScaleRounding::half_up) return half_up_byte(*t.format->scale, h);
  if (d.scale_overflow == ScaleOverflow::saturate_nan_zero && std::isnan(h)) return 0;
  const bool to_nan = d.scale_overflow == ScaleOverflow::nan;
  const ConversionPolicy policy{.overflow = to_nan ? Overflow::infinity : Overflow::saturate};
  // With the format known at compile time the conversion is a third of the instructions.
  const auto nearest = static_cast<std::uint8_t>(
      t.scale_is_e4m3 ? from_float(e4m3, h, policy) : from_float(*t.format->scale, h, policy));
  if (d.scale_rounding == ScaleRounding::nearest_even || !std::isfinite(h)) return nearest;
  // Bytes of scales that are not negative are in the order of their values.
  const ElementFormat& scale = *t.format->scale;
  const float value = to_float(scale, nearest);
  if (d.scale_rounding == ScaleRounding::up && value < h && nearest < scale.max_code()) {
    return static_cast<std::uint8_t>(nearest + 1);
  }
  if (d.scale_rounding == ScaleRounding::down && value > h && nearest > 0) {
    return static_cast<std::uint8_t>(nearest - 1);
  }
  return nearest;
}

std::uint8_t chain_scale_byte(const TensorConstants& t, float h, float b) {
  const Dialect& d = *t.dialect;
  const ElementFormat& scale = *t.format->scale;
  const bool is_zero = h == 0.0F;
  if (d.zero_scale == ZeroScale::one && is_zero) h = 1.0F;
  if (d.scale_floor != ScaleFloor::none) {
    const int exponent =
        d.scale_floor == ScaleFloor::smallest_normal ? scale.min_exponent() : scale.unit_exponent();
    // NaN stays NaN.
    if (h < std::ldexp(1.0F, exponent)) h = std::ldexp(1.0F, exponent);
  }
  std::uint8_t byte = rounded_scale(t, h);
  if (byte == 0 && d.zero_scale == ZeroScale::one_eighth) {
    byte = static_cast<std::uint8_t>(from_float(scale, 0.125F));
  }
  if (byte == 0 && d.zero_scale == ZeroScale::smallest && !is_zero) byte = 1;
  if (scale.has_nan() && byte == scale.nan_code()) {
    const bool is_made = d.scale_nan == ScaleNan::made_negative && std::isnan(h) &&
                         !std::isnan(t.amax) && !std::isnan(b);
    if (d.scale_nan == ScaleNan::negative || is_made)
      byte |= static_cast<std::uint8_t>(scale.sign_mask());
    if (d.scale_nan == ScaleNan::signed_largest) {
      const bool is_input = std::isnan(t.amax) || std::isnan(b);
      byte = static_cast<std::uint8_t>(scale.max_code() | (is_input ? 0U : scale.sign_mask()));
    }
    if (d.scale_nan == ScaleNan::largest) byte = static_cast<std::uint8_t>(scale.max_code());
    if (d.scale_nan == ScaleNan::least) {
      byte = d.scale_floor == ScaleFloor::smallest_normal
                 ? static_cast<std::uint8_t>(1U << scale.mantissa_bits)
                 : std::uint8_t{1};
    }
  }
  return byte;
}

float chain_elements(const TensorConstants& t, const ChainInput& in, float h, float s, float* y) {
  const Dialect& d = *t.dialect;
  const Arithmetic f(d);
  const bool flushes = d.subnormals == Subnormals::flushed;
  if (s == 0.0F && d.empty_scale == EmptyScale::zero) {
    std::fill_n(y, in.count, 0.0F);
    return 0.0F;
  }
  switch (d.element_scale) {
    case ElementScale::divided_by_product: {
      const float divisor = s * t.decode_scale;
      for (int i = 0; i < in.count; ++i) y[i] = in.x[i] / divisor;
      return 0.0F;
    }
    case ElementScale::divided_by_quotient: {
      const float divisor = s / t.encode_scale;
      for (int i = 0; i < in.count; ++i) y[i] = in.x[i] / divisor;
      return 0.0F;
    }
    case ElementScale::typed_division:
      for (int i = 0; i < in.count; ++i) {
        y[i] = round_to_input_type(in.x[i] / s, t.input_type) * t.encode_scale;
      }
      return 0.0F;
    case ElementScale::full_division:
      for (int i = 0; i < in.count; ++i) y[i] = div_full(in.x[i] * t.encode_scale, s);
      return 0.0F;
    case ElementScale::full_division_by_product:
    case ElementScale::full_division_by_finite_product:
    case ElementScale::full_division_by_product_or_one: {
      float divisor = s * t.decode_scale;
      const bool has_floor = d.element_scale == ElementScale::full_division_by_product_or_one;
      const bool is_finite = d.element_scale == ElementScale::full_division_by_finite_product;
      if (has_floor && !(divisor >= 1e-5F)) divisor = 1.0F;
      if (is_finite && !std::isfinite(divisor)) divisor = 1.0F;
      if (is_finite && divisor == 0.0F) {
        std::fill_n(y, in.count, 0.0F);
        return 0.0F;
      }
      // Triton takes the sign from x >= 0.
      constexpr float nan = std::numeric_limits<float>::quiet_NaN();
      for (int i = 0; i < in.count; ++i) {
        y[i] = div_full(in.x[i], divisor);
        if (std::isnan(y[i])) y[i] = in.x[i] >= 0.0F ? nan : -nan;
      }
      return 0.0F;
    }
    default:
      break;
  }
  float inverse = multiplier(t, f, s);
  if (d.empty_scale == EmptyScale::bounded || d.empty_scale == EmptyScale::bounded_unless_empty) {
    inverse = inverse <= largest_float ? inverse : largest_float;
  }
  if (d.empty_scale == EmptyScale::bounded_keeping_nan && inverse > largest_float) {
    inverse = largest_float;
  }
  // Where the multiplier is the reciprocal of a product, that product decides.
  const bool is_product =
      d.element_scale == ElementScale::reciprocal_of_product &&
      (d.empty_scale == EmptyScale::signed_zero || d.empty_scale == EmptyScale::hundred_millionth);
  if (is_product && t.encode_scale == 0.0F && !std::isnan(s)) {
    // Their reciprocal of S = 0 is not infinite.
    return empty_elements(in, d.empty_scale == EmptyScale::signed_zero ? 0.0F : 1e-8F, y);
  }
  if (is_product ? s * t.decode_scale == 0.0F : s == 0.0F)
    inverse = empty_multiplier(t, h, in.amax, inverse);
  if (d.element_scale == ElementScale::divided_twice) {
    for (int i = 0; i < in.count; ++i) y[i] = in.x[i] / t.decode_scale * inverse;
  } else if (flushes) {
    for (int i = 0; i < in.count; ++i) y[i] = f.times(in.x[i], inverse);
  } else {
    for (int i = 0; i < in.count; ++i) y[i] = in.x[i] * inverse;
  }
  return inverse;
}

}  // namespace lowbit::detail
