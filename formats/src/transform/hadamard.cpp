// SPDX-License-Identifier: MIT
#include "lowbit/hadamard.hpp"

#include <bit>

#include "lowbit/conversion.hpp"

namespace lowbit {
namespace {

constexpr ConversionPolicy to_infinity{.overflow = Overflow::infinity};

}  // namespace

float round_to_input_type(float value, InputType type) {
  switch (type) {
    case InputType::float32:
      return value;
    case InputType::float16:
      return to_float(f16, from_float(f16, value, to_infinity));
    case InputType::bfloat16:
      return std::bit_cast<float>(from_float(bf16, value, to_infinity) << 16);
  }
  return value;
}

float largest_finite(InputType type) {
  const ElementFormat& format = type == InputType::float32   ? f32
                                : type == InputType::float16 ? f16
                                                             : bf16;
  return to_float(format, format.max_code());
}

void hadamard_transform(std::span<float> values, InputType type) {
  for (std::size_t base = 0; base + hadamard_points <= values.size(); base += hadamard_points) {
    std::array<float, hadamard_points> sum{};
    for (unsigned i = 0; i < hadamard_points; ++i) {
      const float x = hadamard_signs[i] > 0 ? values[base + i] : -values[base + i];
      for (unsigned j = 0; j < hadamard_points; ++j)
        sum[j] += std::popcount(i & j) % 2 == 0 ? x : -x;
    }
    for (unsigned j = 0; j < hadamard_points; ++j) {
      values[base + j] = round_to_input_type(0.25F * sum[j], type);
    }
  }
}

}  // namespace lowbit
