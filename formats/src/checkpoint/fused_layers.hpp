// SPDX-License-Identifier: MIT
// Layers that one kernel multiplies at once.
#pragma once

#include <vector>

#include "lowbit/checkpoint.hpp"

namespace lowbit {

/// The weights with a tensor scale, grouped by the layers that a kernel fuses (q, k and v; gate and
/// up); weights of no such layer are left out. In the order of their names.
[[nodiscard]] std::vector<std::vector<const QuantizedTensor*>> fused_layers(
    const Checkpoint& checkpoint);

}  // namespace lowbit
