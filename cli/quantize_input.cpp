// SPDX-License-Identifier: MIT
#include "quantize_input.hpp"

#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {

RandomNumbers random_numbers(const std::string& path) {
  const TensorFile file = TensorFile::open(path);
  RandomNumbers numbers{to_f32(file.at("rand0")), {}};
  if (const TensorInfo* second = file.find("rand1")) numbers.second = to_f32(*second);
  return numbers;
}

}  // namespace lowbit::cli
