// SPDX-License-Identifier: MIT
// The scale of an NV block and the scaling of its elements in dialects whose chain is not the
// common one (TensorConstants::plain_chain).
#pragma once

#include "quantize/tensor_constants.hpp"

namespace lowbit::detail {

/// A block's elements and their largest magnitude.
struct ChainInput {
  const float* x = nullptr;
  int count = 0;
  float amax = 0.0F;  ///< b
};

/// h before its floor. \param selecting  whether the rule selects (SelectedScale)
[[nodiscard]] float chain_scale(const TensorConstants& t, const ChainInput& in, bool selecting);
/// The byte of h: floor, zero, rounding, NaN.
[[nodiscard]] std::uint8_t chain_scale_byte(const TensorConstants& t, float h, float b);
/// y of every element. \param s  the decoded scale. \return the multiplier, or 0 where there is
/// none
float chain_elements(const TensorConstants& t, const ChainInput& in, float h, float s, float* y);

/// From h to the byte by the axes scale_rounding and scale_overflow alone.
[[nodiscard]] std::uint8_t rounded_scale(const TensorConstants& t, float h);

}  // namespace lowbit::detail
