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
  std::vector<float> values = to_f32(tensor);
  QuantizeInput input{std::vector<float>(values.size()), view.rows(), view.length};
  gather_rows(values, view, input.values);
  if (transposed) {
    transpose(input.values, input.rows, input.columns, values);
    input.values.swap(values);
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
