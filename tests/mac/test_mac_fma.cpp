// SPDX-License-Identifier: MIT
// FP32 arithmetic of the baselines against integers of Boost.Multiprecision, rounded here by
// comparing the remainder with one half: the fused multiply-add of BF16 factors in RTL and in
// std::fma, and FP8 dot products with FP32 accumulation. LOWBIT_FMA_VECTORS: random vectors, 10^6
// by default; scripts/nightly.sh takes 10^8.
#include <array>
#include <bit>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "Vlowbit_fma_tb.h"
#include "catch.hpp"
#include "lowbit/sim/mac_model.hpp"
#include "lowbit/sim/mac_stimulus.hpp"

namespace {

namespace mp = boost::multiprecision;
// Products of BF16 and FP32 numbers span 2^-280 to 2^257.
using Integer =
    mp::number<mp::cpp_int_backend<640, 640, mp::signed_magnitude, mp::unchecked, void>>;

constexpr std::uint32_t quiet_nan = 0x7FC00000;

/// significand * 2^exponent of a finite FP32 word.
struct Value {
  std::int64_t significand;
  int exponent;
};

Value value_of(std::uint32_t word) {
  const auto field = static_cast<int>(word >> 23 & 0xFF);
  const std::int64_t m = (word & 0x7FFFFF) | (field != 0 ? 0x800000 : 0);
  return {(word >> 31) != 0 ? -m : m, std::max(field, 1) - 150};
}

bool is_nan(std::uint32_t w) {
  return (w & 0x7FFFFFFF) > 0x7F800000;
}
bool is_infinite(std::uint32_t w) {
  return (w & 0x7FFFFFFF) == 0x7F800000;
}

/// value * 2^exponent, not zero, to the nearest FP32 number, ties to even.
std::uint32_t rounded(const Integer& value, int exponent) {
  const bool negative = value < 0;
  const Integer magnitude = negative ? Integer(-value) : value;
  const int top = static_cast<int>(mp::msb(magnitude)) + exponent;
  const int last = std::max(top - 23, -149);  // place of the result's last bit
  std::uint64_t kept = 0;
  if (last <= exponent) {
    kept = static_cast<std::uint64_t>(Integer(magnitude << (exponent - last)));
  } else {
    const Integer quotient = magnitude >> (last - exponent);
    const Integer rest = magnitude - (quotient << (last - exponent));
    const Integer half = Integer(1) << (last - exponent - 1);
    kept = static_cast<std::uint64_t>(quotient);
    if (rest > half || (rest == half && kept % 2 == 1)) ++kept;
  }
  // 2^24 is the next binade's first number: its field takes the carry.
  const std::uint64_t field_and_fraction =
      kept < 0x800000 ? kept : (static_cast<std::uint64_t>(last + 150) << 23) + (kept - 0x800000);
  const std::uint32_t word =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(field_and_fraction, 0x7F800000));
  return word | (negative ? 0x80000000U : 0U);
}

/// a * b + c in FP32, one rounding; every NaN is 7FC00000.
std::uint32_t fused(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  const bool zero = (a & 0x7FFFFFFF) == 0 || (b & 0x7FFFFFFF) == 0;
  const std::uint32_t sign = (a ^ b) & 0x80000000;
  if (is_nan(a) || is_nan(b) || is_nan(c)) return quiet_nan;
  if (is_infinite(a) || is_infinite(b)) {
    if (zero || (is_infinite(c) && (c & 0x80000000) != sign)) return quiet_nan;
    return sign | 0x7F800000;
  }
  if (is_infinite(c)) return c;
  const Value x = value_of(a), y = value_of(b), z = value_of(c);
  const int product_exponent = x.exponent + y.exponent;
  const int exponent = std::min(product_exponent, z.exponent);
  const Integer sum = (Integer(x.significand) * y.significand << (product_exponent - exponent)) +
                      (Integer(z.significand) << (z.exponent - exponent));
  if (sum == 0) {
    // A sum of zeros of one sign has it; every other zero is positive.
    return zero && (c & 0x7FFFFFFF) == 0 && sign == (c & 0x80000000) ? sign : 0;
  }
  return rounded(sum, exponent);
}

std::uint32_t word(float value) {
  return std::isnan(value) ? quiet_nan : std::bit_cast<std::uint32_t>(value);
}

