// SPDX-License-Identifier: MIT
// Every narrow format against the exact oracle: all codes, all FP16 and BF16 inputs, and FP32
// inputs at and beside every rounding boundary, in every rounding mode.
#include <bit>
#include <cmath>
#include <limits>
#include <set>

#include "catch.hpp"
#include "lowbit/conversion.hpp"
#include "oracle/exact_format.hpp"

using namespace lowbit;

namespace {

struct NamedMode {
  Rounding library;
  oracle::Mode oracle;
};
constexpr NamedMode modes[] = {
    {Rounding::nearest_even, oracle::Mode::nearest_even},
    {Rounding::nearest_away, oracle::Mode::nearest_away},
    {Rounding::nearest_toward_zero, oracle::Mode::nearest_toward_zero},
    {Rounding::toward_zero, oracle::Mode::toward_zero},
    {Rounding::stochastic, oracle::Mode::stochastic},
};

/// A number in [0, 1) that depends on the input, so that the draws differ from case to case, and
/// whose exponent varies too: stochastic rounding must not lose the low bits of a small number.
float draw(std::uint32_t bits) {
  const std::uint32_t h = (bits + 0x9E3779B9U) * 0x85EBCA6BU;
  return std::ldexp(static_cast<float>(h >> 8), -24 - static_cast<int>(h % 7) * 4);
}

/// Compares one input in every mode and policy; counts, so that a broken mode prints one line.
struct Comparison {
  explicit Comparison(const std::string& name)
      : library(*find_element_format(name)), exact(oracle::format(name)) {}

  const ElementFormat& library;
  const oracle::Format& exact;
  std::size_t cases = 0;
  std::size_t wrong = 0;
  std::string first;
  int turn = 0;

  void input(float x) {
    const bool finite = std::isfinite(x);
    // Infinity is beyond every number: for an oracle of reals, a number far out of range.
    const oracle::Rational value = finite ? oracle::from_float(x) : exact.beyond * 4;
    const oracle::Neighbours around = oracle::neighbours(exact, value);
    // The overflow and zero policies decide where there is an overflow or a zero: both are tried
    // there, and in turn elsewhere.
    const bool both = around.lo_code == 0 || around.hi == exact.beyond;
    turn = (turn + 1) % 3;
    float u = draw(std::bit_cast<std::uint32_t>(x));
    if (turn != 0 && around.magnitude < around.hi) {
      // The draws that decide: the fraction itself, which stays below, and the float before it.
      u = oracle::to_float(oracle::fl((around.magnitude - around.lo) / (around.hi - around.lo)));
      if (turn == 2 || u >= 1.0F) u = std::nextafter(u, 0.0F);
    }
    const oracle::Rational exact_u = oracle::from_float(u);
    for (const NamedMode& mode : modes) {
      for (const bool to_infinity : {false, true}) {
        if (!both && to_infinity != (turn == 0)) continue;
        ConversionPolicy policy;
        policy.rounding = mode.library;
        policy.overflow = to_infinity ? Overflow::infinity : Overflow::saturate;
        policy.keep_zero_sign = !to_infinity;
        // Truncation brings a real number back to the largest one, but never infinity.
        const bool as_real = finite || !to_infinity;
        const std::uint32_t got = from_float(library, x, policy, u);
        const std::uint32_t want =
            std::isnan(x)
                ? exact.nan.value_or(exact.values.rbegin()->second)
                : oracle::round_to_code(exact, around, std::signbit(x),
                                        as_real ? mode.oracle : oracle::Mode::nearest_even,
                                        to_infinity, policy.keep_zero_sign, exact_u);
        ++cases;
        if (got != want && wrong++ == 0) {
          std::ostringstream s;
          s << exact.name << " x=" << std::hexfloat << x << " mode "
            << static_cast<int>(mode.oracle) << " infinity " << to_infinity << ": " << got
            << ", not " << want;
          first = s.str();
        }
      }
    }
  }
};

std::set<std::uint32_t> boundary_inputs(const oracle::Format& f) {
  std::set<std::uint32_t> inputs;
  const auto around = [&](const oracle::Rational& value) {
    const std::uint32_t center = oracle::to_bits32(oracle::fl(value));
    for (int step = -3; step <= 3; ++step) {
      const std::int64_t bits = static_cast<std::int64_t>(center) + step;
      if (bits < 0) continue;
      inputs.insert(static_cast<std::uint32_t>(bits));
      inputs.insert(static_cast<std::uint32_t>(bits) | 0x80000000U);
    }
  };
  oracle::Rational previous = 0;
  for (const auto& [value, code] : f.values) {
    around(value);
    around((previous + value) / 2);
    around(previous + (value - previous) / 4);
    previous = value;
  }
  around(f.beyond);
  around((f.largest() + f.beyond) / 2);
  around(f.beyond * 2);
  return inputs;
}

}  // namespace

TEST_CASE("every code decodes to the oracle's value") {
  for (const std::string& name : oracle::format_names()) {
    const ElementFormat* f = find_element_format(name);
    REQUIRE(f != nullptr);
    const oracle::Format& exact = oracle::format(name);
    REQUIRE(f->code_count() == exact.codes.size());
    for (std::uint32_t code = 0; code < f->code_count(); ++code) {
      INFO(name << " code " << code);
      const oracle::CodeValue& want = exact.codes[code];
      const double got = to_double(*f, code);
      switch (want.meaning) {
        case oracle::Meaning::nan:
          CHECK(std::isnan(got));
          break;
        case oracle::Meaning::infinity:
          CHECK(std::isinf(got));
          break;
        case oracle::Meaning::number: {
          CHECK(oracle::from_float(static_cast<float>(got)) == want.value);
          CHECK(static_cast<double>(static_cast<float>(got)) == got);
          CHECK(std::signbit(got) == want.negative);
          break;
        }
      }
    }
  }
}

TEST_CASE("every FP16 and BF16 input converts as the oracle says", "[exhaustive]") {
  for (const std::string& name : oracle::format_names()) {
    Comparison c(name);
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      c.input(std::bit_cast<float>(bits << 16));
      c.input(to_float(f16, bits));
    }
    INFO(c.first);
    CHECK(c.wrong == 0);
    CHECK(c.cases >= 2 * 65536 * 5);
  }
}

TEST_CASE("FP32 inputs beside every rounding boundary convert as the oracle says") {
  for (const std::string& name : oracle::format_names()) {
    Comparison c(name);
    for (const std::uint32_t bits : boundary_inputs(c.exact)) c.input(std::bit_cast<float>(bits));
    for (const float x :
         {0.0F, -0.0F, std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::max(),
          std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::quiet_NaN()}) {
      c.input(x);
    }
    INFO(c.first);
    CHECK(c.wrong == 0);
    CHECK(c.cases > 300);
  }
}

TEST_CASE("a double is rounded once, not by way of float") {
  // Just above the tie between 1 and 1.5 in E2M1, by less than half a float ulp.
  const double above = 1.25 + std::ldexp(1.0, -40);
  CHECK(from_double(e2m1, above) == 3);
  CHECK(from_float(e2m1, static_cast<float>(above)) == 2);
  CHECK(from_double(e4m3, -(464.0 + std::ldexp(1.0, -30)), {.overflow = Overflow::infinity}) ==
        e4m3.nan_code());
}
