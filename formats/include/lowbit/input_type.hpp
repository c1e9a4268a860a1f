// SPDX-License-Identifier: MIT
/// \file
/// The type that elements had before they became FP32, and what follows from it. Thread-safe.
#pragma once

#include <cstdint>

#include "lowbit/dtype.hpp"
#include "lowbit/element_format.hpp"

namespace lowbit {

/// It bounds `saturate`, rounds the results of transforms and sets the order of some dialects'
/// error sums. F64 is rounded to F32 by the reader.
enum class InputType : std::uint8_t { float32, float16, bfloat16 };

/// The record of the type.
[[nodiscard]] constexpr const ElementFormat& element_format_of(InputType type) {
  switch (type) {
    case InputType::float16:
      return f16;
    case InputType::bfloat16:
      return bf16;
    case InputType::float32:
      break;
  }
  return f32;
}
/// The type of a tensor's elements before promotion to FP32, where that matters; float32 for all
/// others.
[[nodiscard]] InputType input_type_of(const Dtype& dtype);
/// The value as the type can hold it: to nearest even, overflow to infinity.
[[nodiscard]] float round_to_input_type(float value, InputType type);
/// The largest finite value of the type.
[[nodiscard]] float largest_finite(InputType type);

}  // namespace lowbit
