// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "lowbit/conversion.hpp"
#include "lowbit/sim/wide_integer.hpp"

namespace lowbit::sim {

/// value * 2^exponent in FP32, rounded once to nearest even.
inline std::uint32_t round_to_f32(Int128 value, int exponent) {
  const bool negative = value < 0;
  UInt128 magnitude = negative ? -static_cast<UInt128>(value) : static_cast<UInt128>(value);
  if (magnitude == 0) return 0;
  // Keep 64 bits and jam: far more than the 24 of the result.
  bool dropped = false;
  while ((magnitude >> 64) != 0) {
    dropped = dropped || (magnitude & 0xFF) != 0;
    magnitude >>= 8;
    exponent += 8;
  }
  return round_pack(
      f32, {negative, static_cast<std::uint64_t>(magnitude) | (dropped ? 1U : 0U), exponent},
      {.overflow = Overflow::infinity});
}

}  // namespace lowbit::sim
