// SPDX-License-Identifier: MIT
// Lanes by exhaustion: a product of two 8-bit codes has 65,536 cases, so that trying all of them is
// a proof. First the lane of the MX formats with its decoders, combinational, against values by
// definition; then the cores of the baselines, every pair of codes on every lane beside lanes of
// zero, with the integers or the FP32 word that the definition gives.
#include <verilated.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <deque>
#include <string>

#include "Vfp8_core.h"
#include "Vint4_core.h"
#include "Vint8_core.h"
#include "Vlane_mxfp6_e2m3.h"
#include "Vlane_mxfp6_e3m2.h"
#include "Vlane_mxfp8_e4m3.h"
#include "Vlane_mxfp8_e5m2.h"
#include "Vlane_mxint8.h"
#include "Vlut1_core.h"
#include "Vlut2_core.h"
#include "Vlut4_core.h"
#include "catch.hpp"

namespace {

__extension__ typedef __int128 Integer;

/// An element's bits: a sign, then exponent and mantissa; two's complement where there is no
/// exponent.
struct Element {
  int bits, exponent, mantissa;
  enum Special { none, all_ones, top_field } special;
};

struct Value {
  Integer count;  ///< of the smallest subnormal, or of one
  bool special;
};

Value value_of(const Element& e, unsigned code) {
  if (e.exponent == 0)
    return {code >= 1U << (e.bits - 1) ? Integer(code) - (1 << e.bits) : Integer(code), false};
  const unsigned sign = code >> (e.bits - 1), field = code >> e.mantissa & ((1U << e.exponent) - 1);
  const unsigned fraction = code & ((1U << e.mantissa) - 1),
                 rest = code & ((1U << (e.bits - 1)) - 1);
  if (e.special == Element::all_ones && rest == (1U << (e.bits - 1)) - 1) return {0, true};
  if (e.special == Element::top_field && field == (1U << e.exponent) - 1) return {0, true};
  const Integer magnitude =
      field == 0 ? Integer(fraction) : Integer(fraction + (1U << e.mantissa)) << (field - 1);
  return {sign != 0 ? -magnitude : magnitude, false};
}

/// A port of `bits` bits as a two's complement number.
Integer signed_port(std::uint64_t port, int bits) {
  return static_cast<std::int64_t>(port << (64 - bits)) >> (64 - bits);
}
template <std::size_t words>
Integer signed_port(const VlWide<words>& port, int bits) {
  Integer out = 0;
  for (int i = static_cast<int>(words) - 1; i >= 0; --i)
    out = out << 32 | port[static_cast<std::size_t>(i)];
  return out << (128 - bits) >> (128 - bits);
}

/// All pairs of codes on the combinational lane; product_bits: of the port product_o.
template <typename Lane>
void check_lane(const std::string& name, const Element& e, int product_bits) {
  Lane lane;
  lane.a_integer_i = lane.w_integer_i = 0;
  std::uint64_t bad = 0, pairs = 0;
  for (unsigned a = 0; a < 1U << e.bits; ++a) {
    for (unsigned w = 0; w < 1U << e.bits; ++w, ++pairs) {
      lane.a_i = static_cast<std::uint8_t>(a);
      lane.w_i = static_cast<std::uint8_t>(w);
      lane.eval();
      const Value x = value_of(e, a), y = value_of(e, w);
      const bool special = x.special || y.special;
      if (lane.special_o == (special ? 1 : 0) &&
          signed_port(lane.product_o, product_bits) == x.count * y.count)
        continue;
      if (bad++ == 0) UNSCOPED_INFO(name << ": first at codes " << a << " and " << w);
    }
  }
  CHECK(pairs == std::uint64_t{1} << 2 * e.bits);
  CHECK(bad == 0);
}

void clear(std::uint64_t& port) {
  port = 0;
}
template <std::size_t words>
void clear(VlWide<words>& port) {
  for (std::size_t i = 0; i < words; ++i) port[i] = 0;
}
void put(std::uint64_t& port, int at, unsigned code) {
  port |= std::uint64_t{code} << at;
}
template <std::size_t words>
void put(VlWide<words>& port, int at, unsigned code) {
  port[static_cast<std::size_t>(at) / 32] |= code << at % 32;  // no code crosses a word
}

struct Result {
  std::uint32_t word;
  bool nan;
};

/// All pairs of codes on each of 16 lanes, one segment a clock, beside lanes whose activations are
/// zero. Their weights: 0, or with neighbours = 8 every choice of 0 and all bits set for the three
/// others of a group of four, which a table lookup reads together.
template <typename Core, typename Expected>
void check_core(const std::string& name, int bits, int latency, const Expected& expected,
                unsigned neighbours = 1) {
  Core core;
  const auto clock = [&] {
    core.clk_i = 0;
    core.eval();
    core.clk_i = 1;
    core.eval();
  };
  core.a_scale_i = core.w_scale_i = 0;
  core.valid_i = core.rst_ni = 0;
  for (int i = 0; i < 8; ++i) clock();
  core.rst_ni = core.first_i = core.last_i = 1;
  std::deque<Result> under_way;
  std::uint64_t bad = 0, results = 0;
  const auto step = [&](const char* what, int lane, unsigned a, unsigned w) {
    clock();
    if (core.valid_o == 0) return;
    bool wrong = under_way.empty();
    if (!wrong) {
      const Result right = under_way.front();
      under_way.pop_front();
      if constexpr (requires { core.nan_o; }) {
        wrong = core.fp32_o != right.word || core.nan_o != (right.nan ? 1 : 0);
      } else {
        wrong = core.acc_o != right.word;
      }
    }
    ++results;
    if (wrong && bad++ == 0)
      UNSCOPED_INFO(name << ": first within " << latency << " clocks before " << what << lane
                         << ", codes " << a << " and " << w);
  };
  const auto beat = [&](int lane, unsigned neighbour, unsigned a, unsigned w) {
    core.valid_i = 1;
    clear(core.a_codes_i);
    clear(core.w_codes_i);
    put(core.a_codes_i, lane * bits, a);
    for (int other = lane / 4 * 4, bit = 0; other < lane / 4 * 4 + 4; ++other) {
      if (other != lane && (neighbour >> bit++ & 1) != 0)
        put(core.w_codes_i, other * bits, (1U << bits) - 1);
    }
    put(core.w_codes_i, lane * bits, w);
    under_way.push_back(expected(a, w));
    step("lane ", lane, a, w);
  };
  for (int lane = 0; lane < 16; ++lane) {
    for (unsigned neighbour = 0; neighbour < neighbours; ++neighbour) {
      for (unsigned a = 0; a < 1U << bits; ++a) {
        for (unsigned w = 0; w < 1U << bits; ++w) beat(lane, neighbour, a, w);
      }
    }
  }
  core.valid_i = 0;
  for (int i = 0; i < latency; ++i) step("the end ", 0, 0, 0);
  CHECK(results == std::uint64_t{16} * neighbours << 2 * bits);
  CHECK(under_way.empty());
  CHECK(bad == 0);
}

constexpr Element e4m3{8, 4, 3, Element::all_ones};

/// The word that an integer sum of one product is; the weight is the low `weight_bits` of its code.
auto integer_product(int bits, int weight_bits) {
  return [=](unsigned a, unsigned w) {
    const Value x = value_of({bits, 0, 0, Element::none}, a);
    const Value y = value_of({weight_bits, 0, 0, Element::none}, w & ((1U << weight_bits) - 1));
    return Result{static_cast<std::uint32_t>(x.count * y.count), false};
  };
}

}  // namespace

