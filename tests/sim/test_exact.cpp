// SPDX-License-Identifier: MIT
// exact_dot and its accumulator against Boost.Multiprecision, on every pair of formats.
#include <algorithm>
#include <bit>
#include <numeric>
#include <random>

#include "catch.hpp"
#include "exact_oracle.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/exact.hpp"
#include "random_tensor.hpp"

using lowbit::BlockFormat;
using lowbit::BlockTensor;
using lowbit::NumberClass;
using namespace lowbit::sim;
using lowbit_test::make_tensor;
using lowbit_test::random_tensor;
using lowbit_test::set_code;

namespace {

const BlockFormat& format(const char* name) {
  return *lowbit::find_block_format(name);
}

oracle::cpp_rational as_rational(const ExactValue& v) {
  oracle::cpp_int integer = 0;
  const WideInteger magnitude = v.integer.magnitude();
  for (std::size_t i = WideInteger::limb_count; i-- > 0;) {
    integer = (integer << 64) + magnitude.limbs()[i];
  }
  if (v.integer.is_negative()) integer = -integer;
  return oracle::cpp_rational(integer) * oracle::power_of_two(v.exponent) / v.denominator;
}

void check_against_oracle(const BlockTensor& a, const BlockTensor& b, NanScale policy) {
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < b.rows; ++j) {
      const auto expected = oracle::dot(a, i, b, j, policy == NanScale::largest);
      const ExactValue value = exact_dot(a, i, b, j, policy);
      REQUIRE(expected.has_value());
      REQUIRE(as_rational(value) == *expected);
      REQUIRE(value.negative == (*expected < 0));
      REQUIRE((value.number_class == NumberClass::zero) == (*expected == 0));
      REQUIRE(round_exact(value, lowbit::f32) == oracle::round(*expected, 8, 23));
      REQUIRE(round_exact(value, lowbit::f16) == oracle::round(*expected, 5, 10));
      REQUIRE(round_exact(value, lowbit::bf16) == oracle::round(*expected, 8, 7));
    }
  }
}

}  // namespace

TEST_CASE("random bits: every pair of formats equals the rational model") {
  std::mt19937 random(1);
  for (const BlockFormat& fa : lowbit::block_formats()) {
    if (fa.has_levels()) continue;
    for (const BlockFormat& fb : lowbit::block_formats()) {
      if (fb.has_levels()) continue;
      CAPTURE(fa.name, fb.name);
      // 75 leaves a partial block for every block size, with garbage in the padding.
      const BlockTensor a = random_tensor(fa, 2, 75, random);
      const BlockTensor b = random_tensor(fb, 2, 75, random);
      check_against_oracle(a, b, NanScale::error);
    }
  }
}

TEST_CASE("extreme elements and scales: every pair of formats equals the rational model") {
  for (const BlockFormat& fa : lowbit::block_formats()) {
    if (fa.has_levels()) continue;
    for (const BlockFormat& fb : lowbit::block_formats()) {
      if (fb.has_levels()) continue;
      CAPTURE(fa.name, fb.name);
      const auto fill = [](const BlockFormat& f, unsigned variant) {
        // Rows: all of one extreme code and scale; the last row alternates in sign and scale.
        const bool mx = f.family() == lowbit::ScaleFamily::mx;
        const bool has_top_bit =
            mx || f.name == "amdfp4" || ((variant & 1) != 0 && f.is_adaptive());
        const unsigned top = has_top_bit ? 0xFE : 0x7E;
        const unsigned low = mx ? 0 : 0x01;
        BlockTensor t = make_tensor(f, 4, 64);
        const unsigned max = f.element->max_code();
        const unsigned min = f.element->is_integer() && f.element->name != "int6"
                                 ? f.element->sign_mask()  // -4, -8, -128
                                 : max | f.element->sign_mask();
        for (std::size_t k = 0; k < 64; ++k) {
          set_code(t, 0, k, max);
          set_code(t, 1, k, min);
          set_code(t, 2, k, f.element->sign_mask() | 1U);  // the smallest negative one, and -0 ...
          set_code(t, 3, k, k % 2 == 0 ? max : k % 3 == 0 ? min : f.element->sign_mask());
        }
        for (std::size_t i = 0; i < t.scales.size(); ++i) {
          const std::size_t row = i / t.blocks_per_row();
          t.scales[i] = static_cast<std::uint8_t>(row < 2    ? top
                                                  : row == 2 ? low
                                                  : i % 2    ? top
                                                             : low);
        }
        return t;
      };
      for (unsigned variant = 0; variant < 4; ++variant) {
        check_against_oracle(fill(fa, variant & 1), fill(fb, variant >> 1), NanScale::error);
      }
    }
  }
}

