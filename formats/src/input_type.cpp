// SPDX-License-Identifier: MIT
#include "lowbit/input_type.hpp"

#include <bit>

#include "lowbit/conversion.hpp"

namespace lowbit {

InputType input_type_of(const Dtype& dtype) {
  if (dtype == dtype_f16) return InputType::float16;
  if (dtype == dtype_bf16) return InputType::bfloat16;
  return InputType::float32;
}

float round_to_input_type(float value, InputType type) {
  constexpr ConversionPolicy to_infinity{.overflow = Overflow::infinity};
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
  const ElementFormat& format = element_format_of(type);
  return to_float(format, format.max_code());
}

}  // namespace lowbit
