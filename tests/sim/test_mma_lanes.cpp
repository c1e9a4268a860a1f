// SPDX-License-Identifier: MIT
// The lane loops are compiled for several vector widths: each must give the same sums.
#include <array>
#include <cstring>
#include <random>

#include "catch.hpp"
#include "tensor_core/lanes.hpp"

using namespace lowbit::sim::detail;

namespace {

struct Result {
  std::array<std::int32_t, lane_count> largest{};
  std::array<std::int64_t, lane_count> sums{};
  friend bool operator==(const Result&, const Result&) = default;
};

}  // namespace

TEST_CASE("aligned lanes are the same for every vector width, and the definition") {
  std::mt19937 random(1);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 2000; ++round) {
    std::array<std::int16_t, 32> a{}, a_exponents{};
    std::array<std::int16_t, 32 * lane_count> b{}, b_exponents{};
    std::array<std::int32_t, lane_count> scale{};
    std::array<std::uint8_t, 32> order{};
    Result start;
    const int spread = 1 + below(80);
    for (std::size_t k = 0; k < 32; ++k) {
      order[k] = static_cast<std::uint8_t>(31 - k);
      a[k] = static_cast<std::int16_t>(below(4095) - 2047);
      a_exponents[k] = static_cast<std::int16_t>(below(spread) - 20);
    }
    for (std::int16_t& x : b) x = static_cast<std::int16_t>(below(5) == 0 ? 0 : below(4095) - 2047);
    for (std::int16_t& x : b_exponents) x = static_cast<std::int16_t>(below(spread) - 20);
    for (std::int32_t& x : scale) x = below(3) == 0 ? below(400) - 200 : 0;
    for (std::int32_t& x : start.largest) x = below(300) - 200;
    const int count = 1 + below(32);
    const int up = below(6);
    Result expected = start;
    for (std::size_t lane = 0; lane < lane_count; ++lane) {
      std::array<std::int64_t, 32> products{}, exponents{};
      for (int i = 0; i < count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const std::size_t k = order[at];
        products[at] = a[k] * b[k * lane_count + lane];
        exponents[at] = products[at] == 0
                            ? -133
                            : a_exponents[k] + b_exponents[k * lane_count + lane] + scale[lane];
        expected.largest[lane] =
            std::max(expected.largest[lane], static_cast<std::int32_t>(exponents[at]));
      }
      for (int i = 0; i < count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const std::int64_t shift = expected.largest[lane] - exponents[at];
        // Division truncates toward zero.
        expected.sums[lane] +=
            shift > 40 ? 0 : products[at] * (1 << up) / (std::int64_t{1} << shift);
      }
    }
    for (const LaneKernels& kernels : lane_kernels()) {
      Result result = start;
      kernels.aligned({a.data(), a_exponents.data(), b.data(), b_exponents.data(), order.data(),
                       count, up, -133, scale.data(), result.largest.data(), result.sums.data()});
      INFO(kernels.target);
      CHECK(result == expected);
    }
  }
}

TEST_CASE("grouped lanes are the same for every vector width, and the definition") {
  std::mt19937 random(2);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 2000; ++round) {
    std::array<std::int16_t, 64> a{};
    std::array<std::int16_t, 64 * lane_count> b{};
    std::array<std::uint16_t, 4> a_nonzero{};
    std::array<std::uint16_t, 4 * lane_count> b_nonzero{};
    std::array<std::int16_t, 4> a_scale{}, a_exponent{};
    std::array<std::int16_t, 4 * lane_count> b_scale{}, b_exponent{};
    Result start;
    const int zeros = 1 + below(20);
    for (std::size_t k = 0; k < 64; ++k) {
      a[k] = static_cast<std::int16_t>(below(20) < zeros ? 0 : below(25) - 12);
      if (a[k] != 0) a_nonzero[k / 16] |= static_cast<std::uint16_t>(1U << (k % 16));
      for (std::size_t lane = 0; lane < lane_count; ++lane) {
        b[k * lane_count + lane] =
            static_cast<std::int16_t>(below(20) < zeros ? 0 : below(25) - 12);
        if (b[k * lane_count + lane] != 0)
          b_nonzero[k / 16 * lane_count + lane] |= static_cast<std::uint16_t>(1U << (k % 16));
      }
    }
    for (std::size_t g = 0; g < 4; ++g) {
      a_scale[g] = static_cast<std::int16_t>(below(16));
      a_exponent[g] = static_cast<std::int16_t>(below(15) - 6);
      for (std::size_t lane = 0; lane < lane_count; ++lane) {
        b_scale[g * lane_count + lane] = static_cast<std::int16_t>(below(16));
        b_exponent[g * lane_count + lane] = static_cast<std::int16_t>(below(40) - 26);
      }
    }
    for (std::int32_t& x : start.largest) x = below(100) - 140;
    Result expected = start;
    for (std::size_t lane = 0; lane < lane_count; ++lane) {
      std::array<std::int64_t, 4> sums{}, exponents{};
      for (std::size_t g = 0; g < 4; ++g) {
        bool any = false;
        for (std::size_t k = g * 16; k < g * 16 + 16; ++k) {
          any = any || (a[k] != 0 && b[k * lane_count + lane] != 0);
          sums[g] += a[k] * b[k * lane_count + lane];
        }
        const std::int64_t scale = a_scale[g] * b_scale[g * lane_count + lane];
        sums[g] *= scale;
        exponents[g] = any && scale != 0 ? a_exponent[g] + b_exponent[g * lane_count + lane] : -139;
        expected.largest[lane] =
            std::max(expected.largest[lane], static_cast<std::int32_t>(exponents[g]));
      }
      for (std::size_t g = 0; g < 4; ++g) {
        const std::int64_t shift = expected.largest[lane] - exponents[g];
        expected.sums[lane] +=
            shift > 62 ? 0 : sums[g] * (std::int64_t{1} << 27) / (std::int64_t{1} << shift);
      }
    }
    for (const LaneKernels& kernels : lane_kernels()) {
      Result result = start;
      kernels.grouped({a.data(), b.data(), a_nonzero.data(), b_nonzero.data(), a_scale.data(),
                       a_exponent.data(), b_scale.data(), b_exponent.data(), 27, -139,
                       result.largest.data(), result.sums.data()});
      INFO(kernels.target);
      CHECK(result == expected);
    }
  }
}
