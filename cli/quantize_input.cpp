// SPDX-License-Identifier: MIT
#include "quantize_input.hpp"

#include "lowbit/error.hpp"
#include "lowbit/layout.hpp"

namespace lowbit::cli {

QuantizeInput quantize_input(const TensorInfo& tensor, int axis, bool transposed) {
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  AxisView view;
  try {
    view = view_along(shape, axis);
  } catch (const Error& error) {
    throw Error(ErrorKind::invalid_input, error.what());
  }
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
