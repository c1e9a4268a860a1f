// SPDX-License-Identifier: MIT
// The loop of every dequantization: what differs is the table of values.
#pragma once

#include <functional>
#include <span>

#include "dequantize/value_table.hpp"
#include "lowbit/block_tensor.hpp"

namespace lowbit::detail {

/// \param make  a table of the tensor's values, for one thread; called by several at a time
/// \throws Error as dequantize() does, before make is called
void dequantize_with(const BlockTensor& tensor, std::span<float> out, unsigned threads,
                     const std::function<ValueTable()>& make);

}  // namespace lowbit::detail
