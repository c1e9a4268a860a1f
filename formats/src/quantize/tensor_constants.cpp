// SPDX-License-Identifier: MIT
#include "quantize/tensor_constants.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lowbit::detail {
namespace {

constexpr float range_low = 0x1p-32F;
constexpr float range_high = 0x1p32F;

float ratio(Ratio r) {
  return static_cast<float>(r.numerator) / static_cast<float>(r.denominator);
}

constexpr float largest_float = std::numeric_limits<float>::max();

/// Q of the formats that have the dialects of NVFP4.
constexpr float dialect_element = 6.0F;

/// Before the edges.
TensorScales unbounded_scales(const Dialect& dialect, float constant, float amax, InputType type) {
  switch (dialect.tensor_scale) {
    case TensorScale::quotient: {
      const float s = constant / amax;
      return {s, 1.0F / s};
    }
    case TensorScale::reciprocal_product: {
      const float s = 1.0F / amax * constant;
      return {s, 1.0F / s};
    }
    case TensorScale::typed_reciprocal_product: {
      const float s = round_to_input_type(round_to_input_type(1.0F / amax, type) * constant, type);
      return {s, 1.0F / s};
    }
    case TensorScale::amax_quotient: {
      const float d = amax / constant;
      return {1.0F / d, d};
    }
    case TensorScale::amax_product: {
      const float d = amax * (1.0F / constant);
      return {1.0F / d, d};
    }
    case TensorScale::normalized: {
      // C is Q * M, both of few bits: the quotient is M exactly.
      const float q = dialect_element;
      float a = amax * (1.0F / q);
      if (a <= 0x1p-24F) a = 1.0F;
      const float s = constant / q / a;
      return {s, 1.0F / s};
    }
    case TensorScale::one:
      break;
  }
  return {1.0F, 1.0F};
}

bool has_plain_chain(const Dialect& d) {
  return d.block_scale == BlockScale::quotient_times_scale &&
         d.selected_scale == SelectedScale::as_block_scale && d.scale_floor == ScaleFloor::none &&
         d.zero_scale == ZeroScale::kept && d.scale_rounding == ScaleRounding::nearest_even &&
         d.scale_nan == ScaleNan::positive &&
         d.element_scale == ElementScale::reciprocal_of_product &&
         d.empty_scale == EmptyScale::zero && d.subnormals == Subnormals::kept;
}

bool has_plain_elements(const Dialect& d) {
  return d.element_ties == ElementTies::even && d.e2m0_ties == E2m0Ties::even &&
         d.negative_zero == NegativeZero::kept && d.element_overflow == ElementOverflow::saturate &&
         d.nan_element == NanElement::largest && d.nonfinite == Nonfinite::nan_block &&
         d.subnormal_carry == SubnormalCarry::carried &&
         d.int3_coding == Int3Coding::twos_complement;
}

}  // namespace

TensorScales tensor_scales(const Dialect& dialect, float constant, float amax,
                           InputType input_type) {
  float a = amax;
  if (dialect.tensor_scale_edge == TensorScaleEdge::at_least_1e_30) {
    a = std::isnan(a) ? 0.0F : std::min(a, largest_float);
  }
  if (dialect.tensor_scale_edge == TensorScaleEdge::one) a = std::max(a, 0x1p-126F);
  if (dialect.subnormals == Subnormals::flushed && a < 0x1p-126F) a = 0.0F;
  TensorScales t = unbounded_scales(dialect, constant, a, input_type);
  if (dialect.tensor_scale == TensorScale::one) return t;
  switch (dialect.tensor_scale_edge) {
    case TensorScaleEdge::zero:
      // S = 0 makes every scale byte of a tensor of zeros 0.
      if (amax == 0.0F) t = {0.0F, std::numeric_limits<float>::infinity()};
      break;
    case TensorScaleEdge::bounded_one:
      if (amax == 0.0F) t = {1.0F, 1.0F};
      [[fallthrough]];
    case TensorScaleEdge::bounded:
    case TensorScaleEdge::bounded_zero:
      if (t.encode > largest_float) t.encode = largest_float;
      if (t.encode == 0.0F) t.encode = 1.0F;
      t.decode = 1.0F / t.encode;
      if (dialect.tensor_scale_edge == TensorScaleEdge::bounded_zero && amax == 0.0F) {
        t.decode = 0.0F;
      }
      break;
    case TensorScaleEdge::one:
      if (!std::isfinite(t.encode)) t = {1.0F, 1.0F};
      break;
    case TensorScaleEdge::at_least_1e_30:
      if (t.decode < 1e-30F) t = {1.0F / 1e-30F, 1e-30F};
      break;
    case TensorScaleEdge::computed:
      break;
  }
  return t;
}

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
  t.plain_chain = has_plain_chain(*t.dialect);
  t.plain_elements = has_plain_elements(*t.dialect);
  if (t.format->family() != ScaleFamily::nv) {
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
  const TensorScales scales =
      tensor_scales(*t.dialect, t.encode_constant, t.scaled_amax, t.input_type);
  t.encode_scale = scales.encode;
  t.decode_scale = scales.decode;
  t.scale_max = scale_max;
  // Without a tensor scale the stored amax is the one that stands for S = 1.
  if (t.dialect->tensor_scale == TensorScale::one) {
    t.amax = t.encode_constant;
    t.scaled_amax = t.encode_constant;
    t.range_exponent = 0;
  }
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
