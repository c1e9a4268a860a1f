// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {

/// A tensor as the matrix that is quantized: rows run along the axis, or across it if transposed.
struct QuantizeInput {
  std::vector<float> values;
  std::size_t rows = 0;
  std::size_t columns = 0;
};
/// \throws Error(invalid_input) for an axis that the tensor does not have.
[[nodiscard]] QuantizeInput quantize_input(const TensorInfo& tensor, int axis, bool transposed);

}  // namespace lowbit::cli
