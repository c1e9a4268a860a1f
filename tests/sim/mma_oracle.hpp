// SPDX-License-Identifier: MIT
// A second model of the tensor cores, slow and written straight from the definition: every value is
// an integer of unlimited size in units of 2^-900, and nothing of the library but the parameters of
// an instruction is used, its decoders and its rounding least of all.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <map>
#include <string>
#include <vector>

#include "lowbit/sim/instruction.hpp"

namespace lowbit::test {

using Integer = boost::multiprecision::cpp_int;
inline constexpr int unit_exponent = -900;

struct OracleFormat {
  int exponent_bits, mantissa_bits, bias;
  char specials;  // 'i' IEEE, 'f' all ones is NaN, 'n' none
};

inline OracleFormat oracle_format(const std::string& name) {
  static const std::map<std::string, OracleFormat> table{
      {"f32", {8, 23, 127, 'i'}}, {"tf32", {8, 10, 127, 'i'}}, {"bf16", {8, 7, 127, 'i'}},
      {"f16", {5, 10, 15, 'i'}},  {"e5m2", {5, 2, 15, 'i'}},   {"e4m3", {4, 3, 7, 'f'}},
      {"e3m2", {3, 2, 3, 'n'}},   {"e2m3", {2, 3, 1, 'n'}},    {"e2m1", {2, 1, 1, 'n'}},
  };
  return table.at(name);
}

struct OracleValue {
  bool nan = false;
  bool infinite = false;
  bool negative = false;
  int exponent = 0;   // of the encoding, not of the value
  Integer magnitude;  // in units of 2^unit_exponent
};

inline Integer power_of_two(int exponent) {
  Integer one = 1;
  return one << static_cast<unsigned>(exponent - unit_exponent);
}

inline OracleValue oracle_decode(const std::string& name, std::uint32_t code) {
  if (name == "tf32") code /= 8192;  // the container's low 13 bits are not looked at
  const OracleFormat f = oracle_format(name);
  OracleValue v;
  const std::uint32_t mantissas = 1U << f.mantissa_bits;
  const std::uint32_t fields = 1U << f.exponent_bits;
  const std::uint32_t mantissa = code % mantissas;
  const std::uint32_t field = code / mantissas % fields;
  v.negative = code / mantissas / fields % 2 == 1;
  if (f.specials == 'i' && field == fields - 1) {
    (mantissa == 0 ? v.infinite : v.nan) = true;
    return v;
  }
  if (f.specials == 'f' && field == fields - 1 && mantissa == mantissas - 1) {
    v.nan = true;
    return v;
  }
  v.exponent = field == 0 ? 1 - f.bias : static_cast<int>(field) - f.bias;
  v.magnitude =
      power_of_two(v.exponent - f.mantissa_bits) * (field == 0 ? mantissa : mantissa + mantissas);
  return v;
}

/// A scale: UE8M0 or UE4M3 (whose sign bit is ignored).
inline OracleValue oracle_scale(const std::string& name, std::uint32_t code) {
  if (name == "ue4m3") return oracle_decode("e4m3", code % 128);
  OracleValue v;
  v.nan = code == 255;
  v.exponent = static_cast<int>(code) - 127;
  v.magnitude = power_of_two(v.exponent);
  return v;
}

/// value truncated to a whole number of 2^place.
inline Integer truncated(const Integer& magnitude, int place) {
  const auto bits = static_cast<unsigned>(place - unit_exponent);
  return (magnitude >> bits) << bits;
}

/// The word for a finite nonzero sum.
inline std::uint32_t oracle_round(const sim::MmaParameters& p, bool half, bool negative,
                                  const Integer& magnitude) {
  const OracleFormat f = oracle_format(half ? "f16" : "f32");
  const bool thirteen = p.rounding == sim::FinalRounding::e8m13_toward_zero ||
                        p.rounding == sim::FinalRounding::e8m13_nearest_even;
  const bool nearest = p.rounding == sim::FinalRounding::f16_nearest_even ||
                       p.rounding == sim::FinalRounding::f32_nearest_even ||
                       p.rounding == sim::FinalRounding::e8m13_nearest_even;
  const int fraction = thirteen ? 13 : f.mantissa_bits;
  int exponent = 1 - f.bias;
  exponent = std::max(exponent, static_cast<int>(msb(magnitude)) + unit_exponent);
  const Integer place = power_of_two(exponent - fraction);
  Integer kept = magnitude / place;
  const Integer rest = magnitude - kept * place;
  if (nearest && (2 * rest > place || (2 * rest == place && kept % 2 == 1))) ++kept;
  // kept counts places; from here on the value is kept * 2^(exponent - fraction).
  if (kept == Integer(1) << static_cast<unsigned>(fraction + 1)) {
    ++exponent;
    kept /= 2;
  }
  const std::uint32_t sign = negative ? (half ? 0x8000U : 0x80000000U) : 0;
  // FP16 truncation is no hardware's: as IEEE's, it saturates. FP32 truncation overflows.
  const bool saturates = p.rounding == sim::FinalRounding::f16_toward_zero;
  if (exponent > f.bias) return saturates ? sign | 0x7BFFU : sign | (half ? 0x7C00U : 0x7F800000U);
  const std::uint32_t scale = 1U << (f.mantissa_bits - fraction);
  const std::uint32_t digits = static_cast<std::uint32_t>(kept) * scale;
  const std::uint32_t hidden = 1U << f.mantissa_bits;
  if (digits == 0) return p.underflow_keeps_sign ? sign : 0;
  if (digits < hidden) return sign | digits;
  return sign | ((static_cast<std::uint32_t>(exponent + f.bias) - 1) * hidden + digits);
}

struct OracleTerm {
  bool negative = false;
  Integer magnitude;
  int exponent = 0;  // that takes part in the maximum
};

/// Truncates terms to the window below their largest exponent, sums and rounds.
inline std::uint32_t oracle_window(const sim::MmaParameters& p, bool half,
                                   const std::vector<OracleTerm>& terms, bool all_minus_zero,
                                   bool minus_zero_addend) {
  int largest = terms.front().exponent;
  for (const OracleTerm& t : terms) largest = std::max(largest, t.exponent);
  Integer sum = 0;
  for (const OracleTerm& t : terms) {
    const Integer kept = truncated(t.magnitude, largest - p.fraction_bits);
    sum += t.negative ? Integer(-kept) : kept;
  }
  const std::uint32_t minus_zero = half ? 0x8000U : 0x80000000U;
  if (sum == 0) {
    if (p.zero_sum == sim::ZeroSum::negative_if_all_negative && all_minus_zero) return minus_zero;
    if (p.zero_sum == sim::ZeroSum::negative_if_addend_negative && minus_zero_addend)
      return minus_zero;
    return 0;
  }
  return oracle_round(p, half, sum < 0, abs(sum));
}

inline std::uint32_t oracle_special(bool half, bool nan, bool positive, bool negative) {
  if (nan || (positive && negative)) return half ? 0x7FFFU : 0x7FFFFFFFU;
  if (half) return negative ? 0xFC00U : 0x7C00U;
  return negative ? 0xFF800000U : 0x7F800000U;
}

struct OracleInput {
  std::vector<OracleValue> a, b, scale_a, scale_b;
};

/// Products first .. last - 1 (in the given order) of one instruction and C.
inline std::uint32_t oracle_step(const sim::Instruction& i, const OracleInput& in,
                                 const std::vector<int>& ks, std::uint32_t c) {
  const sim::MmaParameters& p = i.parameters;
  const bool half = i.d->name == "f16";
  const OracleValue addend = oracle_decode(half ? "f16" : "f32", c);
  bool nan = addend.nan;
  bool positive = addend.infinite && !addend.negative;
  bool negative = addend.infinite && addend.negative;
  bool all_minus_zero = addend.negative;
  const auto scale = [&](const std::vector<OracleValue>& scales, int k) {
    OracleValue one;
    one.magnitude = power_of_two(0);
    return i.block == 0 ? one : scales[static_cast<std::size_t>(k / i.block)];
  };
  for (const int k : ks) {
    const OracleValue& x = in.a[static_cast<std::size_t>(k)];
    const OracleValue& y = in.b[static_cast<std::size_t>(k)];
    nan = nan || x.nan || y.nan || scale(in.scale_a, k).nan || scale(in.scale_b, k).nan;
    all_minus_zero = all_minus_zero && x.negative != y.negative;
    if (!x.infinite && !y.infinite) continue;
    if ((!x.infinite && x.magnitude == 0 && !x.nan) || (!y.infinite && y.magnitude == 0 && !y.nan))
      nan = true;
    (x.negative != y.negative ? negative : positive) = true;
  }
  if (nan || positive || negative) return oracle_special(half, nan, positive, negative);

  const bool grouped = p.rule == sim::MmaRule::grouped;
  const std::size_t group = grouped ? static_cast<std::size_t>(p.group) : 1;
  std::vector<OracleTerm> terms;
  terms.push_back({addend.negative, addend.magnitude,
                   addend.magnitude == 0 ? p.exponent_of_zero : addend.exponent});
  for (std::size_t first = 0; first < ks.size(); first += group) {
    Integer sum = 0;
    int exponent = p.exponent_of_zero;
    bool any = false;
    for (std::size_t at = first; at < std::min(first + group, ks.size()); ++at) {
      const int k = ks[at];
      const OracleValue& x = in.a[static_cast<std::size_t>(k)];
      const OracleValue& y = in.b[static_cast<std::size_t>(k)];
      const OracleValue sx = scale(in.scale_a, k);
      const OracleValue sy = scale(in.scale_b, k);
      // A product counts 2^(2 * unit_exponent), with two scales 2^(4 * unit_exponent).
      const auto extra = static_cast<unsigned>(-unit_exponent) * (i.block == 0 ? 1U : 3U);
      const Integer scaled = i.block == 0
                                 ? x.magnitude * y.magnitude
                                 : Integer(x.magnitude * y.magnitude * sx.magnitude * sy.magnitude);
      if (scaled != 0 && lsb(scaled) < extra)
        throw std::logic_error("the oracle's unit is too coarse");
      const Integer product = scaled >> extra;
      sum += x.negative != y.negative ? Integer(-product) : product;
      if (product == 0) continue;
      const int e = sx.exponent + sy.exponent + (grouped ? 0 : x.exponent + y.exponent);
      exponent = any ? std::max(exponent, e) : e;
      any = true;
    }
    terms.push_back({sum < 0, abs(sum), exponent});
  }
  return oracle_window(p, half, terms, all_minus_zero, addend.negative && addend.magnitude == 0);
}

/// IEEE addition, rounded to nearest even.
inline std::uint32_t oracle_add(bool half, std::uint32_t x, std::uint32_t y) {
  const OracleValue a = oracle_decode(half ? "f16" : "f32", x);
  const OracleValue b = oracle_decode(half ? "f16" : "f32", y);
  if (a.nan || b.nan || a.infinite || b.infinite) {
    return oracle_special(half, a.nan || b.nan,
                          (a.infinite && !a.negative) || (b.infinite && !b.negative),
                          (a.infinite && a.negative) || (b.infinite && b.negative));
  }
  const Integer sum = (a.negative ? Integer(-a.magnitude) : a.magnitude) +
                      (b.negative ? Integer(-b.magnitude) : b.magnitude);
  if (sum == 0) return a.negative && b.negative ? (half ? 0x8000U : 0x80000000U) : 0;
  sim::MmaParameters p;
  p.rounding = half ? sim::FinalRounding::f16_nearest_even : sim::FinalRounding::f32_nearest_even;
  p.underflow_keeps_sign = true;
  return oracle_round(p, half, sum < 0, abs(sum));
}

/// One instruction on one output: i.k codes of each side.
inline std::uint32_t oracle_dot(const sim::Instruction& i, const std::uint32_t* a,
                                const std::uint32_t* b, const std::uint8_t* scale_a,
                                const std::uint8_t* scale_b, std::uint32_t c) {
  const bool half = i.d->name == "f16";
  OracleInput in;
  for (int k = 0; k < i.k; ++k) {
    in.a.push_back(oracle_decode(std::string(i.a->name), a[k]));
    in.b.push_back(oracle_decode(std::string(i.b->name), b[k]));
  }
  for (int block = 0; i.block != 0 && block < i.k / i.block; ++block) {
    const std::string name = i.scale->name == "ue4m3" ? "ue4m3" : "ue8m0";
    in.scale_a.push_back(oracle_scale(name, scale_a[block]));
    in.scale_b.push_back(oracle_scale(name, scale_b[block]));
  }
  std::vector<std::vector<int>> steps;
  if (i.parameters.rule == sim::MmaRule::emulated) {
    // As FP16 numbers: the exponent is the value's own, down to -14.
    for (std::vector<OracleValue>* side : {&in.a, &in.b}) {
      for (OracleValue& v : *side) {
        v.exponent = -14;
        if (v.magnitude != 0)
          v.exponent = std::max(-14, static_cast<int>(msb(v.magnitude)) + unit_exponent);
      }
    }
    steps.resize(2);
    for (int k = 0; k < i.k; ++k)
      steps[static_cast<std::size_t>(k / i.parameters.group % 2)].push_back(k);
  } else {
    for (int k = 0; k < i.k; ++k) {
      if (k % i.parameters.terms == 0) steps.emplace_back();
      steps.back().push_back(k);
    }
  }
  std::uint32_t d = i.parameters.rule == sim::MmaRule::emulated ? 0 : c;
  for (const std::vector<int>& ks : steps) d = oracle_step(i, in, ks, d);
  return i.parameters.rule == sim::MmaRule::emulated ? oracle_add(half, d, c) : d;
}

}  // namespace lowbit::test
