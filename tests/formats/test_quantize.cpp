// SPDX-License-Identifier: MIT
// Directed cases of the whole-tensor API under `canonical`; tests/oracle compares it with exact
// rationals on large inputs.
#include <cmath>
#include <limits>
#include <vector>

#include "catch.hpp"
#include "dequantize/exact_quotient.hpp"
#include "lowbit/block_trace.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/quantize_pieces.hpp"
#include "quantize/element_rounding.hpp"

using namespace lowbit;

namespace {

QuantizeOptions options_for(std::string_view format, std::optional<ScaleRule> rule = {}) {
  QuantizeOptions options;
  options.format = find_block_format(format);
  REQUIRE(options.format != nullptr);
  options.rule = rule;
  return options;
}

std::vector<int> codes_of(const BlockTensor& t) {
  std::vector<int> codes;
  for (std::size_t r = 0; r < t.rows; ++r) {
    for (std::size_t c = 0; c < t.columns; ++c) codes.push_back(t.code(r, c));
  }
  return codes;
}

/// Every exponent with dense mantissas around each element format's rounding boundaries, both
/// signs.
template <typename F>
void for_each_probe(F&& f) {
  for (std::uint32_t high = 0; high <= 0x7F80; ++high) {
    for (const std::uint32_t low : {0x0000U, 0x0001U, 0x7FFFU, 0x8000U, 0x8001U, 0xFFFFU}) {
      const std::uint32_t bits = high << 16 | low;
      if (bits > 0x7F800000U) continue;
      f(std::bit_cast<float>(bits));
      f(-std::bit_cast<float>(bits));
    }
  }
}

template <const ElementFormat& Format>
void compare_with_from_float() {
  std::size_t mismatches = 0;
  for_each_probe([&](float y) {
    if (detail::nearest_even_code<Format>(y) != from_float(Format, y)) ++mismatches;
  });
  INFO(Format.name);
  CHECK(mismatches == 0);
}

}  // namespace

TEST_CASE("the engine's element conversion is from_float's") {
  compare_with_from_float<e2m0>();
  compare_with_from_float<e2m1>();
  compare_with_from_float<e2m3>();
  compare_with_from_float<e3m2>();
  compare_with_from_float<e4m3>();
  compare_with_from_float<e5m2>();
  compare_with_from_float<int3>();
  compare_with_from_float<int4>();
  compare_with_from_float<int6>();
  compare_with_from_float<int8>();
}

TEST_CASE("nvfp4: exact ties, signed zeros and a scale of 448") {
  const std::vector<float> x{.75F,  1.75F, 3.5F,  .25F, 1.25F, 2.5F,  5.0F, 6.0F,
                             -.25F, -.1F,  -0.0F, 0.0F, -6.0F, -.75F, .26F, 5.1F};
  const BlockTensor t = quantize(x, 1, 16, options_for("nvfp4"));
  CHECK(t.amax == 6.0F);
  CHECK(t.encode_constant == 2688.0F);
  CHECK(t.scale(0, 0) == 0x7E);
  CHECK(codes_of(t) == std::vector<int>{2, 4, 6, 0, 2, 4, 6, 7, 8, 8, 8, 0, 15, 10, 1, 7});
}

TEST_CASE("the association of the block scale decides an E4M3 near tie") {
  // docs/dialects.md, near tie: (b / 6) * S gives 0x72, b * (S / 6) would give 0x73.
  std::vector<float> x{.0751953125F, -.90234375F,  1.109375F,   .052734375F,
                       2.203125F,    -.155273438F, .515625F,    -.86328125F,
                       -.6015625F,   1.2734375F,   -.80859375F, -.302734375F,
                       .96875F,      -1.1875F,     .72265625F,  -.84765625F};
  x.resize(32);
  x[16] = 5.875F;
  const BlockTensor t = quantize(x, 1, 32, options_for("nvfp4"));
  CHECK(t.scale(0, 0) == 0x72);
  std::vector<int> codes = codes_of(t);
  codes.resize(16);
  CHECK(codes == std::vector<int>{0, 0xd, 5, 0, 7, 9, 3, 0xc, 0xb, 6, 0xc, 0xa, 5, 0xd, 4, 0xc});
}

TEST_CASE("a block whose scale rounds to zero has codes 0") {
  std::vector<float> x(32, 0.0F);
  x[0] = 1024.0F;
  for (int i = 0; i < 15; ++i)
    x[16 + i] = std::ldexp(static_cast<float>(i % 2 == 0 ? i + 1 : -i - 1), -14);
  const BlockTensor t = quantize(x, 1, 32, options_for("nvfp4"));
  CHECK(t.scale(0, 1) == 0);
  for (std::size_t c = 16; c < 32; ++c) CHECK(t.code(0, c) == 0);
}

