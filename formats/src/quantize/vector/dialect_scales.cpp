// SPDX-License-Identifier: MIT
#include "quantize/vector/dialect_scales.hpp"

#include <algorithm>
#include <cmath>

#include "quantize/element_rounding.hpp"
#include "quantize/mx_scale.hpp"
#include "quantize/scale_chain.hpp"

namespace lowbit::detail {

std::uint32_t nv_scales(const TensorConstants& t, const float* amax, std::size_t count, float reach,
                        const DialectScales& out) {
  const ElementFormat& scale = *t.format->scale;
  std::uint32_t served = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const ChainInput block{nullptr, 0, amax[k]};
    const float h = chain_scale(t, block, t.selects);
    const std::uint8_t byte = chain_scale_byte(t, h, amax[k]);
    const bool is_normal = byte >= 1U << scale.mantissa_bits && byte <= scale.max_code();
    out.scales[k] = byte;
    out.inverse[k] = 0.0F;
    if (!is_normal || amax[k] == 0.0F) continue;
    const float inverse = chain_elements(t, block, h, to_float(scale, byte), nullptr);
    if (!std::isnormal(inverse) || !(amax[k] * inverse < reach)) continue;
    out.inverse[k] = inverse;
    served |= std::uint32_t{1} << k;
  }
  return served;
}

std::uint32_t mx_scales(const TensorConstants& t, const float* amax, std::size_t count, float reach,
                        const DialectScales& out) {
  const Dialect& d = *t.dialect;
  const int unit_exponent = t.format->element_exponent;
  const bool recomputes = d.mx_element_scale == MxElementScale::unclamped ||
                          d.mx_element_scale == MxElementScale::unclamped_reciprocal;
  // The reciprocal of a power of two alone, whatever the elements' unit is.
  const int unit = d.mx_element_scale == MxElementScale::unclamped_reciprocal ? 0 : unit_exponent;
  if (d.element_overflow == ElementOverflow::wrap_e2m1) reach = std::fmin(reach, 7.0F);
  // Without both ends of the range, where the element's scale may be another than the byte's. 127
  // may stand for what has none.
  const int least = std::max(recomputes ? 2 : 1, 1 - unit_exponent);
  const int most = recomputes ? 251 : 253;
  std::uint32_t served = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const std::uint8_t byte = mx_scale_byte(t, amax[k]);
    out.scales[k] = byte;
    out.inverse[k] = 0.0F;
    if (amax[k] == 0.0F || byte < least || byte > most || (recomputes && byte == 127)) continue;
    const float inverse = power_of_two(127 - byte - unit);
    if (!(amax[k] * inverse < reach)) continue;
    out.inverse[k] = inverse;
    served |= std::uint32_t{1} << k;
  }
  return served;
}

bool has_vector_chain(const TensorConstants& t) {
  const Dialect& d = *t.dialect;
  const bool is_quotient = d.block_scale == BlockScale::quotient_times_scale ||
                           (t.selects && d.selected_scale == SelectedScale::quotient_times_scale);
  return is_quotient && !(t.selects && d.selected_scale == SelectedScale::normalized_candidates) &&
         d.scale_rounding == ScaleRounding::nearest_even &&
         d.element_scale == ElementScale::reciprocal_of_product && d.subnormals == Subnormals::kept;
}

bool has_vector_mx_scale(const TensorConstants& t) {
  const Dialect& d = *t.dialect;
  const bool is_quotient = d.mx_scale == MxScale::divided || d.mx_scale == MxScale::reciprocal;
  // A finite amax may be rounded up to infinity.
  const bool has_edge = d.mx_infinity == MxInfinity::largest && t.rule == ScaleRule::even;
  return (is_quotient || (d.mx_scale == MxScale::exact && !has_edge)) &&
         d.mx_even_bits == MxEvenBits::element && d.mx_range == MxRange::finite &&
         d.mx_empty == MxEmpty::zero &&
         (d.mx_element_scale == MxElementScale::exact ||
          d.mx_element_scale == MxElementScale::zero_where_byte_is_zero);
}

bool clears_empty_blocks(const Dialect& dialect) {
  return dialect.scale_floor == ScaleFloor::none && dialect.zero_scale == ZeroScale::kept &&
         dialect.empty_scale == EmptyScale::zero;
}

}  // namespace lowbit::detail
