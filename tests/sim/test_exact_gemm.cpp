// SPDX-License-Identifier: MIT
// exact_gemm against the rational model, and against exact_dot, which takes none of its fast paths.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "catch.hpp"
#include "exact_oracle.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/exact.hpp"
#include "random_tensor.hpp"

using namespace lowbit;
using namespace lowbit::sim;
using lowbit_test::make_tensor;
using lowbit_test::random_tensor;
using lowbit_test::set_code;

namespace {

const BlockFormat& format(const char* name) {
  return *find_block_format(name);
}

void check_equals_dot(const BlockTensor& a, const BlockTensor& b, NanScale policy) {
  const std::vector<ExactValue> values = exact_gemm_values(a, b, policy);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < b.rows; ++j) {
      REQUIRE(values[i * b.rows + j] == exact_dot(a, i, b, j, policy));
    }
  }
}

/// Scale bytes of E8M0 and UE5M3 within `width` of `middle`: whether a row fits 128 bits depends on
/// it.
void narrow_scales(BlockTensor& t, unsigned middle, unsigned width, std::mt19937& random) {
  if (*t.format->scale == e4m3) return;
  for (auto& s : t.scales) s = static_cast<std::uint8_t>(middle + random() % width);
}

}  // namespace

TEST_CASE("exact_gemm equals the rational model on every pair of formats") {
  std::mt19937 random(11);
  for (const BlockFormat& fa : block_formats()) {
    if (fa.has_levels()) continue;
    for (const BlockFormat& fb : block_formats()) {
      if (fb.has_levels()) continue;
      CAPTURE(fa.name, fb.name);
      BlockTensor a = random_tensor(fa, 2, 72, random);
      BlockTensor b = random_tensor(fb, 3, 72, random);
      if (random() % 2 == 0) narrow_scales(a, 100, 8, random);
      if (random() % 2 == 0) narrow_scales(b, 140, 8, random);
      a.amax = 3.14159F;
      a.encode_constant = 2688.0F;
      b.amax = 0.0123F;
      b.encode_constant = 1536.0F;
      const auto words = exact_gemm(a, b);
      ExactOptions none;
      none.tensor_scale = TensorScale::none;
      none.output = &bf16;
      const auto raw = exact_gemm(a, b, none);
      const oracle::cpp_rational scale =
          oracle::from_float(a.amax) / oracle::from_float(a.encode_constant) *
          oracle::from_float(b.amax) / oracle::from_float(b.encode_constant);
      for (std::size_t i = 0; i < 2; ++i) {
        for (std::size_t j = 0; j < 3; ++j) {
          const auto exact = oracle::dot(a, i, b, j);
          REQUIRE(words[i * 3 + j] == oracle::round(*exact * scale, 8, 23));
          REQUIRE(raw[i * 3 + j] == oracle::round(*exact, 8, 7));
        }
      }
    }
  }
}

TEST_CASE("fast paths equal exact_dot: wide and narrow scale spans, extremes") {
  std::mt19937 random(12);
  for (const BlockFormat& fa : block_formats()) {
    if (fa.has_levels()) continue;
    for (const BlockFormat& fb : block_formats()) {
      if (fb.has_levels()) continue;
      CAPTURE(fa.name, fb.name);
      for (const unsigned width : {1U, 20U, 50U, 250U}) {
        BlockTensor a = random_tensor(fa, 2, 200, random);
        BlockTensor b = random_tensor(fb, 2, 200, random);
        narrow_scales(a, 2, width, random);
        narrow_scales(b, 3, width, random);
        check_equals_dot(a, b, NanScale::error);
      }
      // Every element and scale at its largest, one sign: the bounds of the sums.
      BlockTensor top = random_tensor(fa, 1, 2080, random);
      BlockTensor other = random_tensor(fb, 1, 2080, random);
      for (BlockTensor* t : {&top, &other}) {
        const bool integer = t->format->element->is_integer() || t->format->is_adaptive();
        const ElementFormat& e =
            t->format->is_adaptive() ? *t->format->integer : *t->format->element;
        const unsigned code =
            integer && e.coding == Coding::twos_complement ? e.sign_mask() : e.max_code();
        for (std::size_t k = 0; k < t->padded_columns(); ++k) set_code(*t, 0, k, code);
        for (auto& s : t->scales) {
          s = *t->format->scale != e4m3 || t->format->is_adaptive() ? 0xFE : 0x7E;
        }
      }
      check_equals_dot(top, other, NanScale::error);
    }
  }
}