TEST_CASE("a tensor far from 1 quantizes like the same tensor near 1") {
  std::vector<float> x(64);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i) * 1.7F) * 3.0F;
  for (const auto& [format, rule] : {std::pair{"nvfp4", ScaleRule::mse},
                                     {"if4", ScaleRule::mse},
                                     {"nvfp4", ScaleRule::static_6}}) {
    const BlockTensor near = quantize(x, 4, 16, options_for(format, rule));
    for (const int k : {-120, -100, -40, 40, 100, 120}) {
      std::vector<float> far = x;
      for (float& v : far) v = std::ldexp(v, k);
      // sin() has full mantissas: shifting must not have lost any.
      const BlockTensor t = quantize(far, 4, 16, options_for(format, rule));
      CHECK(t.values == near.values);
      CHECK(t.scales == near.scales);
      CHECK(t.amax == std::ldexp(near.amax, k));
    }
  }
}

TEST_CASE("mx scale rules") {
  // docs/formats.md, MX: exponents of floor, rceil, ceil, even for an E2M1 block of that amax.
  struct Row {
    float b;
    int floor, rceil, ceil, even;
  };
  for (const Row& row :
       {Row{3, -1, -1, 0, -1}, Row{3.5F, -1, 0, 0, 0}, Row{5, 0, 0, 1, 0}, Row{6, 0, 0, 1, 0},
        Row{6.5F, 0, 1, 1, 0}, Row{7, 0, 1, 1, 1}, Row{8, 1, 1, 1, 1}, Row{12, 1, 1, 2, 1}}) {
    std::vector<float> x(32, 0.0F);
    x[7] = -row.b;
    const auto exponent = [&](ScaleRule rule) {
      return quantize(x, 1, 32, options_for("mxfp4", rule)).scale(0, 0) - 127;
    };
    CHECK(exponent(ScaleRule::floor) == row.floor);
    CHECK(exponent(ScaleRule::rceil) == row.rceil);
    CHECK(exponent(ScaleRule::static_6) == row.rceil);
    CHECK(exponent(ScaleRule::ceil) == row.ceil);
    CHECK(exponent(ScaleRule::even) == row.even);
  }
  CHECK(quantize(std::vector<float>(32, 5.0F), 1, 32, options_for("mxfp4", ScaleRule::static_4))
            .scale(0, 0) == 128);
}

TEST_CASE("a last partial block, its padding, and round trips of every format") {
  std::vector<float> x(3 * 37);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = std::cos(static_cast<float>(i * i)) * std::exp2(static_cast<float>(i % 5));
  for (const BlockFormat& format : block_formats()) {
    for (const bool block_2d : {false, true}) {
      if (block_2d && format.has_levels()) continue;
      QuantizeOptions options = options_for(format.name);
      options.block_2d = block_2d;
      const BlockTensor t = quantize(x, 3, 37, options);
      INFO(format.name);
      REQUIRE(t.scales.size() == 3 * t.blocks_per_row());
      for (std::size_t r = 0; r < 3; ++r) {
        for (std::size_t c = 37; c < t.padded_columns(); ++c) CHECK(t.code(r, c) == 0);
        if (block_2d) CHECK(t.scale(r, 0) == t.scale(0, 0));
      }
      std::vector<float> y(x.size());
      dequantize(t, y);
      double error = 0;
      double power = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        error += (y[i] - x[i]) * (y[i] - x[i]);
        power += x[i] * x[i];
      }
      CHECK(error < power * (format.element->bits == 3   ? 0.2
                             : format.element->bits == 4 ? 0.04
                                                         : 0.01));
    }
  }
}

TEST_CASE("non-finite input") {
  std::vector<float> x(48, 1.0F);
  x[17] = std::numeric_limits<float>::infinity();
  x[18] = std::numeric_limits<float>::quiet_NaN();
  QuantizeOptions options = options_for("nvfp4");
  CHECK_THROWS_AS(quantize(x, 3, 16, options), Error);
  options.nonfinite = NonFinite::propagate;
  const BlockTensor nan = quantize(x, 3, 16, options);
  CHECK(nan.amax == 1.0F);
  CHECK(nan.scale(0, 0) == 0x7E);
  CHECK(nan.scale(1, 0) == 0x7F);
  CHECK(nan.code(1, 0) == 0);
  std::vector<float> y(48);
  dequantize(nan, y);
  CHECK(y[0] == 1.0F);
  CHECK(std::isnan(y[16]));
  options.nonfinite = NonFinite::saturate;
  options.input_type = InputType::float16;
  const BlockTensor saturated = quantize(x, 3, 16, options);
  CHECK(saturated.amax == 65504.0F);
  CHECK(saturated.code(1, 1) == 7);
  CHECK(saturated.code(1, 2) == 0);
}

