// SPDX-License-Identifier: MIT
#include "quantize_input.hpp"

namespace lowbit::cli {

QuantizeInput quantize_input(const TensorInfo& tensor, const AxisView& view, bool transposed) {
  QuantizeInput input{to_f32(tensor), view.rows(), view.length};
  if (view.inner == 1 && !transposed) return input;  // the rows lie as they are wanted
  std::vector<float> moved(input.values.size());
  if (view.inner != 1) {
    gather_rows(input.values, view, moved);
    input.values.swap(moved);
  }
  if (transposed) {
    transpose(input.values, input.rows, input.columns, moved);
    input.values.swap(moved);
    std::swap(input.rows, input.columns);
  }
  return input;
}

RandomNumbers random_numbers(const std::string& path) {
  const TensorFile file = TensorFile::open(path);
  RandomNumbers numbers{to_f32(file.at("rand0")), {}};
  if (const TensorInfo* second = file.find("rand1")) numbers.second = to_f32(*second);
  return numbers;
}

}  // namespace lowbit::cli