class Fma {
 public:
  void check(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    unit_.a_i = static_cast<std::uint16_t>(a);
    unit_.b_i = static_cast<std::uint16_t>(b);
    unit_.c_i = c;
    unit_.eval();
    const std::uint32_t right = fused(a << 16, b << 16, c);
    const std::uint32_t model = word(std::fma(
        std::bit_cast<float>(a << 16), std::bit_cast<float>(b << 16), std::bit_cast<float>(c)));
    ++vectors_;
    if (unit_.result_o == right && model == right) return;
    if (++bad_ > 10) return;  // a broken unit fails millions of times
    UNSCOPED_INFO(std::hex << a << " * " << b << " + " << c << ": RTL " << unit_.result_o
                           << ", std::fma " << model << ", exact " << right);
  }
  [[nodiscard]] std::uint64_t bad() const { return bad_; }
  [[nodiscard]] std::uint64_t vectors() const { return vectors_; }

 private:
  Vlowbit_fma_tb unit_;
  std::uint64_t bad_ = 0;
  std::uint64_t vectors_ = 0;
};

std::uint64_t random_vectors() {
  const char* text = std::getenv("LOWBIT_FMA_VECTORS");
  return text != nullptr ? std::stoull(text) : 1000000;
}

}  // namespace

TEST_CASE("fma: every triple of interesting words") {
  std::vector<std::uint32_t> factors, addends;
  for (const std::uint32_t sign : {0U, 1U}) {
    for (const std::uint32_t e : {0U, 1U, 2U, 60U, 64U, 100U, 126U, 127U, 130U, 190U, 254U, 255U}) {
      for (const std::uint32_t m : {0U, 1U, 0x40U, 0x55U, 0x7FU})
        factors.push_back(sign << 15 | e << 7 | m);
    }
    for (const std::uint32_t e :
         {0U, 1U, 2U, 24U, 76U, 103U, 110U, 117U, 127U, 134U, 150U, 180U, 253U, 254U, 255U}) {
      for (const std::uint32_t m : {0U, 1U, 0x400000U, 0x7FFFFEU, 0x7FFFFFU})
        addends.push_back(sign << 31 | e << 23 | m);
    }
  }
  Fma fma;
  for (const std::uint32_t a : factors) {
    for (const std::uint32_t b : factors) {
      // Exchanged factors are the same product: half of the pairs is enough.
      if (b < a) continue;
      for (const std::uint32_t c : addends) fma.check(a, b, c);
    }
  }
  CHECK(fma.vectors() > 1000000);
  CHECK(fma.bad() == 0);
}

TEST_CASE("fma: random words, near places, cancellation, ties, subnormals") {
  Fma fma;
  std::mt19937_64 random(18);
  const std::uint64_t count = random_vectors();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t r = random();
    std::uint32_t a = static_cast<std::uint32_t>(r) & 0xFFFF;
    std::uint32_t b = static_cast<std::uint32_t>(r >> 16) & 0xFFFF;
    std::uint32_t c = static_cast<std::uint32_t>(r >> 32);
    const auto field = [](std::uint32_t x) { return static_cast<int>(x >> 7 & 0xFF); };
    const auto with_exponent = [&](int place) {
      return (c & 0x807FFFFF) | static_cast<std::uint32_t>(std::clamp(place, 0, 254)) << 23;
    };
    const std::uint64_t more = random();
    switch (i % 8) {
      case 0:
        break;
      case 1:  // the addend near the product, from far above to far below
        c = with_exponent(field(a) + field(b) - 127 + static_cast<int>(more % 81) - 40);
        break;
      case 2: {  // the addend is the negative product, but for some of its last places
        const float product = std::bit_cast<float>(a << 16) * std::bit_cast<float>(b << 16);
        c = std::bit_cast<std::uint32_t>(-product) ^ static_cast<std::uint32_t>(more % 4);
        break;
      }
      case 3:  // products of few bits far below: ties of the addend's last place
        a &= 0xFF80, b &= 0xFF80;
        c = with_exponent(field(a) + field(b) - 127 + 23 + static_cast<int>(more % 4));
        break;
      case 4:  // tiny products
        a = (a & 0x807F) | static_cast<std::uint32_t>(more % 70) << 7;
        b = (b & 0x807F) | static_cast<std::uint32_t>(more / 70 % 70) << 7;
        c = (c & 0x807FFFFF) | static_cast<std::uint32_t>(more / 4900 % 3) << 23;
        break;
      case 5:  // subnormal factors
        a &= 0x807F;
        b = (b & 0x807F) | static_cast<std::uint32_t>(200 + more % 55) << 7;
        c = with_exponent(field(b) - 127 + static_cast<int>(more / 55 % 60) - 30);
        break;
      case 6:  // near overflow
        b = (b & 0x807F) | static_cast<std::uint32_t>(
                               std::clamp(381 - field(a) + static_cast<int>(more % 5) - 2, 0, 254))
                               << 7;
        c = with_exponent(254 - static_cast<int>(more / 5 % 30));
        break;
      default:  // long runs of ones and zeros in the addend
        c = (c & 0xFF800000) | ((1U << more % 24) - 1);
        c = with_exponent(field(a) + field(b) - 127 + static_cast<int>(more / 24 % 60) - 30);
    }
    fma.check(a, b, c);
  }
  CHECK(fma.vectors() == count);
  CHECK(fma.bad() == 0);
}