TEST_CASE("requests without a meaning are usage errors") {
  const std::vector<float> x(16, 1.0F);
  const auto kind_of = [&](QuantizeOptions options, std::size_t columns = 16) {
    try {
      static_cast<void>(quantize(x, 1, columns, options));
    } catch (const Error& error) {
      return static_cast<int>(error.kind());
    }
    return 0;
  };
  CHECK(kind_of(options_for("nvfp4")) == 0);
  CHECK(kind_of(options_for("if4", ScaleRule::static_6)) == 2);
  CHECK(kind_of(options_for("mxfp4", ScaleRule::mse)) == 2);
  CHECK(kind_of(options_for("nvfp4", ScaleRule::floor)) == 2);
  CHECK(kind_of(options_for("nvfp6_e2m3", ScaleRule::static_4)) == 2);
  CHECK(kind_of(options_for("nvfp4"), 15) == 2);
  CHECK(kind_of({}) == 2);
  QuantizeOptions options = options_for("nvfp4");
  options.scale_max = 300.0F;
  CHECK(kind_of(options) == 2);
  options = options_for("nvfp4");
  options.amax = -1.0F;
  CHECK(kind_of(options) == 2);
  options = options_for("nvfp4");
  options.rounding = ElementRounding::stochastic;
  CHECK(kind_of(options) == 2);
}

TEST_CASE("quotients at and just beside a tie") {
  // From 2^25 on floats are 4 apart: 2^25 + 2 and 2^25 + 6 are ties, going down and up.
  constexpr std::uint64_t d = 1000003;
  constexpr std::uint64_t tie = (1U << 25) + 2;
  CHECK(detail::rounded_quotient(false, tie * d, d, 0) == 0x1p25F);
  CHECK(detail::rounded_quotient(false, tie * d + 1, d, 0) == 0x1p25F + 4);
  CHECK(detail::rounded_quotient(false, tie * d - 1, d, 0) == 0x1p25F);
  CHECK(detail::rounded_quotient(true, (tie + 4) * d, d, 3) == -(0x1p28F + 64));
  CHECK(detail::rounded_quotient(true, (tie + 4) * d - 1, d, 3) == -(0x1p28F + 32));
  CHECK(detail::rounded_quotient(false, 3, 2, -149) == 0x1p-148F);
  CHECK(detail::rounded_quotient(false, 1, 2, -149) == 0.0F);
  CHECK(detail::rounded_quotient(false, d + 1, 2 * d, -149) == 0x1p-149F);
  CHECK(std::isinf(detail::rounded_quotient(false, 1, 1, 128)));
  CHECK(std::signbit(detail::rounded_quotient(true, 0, 1, 0)));
}

TEST_CASE("a stored matrix gives the bytes of its values, piece by piece and by any threads") {
  // More than one piece along rows, and along columns where tiles are cut.
  const std::size_t rows = 300;
  const std::size_t columns = 2100;
  std::vector<float> x(rows * columns);
  std::uint32_t state = 1;
  for (float& value : x) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(static_cast<std::int32_t>(state)) * 1e-9F;
  }
  TensorInfo tensor;
  tensor.name = "x";
  tensor.dtype = &dtype_f32;
  tensor.shape = {rows, columns};
  tensor.bytes = std::as_bytes(std::span(x));
  const std::vector<std::size_t> shape{rows, columns};
  for (const bool transposed : {false, true}) {
    for (const bool block_2d : {false, true}) {
      for (const int axis : {0, 1}) {
        QuantizeOptions options = options_for("nvfp4", ScaleRule::mse);
        options.block_2d = block_2d;
        const StoredMatrix matrix{&tensor, view_along(shape, axis), transposed};
        const TensorMatrix plain = matrix_of(tensor, matrix.view, transposed);
        const BlockTensor wanted = quantize(plain.values, plain.rows, plain.columns, options);
        for (const unsigned threads : {1U, 3U}) {
          std::uint64_t done = 0;
          const BlockTensor q =
              quantize(matrix, options, threads, [&](std::uint64_t n) { done += n; });
          CHECK(q.values == wanted.values);
          CHECK(q.scales == wanted.scales);
          CHECK(q.amax == wanted.amax);
          CHECK(q.encode_constant == wanted.encode_constant);
          CHECK(done == q.rows * q.blocks_per_row() * 16);
        }
      }
    }
  }
  CHECK_THROWS_AS(quantize({&tensor, view_along(shape, 1), false}, options_for("nvfp4"), 1,
                           [](std::uint64_t) { throw std::runtime_error("stop"); }),
                  std::runtime_error);
}
