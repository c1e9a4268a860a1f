// SPDX-License-Identifier: MIT
#include "quantize_input.hpp"

#include "lowbit/row_scaled.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {

RandomNumbers random_numbers(const std::string& path) {
  const TensorFile file = TensorFile::open(path);
  const auto read = [](const TensorInfo& tensor) {
    if (*tensor.dtype != dtype_u8) return to_f32(tensor);
    return random_numbers_of(
        {reinterpret_cast<const std::uint8_t*>(tensor.bytes.data()), tensor.bytes.size()});
  };
  RandomNumbers numbers{read(file.at("rand0")), {}};
  if (const TensorInfo* second = file.find("rand1")) numbers.second = read(*second);
  return numbers;
}

}  // namespace lowbit::cli
