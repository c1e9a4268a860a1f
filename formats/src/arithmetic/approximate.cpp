// SPDX-License-Identifier: MIT
#include "lowbit/approximate.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace lowbit {
namespace {

struct Polynomial {
  std::int32_t constant;   ///< in units of 2^-26
  std::int32_t slope;      ///< in units of 2^-24 per interval
  std::int32_t curvature;  ///< the same
};

/// One polynomial per interval that the 7 high bits of the significand name.
constexpr std::array<Polynomial, 128> polynomials{{
#include "arithmetic/rcp_approx_table.inc"
}};

/// x^2 of 16 bits without the partial products of the columns below 17, in units of 2^17.
std::int64_t truncated_square(std::uint32_t x) {
  constexpr unsigned dropped_columns = 17;
  std::uint64_t total = 0;
  for (unsigned i = 0; i < 16; ++i) {
    if ((x >> i & 1U) == 0) continue;
    if (2 * i >= dropped_columns) total += std::uint64_t{1} << (2 * i);
    // Columns i + j + 1 of the pairs with j > i.
    const unsigned first = std::max(i + 1, dropped_columns - 1 - i);
    if (first < 16) total += std::uint64_t{x >> first << first} << (i + 1);
  }
  return static_cast<std::int64_t>(total >> dropped_columns);
}

/// The reciprocal of 1.fraction in units of 2^-24: from 2^24 down to 2^23.
std::uint32_t reciprocal_of_significand(std::uint32_t fraction) {
  const Polynomial& p = polynomials[fraction >> 16];
  const std::uint32_t low = fraction & 0xFFFFU;
  // In units of 2^-40. The bias makes up for the dropped columns.
  constexpr std::int64_t bias = 4046;
  const std::int64_t sum = (std::int64_t{p.constant} << 14) + bias + std::int64_t{p.slope} * low +
                           2 * std::int64_t{p.curvature} * truncated_square(low);
  return static_cast<std::uint32_t>(sum >> 16);
}

constexpr float infinity = std::numeric_limits<float>::infinity();

/// \param scaled  x times 2^shift, a normal number. The exact power of two comes off the result.
float reciprocal(float x, int shift) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t result = reciprocal_of_significand(bits & 0x7FFFFFU);
  const int exponent = static_cast<int>(bits >> 23 & 0xFFU) - 127 - shift;
  return std::copysign(std::ldexp(static_cast<float>(result), -24 - exponent), x);
}

}  // namespace

float rcp_approx(float x) {
  if (std::isnan(x)) return std::bit_cast<float>(0x7FFFFFFFU);
  if (std::isinf(x)) return std::copysign(0.0F, x);
  if (x == 0.0F) return std::copysign(infinity, x);
  return std::fpclassify(x) == FP_SUBNORMAL ? reciprocal(x * 0x1p24F, 24) : reciprocal(x, 0);
}

float rcp_approx_ftz(float x) {
  if (std::fpclassify(x) == FP_SUBNORMAL) return std::copysign(infinity, x);
  const float r = rcp_approx(x);
  return std::fpclassify(r) == FP_SUBNORMAL ? std::copysign(0.0F, r) : r;
}

float div_full(float x, float y) {
  if (std::fabs(y) > 0x1p126F) return x * 0.25F * rcp_approx_ftz(y * 0.25F);
  if (std::fpclassify(y) == FP_SUBNORMAL) return x * 0x1p24F * rcp_approx_ftz(y * 0x1p24F);
  return x * rcp_approx_ftz(y);
}

}  // namespace lowbit
