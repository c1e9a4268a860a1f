// SPDX-License-Identifier: MIT
// The error sums of a tensor that comes in parts.
#pragma once

#include <span>

#include "evaluate/block_errors.hpp"
#include "lowbit/block_tensor.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit::detail {

/// Adds a part of a tensor to the sums that the parts before it left. Parts in row order, and
/// lanes.add_to(sums) after the last one, give what error_statistics() gives of the whole.
void add_tensor_errors(std::span<const float> values, const BlockTensor& quantized,
                       std::span<const float> dequantized, std::span<const BlockChoice> choices,
                       LaneSums& lanes, ErrorStatistics& sums);

}  // namespace lowbit::detail
