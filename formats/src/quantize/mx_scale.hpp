// SPDX-License-Identifier: MIT
// The exponent of an MX block.
#pragma once

#include "quantize/scale_chain.hpp"

namespace lowbit::detail {

/// The E8M0 byte of a block whose amax is b.
[[nodiscard]] std::uint8_t mx_scale_byte(const TensorConstants& t, float b);
/// y of every element under that byte, in dialects that do not scale exactly or compute with NaN
/// and infinity. \return the multiplier, or 0 where there is none
float scale_mx_elements(const TensorConstants& t, const ChainInput& in, std::uint8_t scale_byte,
                        float* y);

}  // namespace lowbit::detail
