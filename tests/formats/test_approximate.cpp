// SPDX-License-Identifier: MIT
// rcp.approx and div.full against digests of what an H200 returned (driver 580.159, CUDA 13.0).
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "capture/sha256.hpp"
#include "catch.hpp"
#include "lowbit/approximate.hpp"

using namespace lowbit;

namespace {

std::uint32_t bits(float x) {
  return std::bit_cast<std::uint32_t>(x);
}

float from_bits(std::uint32_t x) {
  return std::bit_cast<float>(x);
}

std::string hex(const std::vector<std::int8_t>& bytes) {
  const auto digest =
      golden::sha256({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  std::string text;
  for (const std::uint8_t b : digest) {
    constexpr const char* digits = "0123456789abcdef";
    text += digits[b >> 4];
    text += digits[b & 15];
  }
  return text;
}

/// Units in the last place between a result and the correctly rounded one of the same sign.
std::int8_t difference(float result, float rounded) {
  return static_cast<std::int8_t>(bits(result) - bits(rounded));
}

struct SplitMix {
  std::uint64_t state;
  std::uint64_t operator()() {
    state += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
};

}  // namespace

TEST_CASE("rcp.approx of every significand") {
  std::vector<std::int8_t> differences;
  differences.reserve(1U << 23);
  for (std::uint32_t m = 0; m < (1U << 23); ++m) {
    const float x = from_bits(0x3F800000U | m);
    differences.push_back(difference(rcp_approx_ftz(x), 1.0F / x));
  }
  CHECK(hex(differences) == "862bea101da795bf5fd46df9dfe5142a79c29edd831e2da30aa84385d885e8fe");
  // The same difference in every binade, with and without subnormal results.
  for (const std::uint32_t m : {0U, 0x123456U, 0x400000U, 0x7FFFFFU}) {
    const float unit = rcp_approx_ftz(from_bits(0x3F800000U | m));
    for (int e = -126; e <= 127; ++e) {
      const float x = std::ldexp(from_bits(0x3F800000U | m), e);
      CHECK(bits(rcp_approx(x)) == bits(std::ldexp(unit, -e)));
      const bool is_subnormal = std::fpclassify(std::ldexp(unit, -e)) == FP_SUBNORMAL;
      CHECK(bits(rcp_approx_ftz(-x)) == bits(is_subnormal ? -0.0F : -std::ldexp(unit, -e)));
    }
  }
}

TEST_CASE("rcp.approx at the edges") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(rcp_approx_ftz(0.0F) == infinity);
  CHECK(rcp_approx_ftz(-0.0F) == -infinity);
  CHECK(bits(rcp_approx_ftz(-infinity)) == 0x80000000U);
  CHECK(bits(rcp_approx(from_bits(0x7FC00001U))) == 0x7FFFFFFFU);
  CHECK(rcp_approx_ftz(-0x1p-127F) == -infinity);
  CHECK(rcp_approx(0x1p-127F) == 0x1p127F);
  CHECK(rcp_approx(0x1p-149F) == infinity);
  CHECK(bits(rcp_approx_ftz(0x1p127F)) == 0U);
  CHECK(rcp_approx(0x1p127F) == 0x1p-127F);
}

TEST_CASE("div.full of 2^20 pairs") {
  // How the pairs were drawn is said in the captures' README.
  SplitMix next{0x5EED0001U};
  constexpr std::uint32_t pairs = 1U << 20;
  std::vector<std::int8_t> differences;
  differences.reserve(pairs);
  for (std::uint32_t i = 0; i < pairs; ++i) {
    const auto x = static_cast<std::uint32_t>(next() & 0x7FFFFFU);
    const auto y = static_cast<std::uint32_t>(next() & 0x7FFFFFU);
    std::uint32_t ex = 127;
    std::uint32_t ey = 127;
    if (i >= pairs / 4 * 3) {
      ex = static_cast<std::uint32_t>(next() % 255);
      ey = static_cast<std::uint32_t>(next() % 255);
    } else if (i >= pairs / 2) {
      ex = 107 + static_cast<std::uint32_t>(next() % 41);
      ey = 107 + static_cast<std::uint32_t>(next() % 41);
    }
    const auto sx = static_cast<std::uint32_t>(next() & 1U);
    const auto sy = static_cast<std::uint32_t>(next() & 1U);
    const float a = from_bits(sx << 31 | ex << 23 | x);
    const float b = from_bits(sy << 31 | ey << 23 | y);
    differences.push_back(difference(div_full(a, b), a / b));
  }
  CHECK(hex(differences) == "fc9d89558c081dcb14879217824ce20dc5c75ccd9df0d399c03d3a8f3048e1d4");
}
