// SPDX-License-Identifier: MIT
#include "oracle/exact_format.hpp"

namespace oracle {
namespace {

/// A sign bit, e exponent bits and m mantissa bits, biased. `special` says which magnitudes are not
/// numbers: those at and above it are NaN, or infinity then NaN where `ieee`.
Format floating(const std::string& name, int e, int m, int bias, bool is_signed, unsigned special,
                bool ieee) {
  Format f;
  f.name = name;
  f.bits = e + m + (is_signed ? 1 : 0);
  f.is_signed = is_signed;
  f.sign_bit = is_signed ? 1U << (e + m) : 0;
  for (unsigned code = 0; code < 1U << f.bits; ++code) {
    const unsigned magnitude = code & ((1U << (e + m)) - 1);
    const auto field = static_cast<int>(magnitude >> m);
    const unsigned fraction = magnitude & ((1U << m) - 1);
    CodeValue v;
    v.negative = (code & f.sign_bit) != 0;
    if (magnitude >= special) {
      v.meaning = ieee && magnitude == special ? Meaning::infinity : Meaning::nan;
    } else {
      const Rational part = Rational(fraction) / power_of_two(m);
      v.value =
          field == 0 ? part * power_of_two(1 - bias) : (1 + part) * power_of_two(field - bias);
      if (!v.negative) f.values[v.value] = code;
      if (v.negative) v.value = -v.value;
    }
    f.codes.push_back(v);
  }
  const int top = floor_log2(f.largest());
  f.beyond = f.largest() + power_of_two(top - m);
  if (ieee) f.infinity = special;
  for (unsigned code = 0; code < f.codes.size(); ++code) f.negated.push_back(code ^ f.sign_bit);
  if (special < 1U << (e + m)) f.nan = ieee ? special + (1U << (m - 1)) : special;
  return f;
}

/// Integers: `magnitude_bits` below the sign, two's complement or sign and magnitude.
Format integers(const std::string& name, int magnitude_bits, bool twos_complement) {
  Format f;
  f.name = name;
  f.bits = magnitude_bits + 1;
  f.is_integer = true;
  f.sign_bit = 1U << magnitude_bits;
  for (unsigned code = 0; code < 2 * f.sign_bit; ++code) {
    CodeValue v;
    v.negative = code >= f.sign_bit;
    const int low = static_cast<int>(code % f.sign_bit);
    if (!v.negative) {
      v.value = low;
      f.values[v.value] = code;
    } else {
      v.value = twos_complement ? low - static_cast<int>(f.sign_bit) : -low;
      if (v.value == 0) v.negative = false;  // integers have one zero
    }
    f.codes.push_back(v);
  }
  f.beyond = f.largest() + 1;
  for (unsigned code = 0; code < f.sign_bit; ++code) {
    f.negated.push_back(twos_complement ? (2 * f.sign_bit - code) % (2 * f.sign_bit)
                                        : code + f.sign_bit);
  }
  return f;
}

/// No sign and no zero: `steps` codes to an octave, code 0 is 2^lowest, the last one NaN.
Format positive(const std::string& name, int lowest, unsigned steps) {
  Format f;
  f.name = name;
  f.bits = 8;
  f.is_signed = false;
  for (unsigned code = 0; code < 256; ++code) {
    CodeValue v;
    if (code == 255) {
      v.meaning = Meaning::nan;
    } else {
      v.value = power_of_two(lowest + static_cast<int>(code / steps)) *
                (1 + Rational(code % steps) / steps);
      f.values[v.value] = code;
    }
    f.codes.push_back(v);
  }
  // What code 255 would have been.
  f.beyond =
      power_of_two(lowest + static_cast<int>(255 / steps)) * (1 + Rational(255 % steps) / steps);
  f.nan = 255;
  return f;
}

const std::map<std::string, Format>& all() {
  static const std::map<std::string, Format> formats = [] {
    const unsigned none = 1U << 16;
    std::map<std::string, Format> m;
    const auto add = [&m](Format f) { m.emplace(f.name, std::move(f)); };
    add(floating("e2m0", 2, 0, 1, true, none, false));
    add(floating("e2m1", 2, 1, 1, true, none, false));
    add(floating("e2m3", 2, 3, 1, true, none, false));
    add(floating("e3m2", 3, 2, 3, true, none, false));
    add(floating("e4m3", 4, 3, 7, true, 0x7F, false));
    add(floating("ue4m3", 4, 3, 7, false, 0x7F, false));
    add(floating("ue5m3", 5, 3, 15, false, 0xFF, false));
    add(floating("e5m2", 5, 2, 15, true, 0x7C, true));
    add(positive("e8m0", -127, 1));
    add(positive("e6m2", -48, 4));
    add(floating("s1p2", 1, 2, 1, true, none, false));
    add(integers("int3", 2, true));
    add(integers("int4", 3, true));
    add(integers("int6", 5, false));
    add(integers("int8", 7, true));
    return m;
  }();
  return formats;
}

}  // namespace

const Format& format(const std::string& name) {
  return all().at(name);
}

const std::vector<std::string>& format_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> n;
    for (const auto& [name, f] : all()) n.push_back(name);
    return n;
  }();
  return names;
}

Neighbours neighbours(const Format& f, const Rational& x) {
  Neighbours n;
  n.magnitude = abs(x);
  n.lo = 0;
  const auto above = f.values.upper_bound(n.magnitude);
  n.hi = above == f.values.end() ? f.beyond : above->first;
  n.below_all = above == f.values.begin();
  if (!n.below_all) {
    n.lo = std::prev(above)->first;
    n.lo_code = std::prev(above)->second;
  }
  return n;
}

unsigned round_to_code(const Format& f, const Neighbours& x, bool negative, Mode mode,
                       bool to_infinity, bool keep_zero_sign, const Rational& u) {
  const auto& [magnitude, lo, hi, lo_code, below_all] = x;
  const unsigned zero = keep_zero_sign && negative && f.is_signed && !f.is_integer ? f.sign_bit : 0;
  if (magnitude == 0) return zero;
  if ((negative && !f.is_signed) || below_all) return 0;

  bool up = false;
  if (magnitude != lo) {
    const Rational middle = (lo + hi) / 2;
    switch (mode) {
      case Mode::nearest_even:
        up = magnitude > middle || (magnitude == middle && lo_code % 2 == 1);
        break;
      case Mode::nearest_away:
        up = magnitude >= middle;
        break;
      case Mode::nearest_toward_zero:
        up = magnitude > middle;
        break;
      case Mode::toward_zero:
        break;
      case Mode::stochastic:
        up = u * (hi - lo) < magnitude - lo;
        break;
    }
    if (lo == f.largest() && magnitude >= f.beyond) up = mode != Mode::toward_zero;
  }
  const bool overflows = lo == f.largest() && up;
  if (overflows && to_infinity && f.infinity) return (negative ? f.sign_bit : 0) | *f.infinity;
  if (overflows && to_infinity && f.nan) return *f.nan;
  const unsigned code = lo_code + (up && !overflows ? 1 : 0);
  if (code == 0) return zero;
  if (!negative) return code;
  return f.negated.at(code);
}

}  // namespace oracle