TEST_CASE("NaN scale bytes: error, NaN, or the largest scale") {
  std::mt19937 random(2);
  for (const BlockFormat& f : lowbit::block_formats()) {
    if (f.has_levels()) continue;
    CAPTURE(f.name);
    BlockTensor a = random_tensor(f, 1, 64, random);
    const BlockTensor b = random_tensor(format("if4"), 1, 64, random);
    a.scales[1] = *f.scale == lowbit::e4m3 ? 0x7F : 0xFF;
    CHECK_THROWS_AS(exact_dot(a, 0, b, 0), lowbit::Error);
    CHECK_THROWS_AS(exact_dot(b, 0, a, 0), lowbit::Error);
    CHECK(exact_dot(a, 0, b, 0, NanScale::nan).number_class == NumberClass::nan);
    CHECK(exact_dot(b, 0, a, 0, NanScale::nan).number_class == NumberClass::nan);
    check_against_oracle(a, b, NanScale::largest);
    if (f.is_adaptive()) {
      a.scales[1] = 0xFF;  // the flag of an integer block on top
      check_against_oracle(b, a, NanScale::largest);
    }
    CHECK(round_exact(exact_dot(a, 0, b, 0, NanScale::nan), lowbit::f32) == 0x7FC00000);
  }
  // A NaN scale over zero elements is still NaN, one past the logical columns does not exist.
  BlockTensor zeros = make_tensor(format("nvfp4"), 1, 16);
  zeros.scales[0] = 0x7F;
  CHECK(exact_dot(zeros, 0, zeros, 0, NanScale::nan).number_class == NumberClass::nan);
}

TEST_CASE("FP8 elements that are not finite behave as IEEE numbers") {
  const BlockFormat& e5m2 = format("mxfp8_e5m2");
  const BlockFormat& e4m3 = format("mxfp8_e4m3");
  BlockTensor a = make_tensor(e5m2, 1, 32);
  BlockTensor b = make_tensor(e5m2, 1, 32);
  a.scales[0] = b.scales[0] = 127;
  const auto result = [&] { return exact_dot(a, 0, b, 0); };
  set_code(a, 0, 3, 0x7C);                           // infinity
  CHECK(result().number_class == NumberClass::nan);  // times 0
  set_code(b, 0, 3, 0x80 | 0x3C);                    // times -1
  CHECK(result().number_class == NumberClass::infinity);
  CHECK(result().negative);
  CHECK(round_exact(result(), lowbit::f32) == 0xFF800000);
  CHECK(round_exact(result(), lowbit::f16) == 0xFC00);
  set_code(b, 0, 4, 0xFC);
  set_code(a, 0, 4, 0x3C);
  CHECK(result().negative);  // both are -infinity
  set_code(a, 0, 4, 0xBC);
  CHECK(result().number_class == NumberClass::nan);  // infinity - infinity
  a = make_tensor(e4m3, 1, 32);
  a.scales[0] = 127;
  set_code(a, 0, 31, 0x7F);
  CHECK(exact_dot(a, 0, b, 0).number_class == NumberClass::nan);
}

TEST_CASE("the unit of a pair: exponent and denominator") {
  CHECK(exact_unit(format("nvfp4"), format("nvfp4")).exponent == -20);
  CHECK(exact_unit(format("if4"), format("if4")).exponent == -20);
  CHECK(exact_unit(format("if4"), format("if4")).denominator == 49);
  CHECK(exact_unit(format("if3"), format("if4")).denominator == 21);
  CHECK(exact_unit(format("if6_e2m3"), format("if6_e3m2")).denominator == 961);
  CHECK(exact_unit(format("mxfp4"), format("mxfp4")).exponent == -256);
  // IF4: one product counts 49, 84 = 2 * 42 or 144 = 4 * 36 in units of 2^-20 / 49 (1 * 1 in half
  // units, under scales of 2^-9): the MAC's integer factors.
  const std::uint8_t half[1] = {1};  // 0.5, or the integer 1
  ExactAccumulator acc(format("if4"), format("if4"));
  acc.add_block(0x01, half, 0x01, half);
  CHECK(acc.value().integer == WideInteger(49));
  acc.clear();
  acc.add_block(0x81, half, 0x01, half);
  CHECK(acc.value().integer == WideInteger(84));
  acc.clear();
  acc.add_block(0x81, half, 0x81, half);
  CHECK(acc.value().integer == WideInteger(144));
}

