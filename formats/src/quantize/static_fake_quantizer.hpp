// SPDX-License-Identifier: MIT
// Model-Optimizer's fake quantizer of calibrated block maxima: what its calibration compares
// candidates by (static_blockwise_fp4_fake_quant, scaled_e4m3_impl).
#pragma once

#include "quantize/scale_chain.hpp"

namespace lowbit::detail {

/// The value of each element under the block maximum b, which need not be that of the block.
void fake_quantized_values(const TensorConstants& t, const ChainInput& in, float b, float* values);

}  // namespace lowbit::detail
