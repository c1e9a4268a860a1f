// SPDX-License-Identifier: MIT
// Layouts, the Hadamard transform, and the trace of a block.
#include "lowbit/layout.hpp"

#include <cmath>
#include <numeric>
#include <random>

#include "catch.hpp"
#include "lowbit/axis_view.hpp"
#include "lowbit/block_trace.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "lowbit/hadamard.hpp"

using namespace lowbit;

namespace {

std::vector<float> ramp(std::size_t n) {
  std::vector<float> x(n);
  std::iota(x.begin(), x.end(), 0.0F);
  return x;
}

}  // namespace

TEST_CASE("nibbles: the even code is the low one") {
  const std::vector<std::uint8_t> codes{1, 2, 15, 8, 7};
  CHECK(pack_nibbles(codes) == std::vector<std::uint8_t>{0x21, 0x8F, 0x07});
  CHECK(unpack_nibbles(pack_nibbles(codes), 5) == codes);
  CHECK_THROWS_AS(unpack_nibbles(codes, 3), Error);
}

TEST_CASE("rows along any axis, and back") {
  const std::vector<std::size_t> shape{3, 40, 5, 2};
  const std::vector<float> tensor = ramp(3 * 40 * 5 * 2);
  for (int axis = -4; axis < 4; ++axis) {
    const AxisView view = view_along(shape, axis);
    const int at = axis < 0 ? axis + 4 : axis;
    REQUIRE(view.length == shape[static_cast<std::size_t>(at)]);
    REQUIRE(view.rows() * view.length == tensor.size());
    std::vector<float> matrix(tensor.size());
    gather_rows(tensor, view, matrix);
    for (std::size_t o = 0; o < view.outer; ++o) {
      for (std::size_t i = 0; i < view.length; ++i) {
        for (std::size_t n = 0; n < view.inner; ++n) {
          REQUIRE(matrix[(o * view.inner + n) * view.length + i] ==
                  tensor[(o * view.length + i) * view.inner + n]);
        }
      }
    }
    std::vector<float> back(tensor.size());
    scatter_rows(matrix, view, back);
    CHECK(back == tensor);
  }
  CHECK_THROWS_AS(view_along(shape, 4), Error);
  CHECK_THROWS_AS(view_along(shape, -5), Error);
  CHECK(view_along({}, 0).rows() == 1);
  const std::vector<std::size_t> vast{std::size_t{1} << 40, std::size_t{1} << 40};
  CHECK_THROWS_AS(view_along(vast, 0), Error);
}

TEST_CASE("transposing twice") {
  const std::vector<float> x = ramp(37 * 70);
  std::vector<float> y(x.size());
  std::vector<float> z(x.size());
  transpose(x, 37, 70, y);
  CHECK(y[1] == 70.0F);
  CHECK(y[37] == 1.0F);
  transpose(y, 70, 37, z);
  CHECK(z == x);
}

TEST_CASE("the Hadamard transform of unit vectors, and of itself") {
  // Row i of diag(sign) * Sylvester / 4, the matrix built by doubling.
  std::vector<std::vector<int>> h{{1}};
  while (h.size() < 16) {
    const std::size_t n = h.size();
    std::vector<std::vector<int>> d(2 * n, std::vector<int>(2 * n));
    for (std::size_t r = 0; r < 2 * n; ++r) {
      for (std::size_t c = 0; c < 2 * n; ++c)
        d[r][c] = h[r % n][c % n] * (r >= n && c >= n ? -1 : 1);
    }
    h = d;
  }
  for (std::size_t i = 0; i < 16; ++i) {
    std::vector<float> x(32);
    x[i] = 4.0F;
    x[16 + i] = -8.0F;
    hadamard_transform(x, InputType::bfloat16);
    for (std::size_t j = 0; j < 16; ++j) {
      const int expected = hadamard_signs[i] * h[i][j];
      CHECK(x[j] == static_cast<float>(expected));
      CHECK(x[16 + j] == static_cast<float>(-2 * expected));
    }
  }
}