TEST_CASE("the order of blocks does not matter") {
  std::mt19937 random(3);
  for (const char* name : {"if4", "nvfp4", "mxfp8_e5m2", "if6_e3m2"}) {
    CAPTURE(name);
    const BlockTensor a = random_tensor(format(name), 1, 32 * 50, random);
    const BlockTensor b = random_tensor(format(name), 1, 32 * 50, random);
    const auto size = static_cast<std::size_t>(a.format->block_size);
    std::vector<std::size_t> order(a.blocks_per_row());
    std::iota(order.begin(), order.end(), 0);
    const ExactValue expected = exact_dot(a, 0, b, 0);
    for (int turn = 0; turn < 20; ++turn) {
      std::shuffle(order.begin(), order.end(), random);
      ExactAccumulator acc(*a.format, *b.format);
      for (const std::size_t block : order) {
        std::vector<std::uint8_t> ca, cb;
        for (std::size_t i = 0; i < size; ++i) {
          ca.push_back(a.code(0, block * size + i));
          cb.push_back(b.code(0, block * size + i));
        }
        acc.add_block(a.scale(0, block), ca, b.scale(0, block), cb);
      }
      REQUIRE(acc.value() == expected);
    }
  }
}

TEST_CASE("cancellation leaves the one small product") {
  // +448^2 * 36 and its negative around 2^-20: FP32 sums in order give 0 or lose it.
  const BlockFormat& f = format("nvfp4");
  BlockTensor a = make_tensor(f, 1, 48);
  BlockTensor b = make_tensor(f, 1, 48);
  set_code(a, 0, 0, 7);
  set_code(b, 0, 0, 7);
  set_code(a, 0, 16, 1);
  set_code(b, 0, 16, 1);
  set_code(a, 0, 32, 15);
  set_code(b, 0, 32, 7);
  a.scales = {0x7E, 0x01, 0x7E};
  b.scales = {0x7E, 0x01, 0x7E};
  CHECK(exact_dot(a, 0, b, 0).integer == WideInteger(1));
  CHECK(round_to_float(exact_dot(a, 0, b, 0)) == 0x1p-20F);
  a.scales[1] = 0;
  CHECK(exact_dot(a, 0, b, 0).number_class == NumberClass::zero);
  CHECK(std::bit_cast<std::uint32_t>(round_to_float(exact_dot(a, 0, b, 0))) == 0);
}

TEST_CASE("K = 2^20 of the largest products: the bound of the accumulator") {
  constexpr std::size_t count = std::size_t{1} << 20;
  for (const char* name : {"if4", "nvfp4", "if6_e3m2", "mxfp8_e5m2", "mxint8"}) {
    CAPTURE(name);
    const BlockFormat& f = format(name);
    const bool mx = f.family() == lowbit::ScaleFamily::mx;
    BlockTensor t = make_tensor(f, 1, 32);
    // -8 in an integer block of IF4 counts more than 6 in a float block.
    const bool integer = f.is_adaptive() || f.element->is_integer();
    const unsigned code = f.is_adaptive() ? (f.integer->coding == lowbit::Coding::twos_complement
                                                 ? f.integer->sign_mask()
                                                 : f.integer->max_code())
                          : integer       ? f.element->sign_mask()
                                          : f.element->max_code();
    for (std::size_t k = 0; k < 32; ++k) set_code(t, 0, k, code);
    for (std::uint8_t& s : t.scales) s = mx ? 254 : f.is_adaptive() ? 0xFE : 0x7E;
    const auto one = *oracle::dot(t, 0, t, 0);
    ExactAccumulator acc(f, f);
    std::vector<std::uint8_t> codes(32, static_cast<std::uint8_t>(code));
    for (std::size_t k = 0; k < count; k += 32)
      acc.add_block(t.scales[0], codes, t.scales[0], codes);
    CHECK(as_rational(acc.value()) == one * (count / 32));
    // 72 bits hold the MAC's accumulator for IF4 and NVFP4, 640 hold everything.
    if (!mx && std::string(name) != "if6_e3m2") CHECK(acc.value().integer.bit_length() <= 71);
    CHECK(acc.value().integer.bit_length() < WideInteger::bits - 1);
  }
}