TEST_CASE("fp8_fp32 and integers: the models against exact sums, rounded once per beat") {
  using namespace lowbit::sim;
  const std::size_t beats = static_cast<std::size_t>(random_vectors() / 16);
  for (const char* name : {"fp8_e4m3", "int8", "int4", "int8_int4", "int8_int1"}) {
    const lowbit::BlockFormat& format = *find_mac_format(name);
    const MacUnit unit =
        format.element->is_integer()
            ? (weight_bits(format) < format.element->bits ? MacUnit::lut : MacUnit::integer)
            : MacUnit::fp8_fp32;
    const MacShape shape{unit, &format, 16};
    std::uint64_t bad = 0;
    std::size_t done = 0;
    for (std::uint64_t seed = 1; done < beats; ++seed) {
      const BeatStream s = random_stream(shape, std::min<std::size_t>(beats - done, 100000), seed);
      done += s.size();
      const std::vector<MacResult> model = mac_model(s);
      std::size_t segment = 0;
      std::uint32_t fp32 = 0;
      Integer integer = 0;
      bool nan = false;
      for (std::size_t beat = 0; beat < s.size(); ++beat) {
        if (s.first(beat)) fp32 = 0, integer = 0, nan = false;
        Integer sum = 0;
        for (int lane = 0; lane < 16; ++lane) {
          const unsigned a = s.a_code(beat, lane), w = s.w_code(beat, lane);
          if (unit == MacUnit::fp8_fp32) {
            // E4M3 in units of 2^-9: field 0 is subnormal, 7F and FF are NaN.
            const auto number = [](unsigned code) {
              const unsigned field = code >> 3 & 15;
              const auto m = static_cast<std::int64_t>(
                  field == 0 ? code & 7 : (8 | (code & 7)) << (field - 1));
              return (code & 0x80) != 0 ? -m : m;
            };
            nan = nan || (a & 0x7F) == 0x7F || (w & 0x7F) == 0x7F;
            sum += Integer(number(a)) * number(w);
          } else {
            const auto number = [](unsigned code, int bits) {
              const int m = static_cast<int>(code & ((1U << bits) - 1));
              return m >= 1 << (bits - 1) ? m - (1 << bits) : m;
            };
            sum += number(a, format.element->bits) * number(w, weight_bits(format));
          }
        }
        integer += sum;
        if (unit == MacUnit::fp8_fp32)
          fp32 = fused(0x3F800000, sum == 0 ? 0 : rounded(sum, -18), fp32);
        if (!s.last(beat)) continue;
        const MacResult& got = model[segment++];
        if (unit == MacUnit::fp8_fp32) {
          bad += got.fp32 != (nan ? quiet_nan : fp32) || got.flags != (nan ? 1 : 0) || got.acc != 0;
        } else {
          // Short segments stay within 32 bits.
          bad += Integer(static_cast<std::int64_t>(got.acc)) != integer || got.flags != 0 ||
                 got.fp32 != (integer == 0 ? 0 : rounded(integer, 0));
        }
      }
      CHECK(segment == model.size());
    }
    INFO(name);
    CHECK(bad == 0);
  }
}