TEST_CASE("64-bit sums are flushed before they can overflow") {
  // IF4 at its largest: 2^53 per block, so more than 2^10 blocks pass 2^63.
  for (const char* name : {"if4", "if6_e2m3", "nvfp6_e3m2", "nvint6"}) {
    CAPTURE(name);
    const BlockFormat& f = format(name);
    BlockTensor t = make_tensor(f, 1, std::size_t{1} << 17);
    const unsigned code = f.is_adaptive()
                              ? (f.integer->coding == Coding::twos_complement ? 8U : 31U)
                              : f.element->max_code();
    for (std::size_t k = 0; k < t.columns; ++k) set_code(t, 0, k, code);
    std::fill(t.scales.begin(), t.scales.end(), f.is_adaptive() ? 0xFE : 0x7E);
    const auto value = exact_gemm_values(t, t)[0];
    CHECK(value == exact_dot(t, 0, t, 0));
    CHECK(value.integer.bit_length() > 62);
  }
}

TEST_CASE("NaN scales and FP8 specials in a product") {
  std::mt19937 random(13);
  for (const char* name : {"nvfp4", "if6_e3m2", "mxfp8_e5m2", "mxfp4", "amdfp4"}) {
    CAPTURE(name);
    BlockTensor a = random_tensor(format(name), 3, 64, random);
    const BlockTensor b = random_tensor(format("mxfp8_e4m3"), 2, 64, random);
    a.scales[a.blocks_per_row()] = a.format->family() == ScaleFamily::mx ? 0xFF : 0xFF;
    CHECK_THROWS_WITH(exact_gemm(a, b),
                      "A: NaN scale byte 0xff at row 1, block 0; choose what it means "
                      "(--nan-scale nan or 448)");
    CHECK_THROWS_AS(exact_gemm(b, a), Error);
    check_equals_dot(a, b, NanScale::nan);
    check_equals_dot(a, b, NanScale::largest);
    const auto values = exact_gemm_values(a, b, NanScale::nan);
    CHECK(values[1].number_class != NumberClass::nan);
    CHECK(values[2].number_class == NumberClass::nan);
    CHECK(values[4].number_class != NumberClass::nan);
  }
  BlockTensor a = random_tensor(format("mxfp8_e5m2"), 3, 64, random);
  BlockTensor b = random_tensor(format("mxfp8_e5m2"), 3, 64, random);
  set_code(a, 1, 5, 0x7C);
  set_code(b, 2, 60, 0x7F);
  set_code(b, 0, 5, 0x00);
  check_equals_dot(a, b, NanScale::error);
}

TEST_CASE("tensor scales in FP32 after rounding") {
  std::mt19937 random(14);
  BlockTensor a = random_tensor(format("if4"), 4, 64, random);
  BlockTensor b = random_tensor(format("nvfp4"), 5, 64, random);
  a.amax = 1.1F;
  a.encode_constant = 2688.0F;
  b.amax = 1.7F;  // alpha in one rounding instead of three is another float
  b.encode_constant = 1536.0F;
  ExactOptions options;
  options.tensor_scale = TensorScale::fp32;
  const auto words = exact_gemm(a, b, options);
  options.output = &f16;
  const auto halves = exact_gemm(a, b, options);
  const float alpha = (1.1F / 2688.0F) * (1.7F / 1536.0F);
  bool differs_from_exact = false;
  const auto exact = exact_gemm(a, b);
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 5; ++j) {
      const float value = round_to_float(exact_dot(a, i, b, j)) * alpha;
      CHECK(words[i * 5 + j] == std::bit_cast<std::uint32_t>(value));
      CHECK(halves[i * 5 + j] == oracle::round(oracle::from_float(value), 5, 10));
      differs_from_exact = differs_from_exact || words[i * 5 + j] != exact[i * 5 + j];
    }
  }
  CHECK(differs_from_exact);
  a.amax = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(exact_gemm(a, b), Error);
  options.tensor_scale = TensorScale::none;
  CHECK_NOTHROW(exact_gemm(a, b, options));
}

TEST_CASE("any number of threads gives the same words; empty products are empty or zero") {
  std::mt19937 random(15);
  const BlockTensor a = random_tensor(format("nvfp4"), 37, 80, random);
  const BlockTensor b = random_tensor(format("nvfp4"), 5, 80, random);
  ExactOptions options;
  options.threads = 1;
  const auto one = exact_gemm(a, b, options);
  options.threads = 7;
  CHECK(exact_gemm(a, b, options) == one);
  CHECK(exact_gemm(make_tensor(format("nvfp4"), 0, 80), b).empty());
  const auto no_k =
      exact_gemm(make_tensor(format("nvfp4"), 2, 0), make_tensor(format("mxfp4"), 1, 0));
  CHECK(no_k == std::vector<std::uint32_t>{0, 0});
  CHECK_THROWS_WITH(exact_gemm(a, make_tensor(format("nvfp4"), 5, 64)),
                    "A is 37 x 80 and B 5 x 64: D = A * B^T needs the same number of columns (K)");
}