TEST_CASE("tensor scales: the rational product rounded once") {
  std::mt19937 random(4);
  std::uniform_int_distribution<std::uint32_t> positive(0, 0x7F7FFFFF);
  for (const char* name : {"nvfp4", "if4", "if6_e2m3", "mxfp8_e5m2"}) {
    CAPTURE(name);
    for (int turn = 0; turn < 100; ++turn) {
      const BlockTensor a = random_tensor(format(name), 1, 64, random);
      const BlockTensor b = random_tensor(format(name), 1, 64, random);
      const ExactValue v = exact_dot(a, 0, b, 0);
      const float scale_a = std::bit_cast<float>(positive(random));
      const float scale_b = std::bit_cast<float>(positive(random));
      const float constant_a = std::max(std::bit_cast<float>(positive(random)), 0x1p-149F);
      const float constant_b = turn % 2 == 0 ? 2688.0F : 1536.0F;
      const oracle::cpp_rational expected =
          as_rational(v) * oracle::from_float(scale_a) / oracle::from_float(constant_a) *
          oracle::from_float(scale_b) / oracle::from_float(constant_b);
      REQUIRE(round_exact_scaled(v, lowbit::f32, scale_a, constant_a, scale_b, constant_b) ==
              oracle::round(expected, 8, 23));
      REQUIRE(round_exact_scaled(v, lowbit::bf16, scale_a, constant_a, scale_b, constant_b) ==
              oracle::round(expected, 8, 7));
    }
  }
  const BlockTensor a = random_tensor(format("nvfp4"), 1, 16, random);
  const ExactValue v = exact_dot(a, 0, a, 0);
  CHECK(round_exact_scaled(v, lowbit::f32, 0.0F, 1.0F, 1.0F, 1.0F) == 0);
  const float infinity = std::bit_cast<float>(0x7F800000U);
  CHECK_THROWS_AS(round_exact_scaled(v, lowbit::f32, infinity, 1, 1, 1), lowbit::Error);
  CHECK_THROWS_AS(round_exact_scaled(v, lowbit::f32, -1.0F, 1, 1, 1), lowbit::Error);
  CHECK_THROWS_AS(round_exact_scaled(v, lowbit::f32, 1.0F, 0, 1, 1), lowbit::Error);
}

TEST_CASE("rounding boundaries: ties, subnormals and overflow") {
  const auto rounded = [](Int128 integer, int exponent, std::uint32_t denominator,
                          const lowbit::ElementFormat& to) {
    ExactValue v;
    v.number_class = integer == 0 ? NumberClass::zero : NumberClass::finite;
    v.negative = integer < 0;
    v.integer = WideInteger(integer);
    v.exponent = exponent;
    v.denominator = denominator;
    return round_exact(v, to);
  };
  CHECK(rounded(0x1000001, 0, 1, lowbit::f32) == 0x4B800000);  // tie to even, down
  CHECK(rounded(0x1000003, 0, 1, lowbit::f32) == 0x4B800002);  // tie to even, up
  CHECK(rounded((Int128{0x1000001} << 70) + 1, 0, 1, lowbit::f32) == 0x6E800001);  // just above
  CHECK(rounded((Int128{0x1000001} << 70) - 1, 0, 1, lowbit::f32) == 0x6E800000);
  CHECK(rounded(Int128{0x1000001} * 49, 0, 49, lowbit::f32) == 0x4B800000);  // a tie after division
  CHECK(rounded(Int128{0x1000001} * 49 + 1, 0, 49, lowbit::f32) == 0x4B800001);
  CHECK(rounded(1, -149, 1, lowbit::f32) == 1);
  CHECK(rounded(1, -150, 1, lowbit::f32) == 0);
  CHECK(rounded(-1, -150, 1, lowbit::f32) == 0x80000000);
  CHECK(rounded(3, -151, 1, lowbit::f32) == 1);
  CHECK(rounded(1, 128, 1, lowbit::f32) == 0x7F800000);
  CHECK(rounded(0x1FFFFFF, 103, 1, lowbit::f32) == 0x7F800000);  // halfway to 2^128
  CHECK(rounded(0x3FFFFFD, 102, 1, lowbit::f32) == 0x7F7FFFFF);
  CHECK(rounded(65520, 0, 1, lowbit::f16) == 0x7C00);
  CHECK(rounded(65519, 0, 1, lowbit::f16) == 0x7BFF);
}

TEST_CASE("wide integers: hexadecimal, 128-bit view") {
  WideInteger w;
  w.add_shifted(-1, 600);
  CHECK(w.is_negative());
  CHECK(w.bit_length() == 601);
  CHECK(w.to_hex() == "-0x1" + std::string(150, '0'));
  CHECK_FALSE(w.to_int128().has_value());
  w.add_shifted(1, 600);
  CHECK(w.is_zero());
  CHECK(*WideInteger(-5).to_int128() == -5);
  CHECK(WideInteger(-31).to_hex() == "-0x1f");
}

TEST_CASE("misuse is refused by name") {
  const BlockTensor a = make_tensor(format("nvfp4"), 2, 32);
  const BlockTensor b = make_tensor(format("nvfp4"), 2, 48);
  CHECK_THROWS_WITH(exact_dot(a, 0, b, 0), "A has 32 columns and B 48: both need K");
  CHECK_THROWS_AS(exact_dot(a, 2, a, 0), lowbit::Error);
  ExactAccumulator acc(format("nvfp4"), format("nvfp4"));
  const std::vector<std::uint8_t> x(16), y(15);
  CHECK_THROWS_AS(acc.add_block(0, x, 0, y), lowbit::Error);
}
