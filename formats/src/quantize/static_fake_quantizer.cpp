// SPDX-License-Identifier: MIT
#include "quantize/static_fake_quantizer.hpp"

#include <cmath>

#include "lowbit/approximate.hpp"
#include "lowbit/conversion.hpp"

namespace lowbit::detail {

void fake_quantized_values(const TensorConstants& t, const ChainInput& in, float b, float* values) {
  const float reciprocal = 1.0F / t.largest_element;
  const float largest_scale = t.format->largest_scale();
  const ElementFormat& scale_format = *t.format->scale;
  // The scale format's own largest scale is the unit, so a smaller M enlarges A.
  float a = t.amax * (largest_scale / t.scale_max) * reciprocal;
  if (a <= 0x1p-24F) a = 1.0F;
  const float g = largest_scale / a;
  const std::uint32_t byte = from_float(scale_format, b * reciprocal * g);
  const float scale = to_float(scale_format, byte) * (1.0F / g);
  const float divisor = scale == 0.0F || !std::isfinite(scale) ? 1.0F : scale;
  for (int i = 0; i < in.count; ++i) {
    const float y = div_full(std::fabs(in.x[i]), divisor);
    const float q = to_float(e2m1, from_float(e2m1, y)) * divisor;
    values[i] = scale == 0.0F ? 0.0F : std::copysign(q, in.x[i]);
  }
}

}  // namespace lowbit::detail
