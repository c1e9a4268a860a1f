// SPDX-License-Identifier: MIT
// Engines of the best instruction set, by kind: what vector_engine() chooses among. Each looks at
// the elements, the block size, and the axes that its kernels compute; nullptr where none serves.
#pragma once

#include "quantize/engine.hpp"

namespace lowbit::detail {

[[nodiscard]] const Engine* static_engine(const TensorConstants& constants);
/// Of NVFP4 and of IF formats by the elements that compete.
[[nodiscard]] const Engine* four_over_six_engine(const TensorConstants& constants);
[[nodiscard]] const Engine* if3_engine(const TensorConstants& constants);
[[nodiscard]] const Engine* if4_engine(const TensorConstants& constants);
[[nodiscard]] const Engine* if6_engine(const TensorConstants& constants);
[[nodiscard]] const Engine* mx_engine(const TensorConstants& constants);

}  // namespace lowbit::detail
