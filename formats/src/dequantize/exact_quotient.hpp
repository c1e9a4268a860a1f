// SPDX-License-Identifier: MIT
// A quotient of integers, rounded once to binary32.
#pragma once

#include <bit>
#include <cstdint>

#include "lowbit/conversion.hpp"

namespace lowbit::detail {

/// (-1)^negative * numerator / denominator * 2^exponent, to nearest even; overflow to infinity.
/// \param denominator  in [1, 2^36)
constexpr float rounded_quotient(bool negative, std::uint64_t numerator, std::uint64_t denominator,
                                 int exponent) {
  if (numerator == 0) return negative ? -0.0F : 0.0F;
  // With the numerator's top bit at 63 the quotient keeps 28 bits or more, two and a sticky bit
  // more than binary32 needs.
  const int shift = std::countl_zero(numerator);
  const std::uint64_t aligned = numerator << shift;
  const std::uint64_t sticky = aligned % denominator != 0 ? 1 : 0;
  const Exact value{negative, aligned / denominator | sticky, exponent - shift};
  return std::bit_cast<float>(round_pack(f32, value, {.overflow = Overflow::infinity}));
}

}  // namespace lowbit::detail
