// SPDX-License-Identifier: MIT
// Tensors with a scale per row, and stochastic rounding with given random bytes. What libraries
// returned for row-scaled tensors is compared by test_captures.
#include <cmath>
#include <random>
#include <vector>

#include "catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/row_scaled.hpp"

using namespace lowbit;

namespace {

std::vector<float> numbers(std::size_t count) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> x(count);
  for (float& v : x) v = normal(random);
  return x;
}

}  // namespace

TEST_CASE("each row is a tensor of its own") {
  constexpr std::size_t rows = 37, columns = 50;
  auto x = numbers(rows * columns);
  for (std::size_t c = 0; c < columns; ++c) {
    x[3 * columns + c] = 0.0F;       // A = 0
    x[4 * columns + c] *= 0x1p90F;   // beyond the range where A is kept as it is
    x[5 * columns + c] *= 0x1p-90F;  // below it
  }
  for (const char* format : {"nvfp4", "if4", "mxfp4", "nvfp6_e2m3"}) {
    for (const char* dialect : {"canonical", "te_python_ref", "flashinfer_te_class_pertoken"}) {
      CAPTURE(format, dialect);
      QuantizeOptions o;
      o.format = find_block_format(format);
      o.dialect = &dialect_named(dialect);
      const RowScaledTensor t = quantize_row_scaled(x, rows, columns, o);
      CHECK(t.blocks.values == quantize_row_scaled(x, rows, columns, o, 1).blocks.values);
      REQUIRE(t.row_amax.size() == rows);
      std::vector<float> all(x.size());
      dequantize(t, all, o.dialect);
      for (std::size_t r = 0; r < rows; ++r) {
        const std::span<const float> row = std::span<const float>(x).subspan(r * columns, columns);
        const BlockTensor alone = quantize(row, 1, columns, o);
        const BlockTensor part = t.row(r);
        CHECK(part.values == alone.values);
        CHECK(part.scales == alone.scales);
        CHECK(part.amax == alone.amax);
        CHECK(part.encode_constant == alone.encode_constant);
        std::vector<float> wanted(columns);
        dequantize(alone, wanted, o.dialect);
        CHECK(std::equal(wanted.begin(), wanted.end(),
                         all.begin() + static_cast<std::ptrdiff_t>(r * columns)));
      }
    }
  }
  QuantizeOptions o;
  o.format = find_block_format("nvfp4");
  CHECK(quantize_row_scaled(x, rows, columns, o).row_amax[4] >
        quantize_row_scaled(x, rows, columns, o).row_amax[6]);
  CHECK(quantize_row_scaled({}, 0, columns, o).row_amax.empty());
  CHECK_THROWS_AS(quantize_row_scaled(x, rows, columns - 1, o), Error);
  o.block_2d = true;
  CHECK_THROWS_AS(quantize_row_scaled(x, rows, columns, o), Error);
  o.block_2d = false;
  o.amax = 1.0F;
  CHECK_THROWS_AS(quantize_row_scaled(x, rows, columns, o), Error);
}

TEST_CASE("random numbers of a row-scaled tensor are those of the matrix") {
  constexpr std::size_t rows = 20, columns = 40, padded = 48;
  const auto x = numbers(rows * columns);
  std::mt19937 random(5);
  std::vector<std::uint8_t> bytes(rows * padded);
  for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
  const std::vector<float> u = random_numbers_of(bytes);
  QuantizeOptions o;
  o.format = find_block_format("nvfp4");
  o.rounding = ElementRounding::stochastic;
  o.random0 = u;
  const RowScaledTensor t = quantize_row_scaled(x, rows, columns, o);
  for (std::size_t r = 0; r < rows; ++r) {
    o.random0 = std::span<const float>(u).subspan(r * padded, padded);
    const BlockTensor alone =
        quantize(std::span<const float>(x).subspan(r * columns, columns), 1, columns, o);
    CHECK(t.row(r).values == alone.values);
  }
  o.random0 = std::span<const float>(u).first(rows * columns);
  CHECK_THROWS_AS(quantize_row_scaled(x, rows, columns, o), Error);
}

TEST_CASE("kernels add a random byte to the element: every byte, elements around every code") {
  // A = 2688 and a block amax of 6 give S = 1 and the scale 1: y = x.
  constexpr double magnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  const auto step_of = [](double t) { return t < 2 ? 0.5 : t < 4 ? 1.0 : 2.0; };
  QuantizeOptions o;
  o.format = find_block_format("nvfp4");
  o.dialect = &dialect_named("te_ge_2.14");
  o.rounding = ElementRounding::stochastic;
  o.amax = 2688.0F;
  std::vector<float> elements;
  for (int k = 0; k <= 48; ++k) {
    const float x = static_cast<float>(k) / 8.0F;
    for (const float v : {x, std::nextafter(x, 7.0F), x + 1.0F / 512, x + 1.0F / 4096}) {
      if (v <= 6.0F) elements.push_back(v);
    }
  }
  std::size_t ups = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    for (const float v : elements) {
      std::vector<float> x(16, 0.0F);
      x[0] = 6.0F;
      x[1] = v;
      x[2] = -v;
      std::vector<std::uint8_t> bytes(16, 0);
      bytes[1] = bytes[2] = static_cast<std::uint8_t>(byte);
      const std::vector<float> u = random_numbers_of(bytes);
      o.random0 = u;
      const BlockTensor t = quantize(x, 1, 16, o);
      REQUIRE(t.scales[0] == 0x38);
      // The sum is exact in double, and rounded once to binary32.
      const double sum = static_cast<float>(double{v} + byte / 256.0 * step_of(v));
      const double q = std::min(std::floor(sum / step_of(sum)) * step_of(sum), 6.0);
      CHECK(magnitudes[t.code(0, 1)] == q);
      CHECK(t.code(0, 2) == (t.code(0, 1) | 8));
      CHECK(t.code(0, 0) == 7);
      ups += q > v ? 1 : 0;
    }
  }
  CHECK(ups > 10000);
}
