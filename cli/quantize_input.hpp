// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lowbit/axis_view.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {

/// A tensor as the matrix that is quantized.
struct QuantizeInput {
  std::vector<float> values;
  std::size_t rows = 0;
  std::size_t columns = 0;
};
/// \param view  whose rows are the matrix's, or its columns if transposed
[[nodiscard]] QuantizeInput quantize_input(const TensorInfo& tensor, const AxisView& view,
                                           bool transposed);

/// The tensors rand0 and rand1 of a file of random numbers; rand1 is empty where the file lacks it.
struct RandomNumbers {
  std::vector<float> first;
  std::vector<float> second;
};
[[nodiscard]] RandomNumbers random_numbers(const std::string& path);

}  // namespace lowbit::cli
