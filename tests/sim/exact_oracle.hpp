// SPDX-License-Identifier: MIT
// The slow model that exact dot products are compared with: exact rationals of Boost.Multiprecision
// over a decoder written from the formats' definitions. Uses nothing of the library but the plain
// BlockTensor record and its format's name.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

#include "lowbit/block_tensor.hpp"

namespace oracle {

using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;

inline cpp_rational power_of_two(int exponent) {
  const cpp_int p = cpp_int(1) << (exponent < 0 ? -exponent : exponent);
  return exponent < 0 ? cpp_rational(1, p) : cpp_rational(p);
}

struct Layout {
  int exponent_bits, mantissa_bits, bias;  // of the float element
  int integer_bits;                        // of the integer element; 0: none
  bool sign_magnitude;
  int unit_num, unit_den;  // what an integer element counts
  bool mx;
  int block;
  bool ue5m3 = false;  // the scale byte, where it is not E4M3 or E8M0
};

inline const Layout& layout(std::string name) {
  static const std::map<std::string, Layout> layouts = {
      {"nvfp4", {2, 1, 1, 0, false, 1, 1, false, 16}},
      {"nvfp3", {2, 0, 1, 0, false, 1, 1, false, 16}},
      {"nvfp6_e2m3", {2, 3, 1, 0, false, 1, 1, false, 16}},
      {"nvfp6_e3m2", {3, 2, 3, 0, false, 1, 1, false, 16}},
      {"nvint3", {0, 0, 0, 3, false, 1, 1, false, 16}},
      {"nvint4", {0, 0, 0, 4, false, 1, 1, false, 16}},
      {"nvint6", {0, 0, 0, 6, true, 1, 1, false, 16}},
      {"if3", {2, 0, 1, 3, false, 4, 3, false, 16}},
      {"if4", {2, 1, 1, 4, false, 6, 7, false, 16}},
      {"if6_e2m3", {2, 3, 1, 6, true, 15, 62, false, 16}},
      {"if6_e3m2", {3, 2, 3, 6, true, 28, 31, false, 16}},
      {"mxfp3", {2, 0, 1, 0, false, 1, 1, true, 32}},
      {"mxfp4", {2, 1, 1, 0, false, 1, 1, true, 32}},
      {"mxfp6_e2m3", {2, 3, 1, 0, false, 1, 1, true, 32}},
      {"mxfp6_e3m2", {3, 2, 3, 0, false, 1, 1, true, 32}},
      {"mxfp8_e4m3", {4, 3, 7, 0, false, 1, 1, true, 32}},
      {"mxfp8_e5m2", {5, 2, 15, 0, false, 1, 1, true, 32}},
      {"mxint8", {0, 0, 0, 8, false, 1, 64, true, 32}},
      {"mxfp4_bs16", {2, 1, 1, 0, false, 1, 1, true, 16}},
      {"amdfp4", {2, 1, 1, 0, false, 1, 1, false, 16, true}},
  };
  static std::map<std::string, Layout> small;
  if (name.size() > 4 && name.ends_with("_bs8")) {
    Layout l = layouts.at(name.substr(0, name.size() - 4));
    l.block = 8;
    return small[name] = l;
  }
  return layouts.at(name);
}

/// nullopt: not a finite number.
inline std::optional<cpp_rational> float_element(int e_bits, int m_bits, int bias, unsigned code) {
  const int bits = 1 + e_bits + m_bits;
  code &= (1U << bits) - 1;
  const bool negative = (code >> (bits - 1)) != 0;
  const unsigned field = (code >> m_bits) & ((1U << e_bits) - 1);
  const unsigned mantissa = code & ((1U << m_bits) - 1);
  if (e_bits == 4 && field == 15 && mantissa == 7) return std::nullopt;
  if (e_bits == 5 && field == 31) return std::nullopt;
  const cpp_rational fraction(mantissa, 1U << m_bits);
  cpp_rational value = field == 0 ? fraction * power_of_two(1 - bias)
                                  : (1 + fraction) * power_of_two(static_cast<int>(field) - bias);
  return negative ? cpp_rational(-value) : value;
}

inline cpp_rational integer_element(const Layout& l, unsigned code) {
  code &= (1U << l.integer_bits) - 1;
  const unsigned sign = 1U << (l.integer_bits - 1);
  int value = static_cast<int>(code & (sign - 1));
  if ((code & sign) != 0) value = l.sign_magnitude ? -value : value - static_cast<int>(sign);
  return cpp_rational(value) * cpp_rational(l.unit_num, l.unit_den);
}

inline std::optional<cpp_rational> element(const Layout& l, unsigned scale, unsigned code) {
  const bool integer = l.exponent_bits == 0 || (l.integer_bits != 0 && scale >= 0x80);
  if (integer) return integer_element(l, code);
  return float_element(l.exponent_bits, l.mantissa_bits, l.bias, code);
}

/// nullopt: NaN.
inline std::optional<cpp_rational> scale_value(const Layout& l, unsigned byte,
                                               bool nan_is_largest) {
  if (l.mx) {
    if (byte == 255) {
      if (!nan_is_largest) return std::nullopt;
      byte = 254;
    }
    return power_of_two(static_cast<int>(byte) - 127);
  }
  if (l.ue5m3) {
    if (byte == 255) {
      if (!nan_is_largest) return std::nullopt;
      return cpp_rational(114688);
    }
    const cpp_rational eighths(byte & 7, 8);
    return byte < 8 ? cpp_rational(eighths * power_of_two(-14))
                    : cpp_rational((1 + eighths) * power_of_two(static_cast<int>(byte >> 3) - 15));
  }
  byte &= 0x7F;
  if (byte == 0x7F) {
    if (!nan_is_largest) return std::nullopt;
    return cpp_rational(448);
  }
  return float_element(4, 3, 7, byte);
}

inline unsigned code_at(const lowbit::BlockTensor& t, std::size_t row, std::size_t k) {
  const std::size_t block = static_cast<std::size_t>(layout(std::string(t.format->name)).block);
  const std::size_t padded = (t.columns + block - 1) / block * block;
  const bool packed = t.format->name.find("4") != std::string_view::npos &&
                      t.format->name.find("mxfp8") == std::string_view::npos;
  if (!packed) return t.values[row * padded + k];
  const unsigned pair = t.values[row * padded / 2 + k / 2];
  return k % 2 == 0 ? pair & 15 : pair >> 4;
}

/// The dot product; nullopt where any element or scale is NaN or infinite.
inline std::optional<cpp_rational> dot(const lowbit::BlockTensor& a, std::size_t row_a,
                                       const lowbit::BlockTensor& b, std::size_t row_b,
                                       bool nan_is_largest = false) {
  const Layout& la = layout(std::string(a.format->name));
  const Layout& lb = layout(std::string(b.format->name));
  const auto block_a = static_cast<std::size_t>(la.block);
  const auto block_b = static_cast<std::size_t>(lb.block);
  const std::size_t per_row_a = (a.columns + block_a - 1) / block_a;
  const std::size_t per_row_b = (b.columns + block_b - 1) / block_b;
  cpp_rational total = 0;
  for (std::size_t k = 0; k < a.columns;) {
    const unsigned sa = a.scales[row_a * per_row_a + k / block_a];
    const unsigned sb = b.scales[row_b * per_row_b + k / block_b];
    const auto scale_a = scale_value(la, sa, nan_is_largest);
    const auto scale_b = scale_value(lb, sb, nan_is_largest);
    if (!scale_a || !scale_b) return std::nullopt;
    cpp_rational block_sum = 0;
    do {
      const auto x = element(la, sa, code_at(a, row_a, k));
      const auto y = element(lb, sb, code_at(b, row_b, k));
      if (!x || !y) return std::nullopt;
      block_sum += *x * *y;
      ++k;
    } while (k < a.columns && k % block_a != 0 && k % block_b != 0);
    total += block_sum * (*scale_a * *scale_b);
  }
  return total;
}

inline cpp_rational from_float(float f) {
  std::uint32_t word = 0;
  std::memcpy(&word, &f, 4);
  const int field = static_cast<int>((word >> 23) & 255);
  const unsigned mantissa = word & 0x7FFFFF;
  const cpp_rational value = field == 0
                                 ? cpp_rational(mantissa) * power_of_two(-149)
                                 : cpp_rational(mantissa + 0x800000U) * power_of_two(field - 150);
  return (word >> 31) != 0 ? cpp_rational(-value) : value;
}

/// To the nearest binary float of that shape, ties to even, overflow to infinity: its bits.
inline std::uint32_t round(const cpp_rational& exact, int e_bits, int m_bits) {
  if (exact == 0) return 0;
  const int bias = (1 << (e_bits - 1)) - 1;
  const std::uint32_t sign = exact < 0 ? 1U << (e_bits + m_bits) : 0;
  const cpp_rational x = exact < 0 ? cpp_rational(-exact) : exact;
  // floor(log2 x), from the lengths of numerator and denominator, corrected by comparison.
  int e = static_cast<int>(msb(numerator(x))) - static_cast<int>(msb(denominator(x)));
  if (power_of_two(e) > x) --e;
  if (power_of_two(e + 1) <= x) ++e;
  const int last = std::max(e, 1 - bias) - m_bits;  // exponent of the last place
  const cpp_rational scaled = x * power_of_two(-last);
  cpp_int whole = numerator(scaled) / denominator(scaled);
  const cpp_rational rest = scaled - cpp_rational(whole);
  const cpp_rational half(1, 2);
  if (rest > half || (rest == half && (whole & 1) != 0)) ++whole;
  // A significand that carried out moves into the next binade by itself in this sum.
  const cpp_int hidden = cpp_int(1) << m_bits;
  cpp_int bits = whole;
  if (whole >= hidden) bits += hidden * (last + m_bits + bias - 1);
  const cpp_int infinity = (((cpp_int(1) << e_bits) - 1) << m_bits);
  if (bits > infinity) bits = infinity;
  return sign | bits.convert_to<std::uint32_t>();
}

}  // namespace oracle
