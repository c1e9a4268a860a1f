// SPDX-License-Identifier: MIT
#include "quantize/tensor_constants.hpp"

#include <cmath>

namespace lowbit::detail {
namespace {

constexpr float range_low = 0x1p-32F;
constexpr float range_high = 0x1p32F;

float ratio(Ratio r) {
  return static_cast<float>(r.numerator) / static_cast<float>(r.denominator);
}

}  // namespace

TensorConstants make_constants(const QuantizeOptions& options, float amax) {
  TensorConstants t;
  t.format = options.format;
  t.dialect = options.dialect != nullptr ? options.dialect : &canonical;
  t.rule = options.rule.value_or(default_rule(*t.format, t.dialect));
  t.rounding = options.rounding;
  t.search_radius = options.search_radius;
  t.input_type = options.input_type;
  t.scale_is_e4m3 = *t.format->scale == e4m3;
  t.selects = selects(t.rule);
  t.largest_element =
      t.rule == ScaleRule::static_4 ? t.format->second_element() : t.format->largest_element();
  t.second_ratio = t.format->largest_element() / t.format->second_element();
  if (t.format->family() == ScaleFamily::mx) {
    t.amax = 1.0F;
    t.scaled_amax = 1.0F;
    return t;
  }

  t.amax = amax;
  t.scaled_amax = amax;
  const bool outside = amax < range_low || amax > range_high;
  if (t.dialect->amax_range == AmaxRange::power_of_two && amax > 0.0F && outside) {
    t.range_exponent = std::ilogb(amax);
    t.scaled_amax = std::ldexp(amax, -t.range_exponent);
  }
  const bool four_over_six = t.selects && !t.format->is_adaptive();
  const float scale_max = options.scale_max.value_or(default_scale_max(*t.format, t.rule));
  // 1/17 has a period of 8 bits, so no product of few bits with 16/17 lies so near to a binary32
  // tie that passing through double would round twice.
  const double unbiased = t.rounding == ElementRounding::stochastic_unbiased ? 16.0 / 17.0 : 1.0;
  t.encode_constant = static_cast<float>(double{t.largest_element} * scale_max * unbiased);
  t.error_constant = t.encode_constant;
  t.largest_element = static_cast<float>(t.largest_element * unbiased);
  t.error_reciprocal = 1.0F / t.error_constant;
  // S = 0 makes every scale byte of a tensor of zeros 0.
  t.encode_scale = amax == 0.0F ? 0.0F : t.encode_constant / t.scaled_amax;
  t.decode_scale = 1.0F / t.encode_scale;
  const bool is_if4 = t.format->is_adaptive() && *t.format->element == e2m1;
  const DividedCandidates divided = t.dialect->divided_candidates;
  const bool divides = (four_over_six && divided != DividedCandidates::none) ||
                       (is_if4 && divided == DividedCandidates::four_over_six_and_if4);
  t.multiplies_reciprocal =
      t.dialect->constant_division == ConstantDivision::reciprocal && !divides;
  if (t.format->is_adaptive()) {
    const Ratio unit = t.format->integer_unit();
    t.integer_expand = ratio(unit);
    t.integer_shrink = ratio(inverse(unit));
    // 0.2419355, which is not 15/62; the other literals round to the same as their ratios.
    if (t.dialect->integer_unit == IntegerUnit::published && unit == Ratio{15, 62}) {
      t.integer_expand = 0x1.ef7be2p-3F;
    }
  }
  return t;
}

}  // namespace lowbit::detail
