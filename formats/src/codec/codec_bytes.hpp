// SPDX-License-Identifier: MIT
// Little-endian numbers in the bytes of a codec, and the half-precision conversions of its scales.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lowbit/conversion.hpp"

namespace lowbit::detail {

inline void put_f32(std::uint8_t* at, float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (int i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(bits >> (8 * i));
}
inline float get_f32(const std::uint8_t* at) {
  std::uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) bits |= std::uint32_t{at[i]} << (8 * i);
  return std::bit_cast<float>(bits);
}
/// To nearest even; beyond the range to infinity.
inline void put_f16(std::uint8_t* at, float value) {
  const std::uint32_t bits = from_float(f16, value, {.overflow = Overflow::infinity});
  at[0] = static_cast<std::uint8_t>(bits);
  at[1] = static_cast<std::uint8_t>(bits >> 8);
}
inline float get_f16(const std::uint8_t* at) {
  return to_float(f16, static_cast<std::uint32_t>(at[0] | at[1] << 8));
}
inline float amax_of_group(std::span<const float> x) {
  float top = 0.0F;
  for (const float v : x) top = std::max(top, std::fabs(v));
  return top;
}

}  // namespace lowbit::detail
