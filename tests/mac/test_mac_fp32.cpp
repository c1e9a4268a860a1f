// SPDX-License-Identifier: MIT
// lowbit_fp32_add and lowbit_fp32_mul against the processor's FP32.
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "Vlowbit_fp32_tb.h"
#include "catch.hpp"

namespace {

constexpr std::uint32_t quiet_nan = 0x7FC00000;

std::uint32_t word(float value) {
  return std::isnan(value) ? quiet_nan : std::bit_cast<std::uint32_t>(value);
}

std::uint32_t as_zero(std::uint32_t x) {
  return (x & 0x7F800000) == 0 ? x & 0x80000000 : x;
}

/// Without subnormals: operands flushed, and results that are subnormal after rounding to 24 bits.
/// The exact product (48 bits) and, of operands so small, the exact sum fit a double.
std::uint32_t flushed(double exact, std::uint32_t rounded) {
  if (std::isfinite(exact) && exact != 0.0 && std::fabs(exact) < 0x1p-120) {
    const float scaled = static_cast<float>(exact * 0x1p64);
    if (std::fabs(scaled) < 0x1p-62F) return std::signbit(scaled) ? 0x80000000 : 0;
  }
  return rounded;
}

class Operators {
 public:
  void check(std::uint32_t x, std::uint32_t y) {
    unit_.x_i = x;
    unit_.y_i = y;
    unit_.eval();
    const float fx = std::bit_cast<float>(x);
    const float fy = std::bit_cast<float>(y);
    const float zx = std::bit_cast<float>(as_zero(x));
    const float zy = std::bit_cast<float>(as_zero(y));
    bad_ += unit_.add_o != word(fx + fy) ? 1 : 0;
    bad_ += unit_.mul_o != word(fx * fy) ? 1 : 0;
    bad_ += unit_.add_flush_o !=
                    flushed(static_cast<double>(zx) + static_cast<double>(zy), word(zx + zy))
                ? 1
                : 0;
    bad_ += unit_.mul_flush_o !=
                    flushed(static_cast<double>(zx) * static_cast<double>(zy), word(zx * zy))
                ? 1
                : 0;
    ++pairs_;
  }
  [[nodiscard]] std::uint64_t bad() const { return bad_; }
  [[nodiscard]] std::uint64_t pairs() const { return pairs_; }

 private:
  Vlowbit_fp32_tb unit_;
  std::uint64_t bad_ = 0;
  std::uint64_t pairs_ = 0;
};

class Random {
 public:
  std::uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>(state_ >> 24);
  }

 private:
  std::uint64_t state_ = 88172645463325252U;
};

}  // namespace

TEST_CASE("fp32 operators: every pair of interesting words") {
  // Significands at both ends and beside rounding ties; every exponent that a boundary lies at.
  std::vector<std::uint32_t> words;
  for (const std::uint32_t e :
       {0U,   1U,   2U,   3U,   23U,  24U,  25U,  26U,  63U,  64U,  100U, 102U, 103U, 104U, 126U,
        127U, 128U, 150U, 151U, 152U, 153U, 154U, 189U, 190U, 191U, 252U, 253U, 254U, 255U}) {
    for (const std::uint32_t m : {0U, 1U, 2U, 3U, 0x3FFFFFU, 0x400000U, 0x400001U, 0x7FFFFDU,
                                  0x7FFFFEU, 0x7FFFFFU, 0x555555U, 0x000800U, 0x000FFFU}) {
      for (const std::uint32_t s : {0U, 1U}) words.push_back(s << 31 | e << 23 | m);
    }
  }
  Operators op;
  for (const std::uint32_t x : words) {
    for (const std::uint32_t y : words) op.check(x, y);
  }
  CHECK(op.pairs() == words.size() * words.size());
  CHECK(op.bad() == 0);
}

TEST_CASE("fp32 operators: random words, near exponents, cancellation, subnormals, ties") {
  Operators op;
  Random random;
  for (int i = 0; i < 1000000; ++i) {
    std::uint32_t x = random.next();
    std::uint32_t y = random.next();
    switch (i % 8) {
      case 0:
        break;
      case 1:
        y = (y & 0x807FFFFF) | ((((x >> 23) & 0xFF) + random.next() % 53 - 26) & 0xFF) << 23;
        break;
      case 2:
        y = x ^ 0x80000000 ^ (1U << random.next() % 26);
        break;
      case 3:
        x = (x & 0x807FFFFF) | (random.next() % 3) << 23, y = (y & 0x807FFFFF) | (random.next() % 3)
                                                                                     << 23;
        break;
      case 4:
        y = (y & 0x807FFFFF) | ((127U + 254U - ((x >> 23) & 0xFF) + random.next() % 5) & 0xFF)
                                   << 23;
        break;
      case 5:
        y = (y & 0x807FFFFF) | ((127U - ((x >> 23) & 0xFF) + random.next() % 26) & 0xFF) << 23;
        break;
      case 6:
        x &= 0xFFFFF000, y &= 0xFFFFF000;
        break;
      default:
        y = (y & 0xFF800000) | (1U << random.next() % 23);
        break;
    }
    op.check(x, y);
  }
  CHECK(op.bad() == 0);
}