TEST_CASE("the Hadamard transform adds in order and rounds to the input's type") {
  // 2^24 + 1 - 2^24: in order the 1 is lost; signs 0 and 1 are positive, 3 is negative.
  std::vector<float> x(16);
  x[0] = 0x1p24F;
  x[1] = 1.0F;
  x[3] = 0x1p24F;
  hadamard_transform(x, InputType::float32);
  CHECK(x[0] == 0.0F);
  CHECK_FALSE(std::signbit(x[0]));
  std::vector<float> y(16);
  y[0] = 4.0F;
  y[1] = 0x1p-6F;  // a tie after the division by 4
  hadamard_transform(y, InputType::bfloat16);
  CHECK(y[0] == 1.0F);
  y.assign(16, 0.0F);
  y[0] = 4.0F;
  y[1] = 0x1.02p-6F;
  hadamard_transform(y, InputType::bfloat16);
  CHECK(y[0] == 0x1.02p0F);
  std::vector<float> z(16, 65504.0F);
  for (std::size_t i = 0; i < 16; ++i) z[i] *= hadamard_signs[i];
  hadamard_transform(z, InputType::float16);
  CHECK(std::isinf(z[0]));
}

TEST_CASE("a trace is what quantize does") {
  std::mt19937 g(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(32 * 64);
  for (float& v : x) v = normal(g);
  for (const BlockFormat& format : block_formats()) {
    for (const Dialect& dialect : dialects()) {
      for (const bool block_2d : {false, true}) {
        if (format.has_levels() && (block_2d || dialect.name != canonical.name)) continue;
        QuantizeOptions options;
        options.format = &format;
        options.dialect = &dialect;
        options.block_2d = block_2d;
        std::vector<BlockChoice> choices(32 * (64 / static_cast<std::size_t>(format.block_size)));
        const BlockTensor t = quantize(x, 32, 64, options, choices);
        const std::size_t row = 17;
        const std::size_t block = t.blocks_per_row() - 1;
        const BlockTrace trace = trace_block(x, 32, 64, options, row, block);
        INFO(format.name << " " << dialect.name);
        REQUIRE(trace.candidates.size() == (format.is_adaptive() ? 2U : 1U));
        const CandidateTrace& chosen = trace.candidates[trace.chosen];
        CHECK(trace.tensor_amax == t.amax);
        CHECK(trace.encode_constant == t.encode_constant);
        CHECK(trace.scale_byte == t.scale(row, block));
        CHECK(chosen.kind == choices[row * t.blocks_per_row() + block]);
        const std::size_t size = static_cast<std::size_t>(format.block_size);
        const std::size_t first = block_2d ? row % size * size : 0;
        bool same = true;
        for (std::size_t i = 0; i < size; ++i) {
          same = same && chosen.codes[first + i] == t.code(row, block * size + i);
          same = same && trace.elements[first + i] == x[row * 64 + block * size + i];
        }
        CHECK(same);
        if (trace.candidates.size() == 2) {
          CHECK(trace.chosen == (trace.candidates[1].error < trace.candidates[0].error ? 1U : 0U));
        }
      }
    }
  }
}

TEST_CASE("a tensor in pieces") {
  std::vector<float> x(64 * 32);
  std::mt19937 g(6);
  std::normal_distribution<float> normal;
  for (float& v : x) v = normal(g);
  QuantizeOptions options;
  options.format = find_block_format("if4");
  options.transforms = {hadamard()};
  options.input_type = InputType::bfloat16;
  const BlockTensor whole = quantize(x, 64, 32, options);
  const std::span<const float> all(x);
  const auto top = all.first(48 * 32);
  const auto bottom = all.last(16 * 32);
  options.amax =
      std::max(measure_amax(top, 48, 32, options), measure_amax(bottom, 16, 32, options));
  std::vector<std::uint8_t> values;
  std::vector<std::uint8_t> scales;
  for (const auto& [piece, rows] : {std::pair{top, 48}, {bottom, 16}}) {
    const BlockTensor t = quantize(piece, static_cast<std::size_t>(rows), 32, options);
    values.insert(values.end(), t.values.begin(), t.values.end());
    scales.insert(scales.end(), t.scales.begin(), t.scales.end());
  }
  CHECK(values == whole.values);
  CHECK(scales == whole.scales);
}
