// SPDX-License-Identifier: MIT
// The exponent of an MX block.
#pragma once

#include "quantize/tensor_constants.hpp"

namespace lowbit::detail {

/// The E8M0 byte of a block whose amax is b (finite).
[[nodiscard]] std::uint8_t mx_scale_byte(const TensorConstants& t, float b);

}  // namespace lowbit::detail