TEST_CASE("lanes of the MX formats: every pair of codes, decoders included") {
  check_lane<Vlane_mxfp8_e4m3>("mxfp8_e4m3", e4m3, 38);
  check_lane<Vlane_mxfp8_e5m2>("mxfp8_e5m2", {8, 5, 2, Element::top_field}, 66);
  check_lane<Vlane_mxfp6_e2m3>("mxfp6_e2m3", {6, 2, 3, Element::none}, 14);
  check_lane<Vlane_mxfp6_e3m2>("mxfp6_e3m2", {6, 3, 2, Element::none}, 20);
  check_lane<Vlane_mxint8>("mxint8", {8, 0, 0, Element::none}, 17);
}

TEST_CASE("INT8 and INT4 cores: every pair of codes on every lane") {
  check_core<Vint8_core>("int8", 8, 2, integer_product(8, 8));
  check_core<Vint4_core>("int4", 4, 2, integer_product(4, 4));
}

TEST_CASE("lookup-table cores: every activation and weight on every lane") {
  check_core<Vlut4_core>("int8_int4", 8, 3, integer_product(8, 4), 8);
  check_core<Vlut2_core>("int8_int2", 8, 3, integer_product(8, 2), 8);
  check_core<Vlut1_core>("int8_int1", 8, 3, integer_product(8, 1), 8);
}

TEST_CASE("FP8 E4M3 core: every pair of codes on every lane, as FP32 words") {
  check_core<Vfp8_core>("fp8_e4m3", 8, 3, [](unsigned a, unsigned w) {
    const Value x = value_of(e4m3, a), y = value_of(e4m3, w);
    if (x.special || y.special) return Result{0x7FC00000, true};
    // 8 bits times 2^-18: exact in FP32; a zero sum is positive.
    const auto product =
        std::ldexp(static_cast<float>(static_cast<std::int64_t>(x.count * y.count)), -18);
    return Result{product == 0 ? 0 : std::bit_cast<std::uint32_t>(product), false};
  });
}
