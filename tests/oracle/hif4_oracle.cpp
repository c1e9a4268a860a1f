// SPDX-License-Identifier: MIT
// HiF4 in exact rationals: no product or quotient is rounded but where the definition says so.
#include "oracle/hif4_oracle.hpp"

namespace oracle {
namespace {

/// To `digits` significant binary digits, half to even. \param x  not negative
Rational significant(const Rational& x, int digits) {
  if (x == 0) return x;
  const Rational unit = power_of_two(floor_log2(x) - digits + 1);
  return Rational(nearest_even_integer(x / unit)) * unit;
}

Rational bf16(const Rational& x) {
  return significant(x, 8);
}

Rational largest_of(const std::vector<Rational>& x, std::size_t first, std::size_t count) {
  Rational top = 0;
  for (std::size_t i = first; i < first + count; ++i) {
    if (x[i] > top) top = x[i];
  }
  return top;
}

}  // namespace

unsigned hif4_scale(const Rational& largest) {
  Rational wanted = bf16(largest * bf16(Rational(1, 7)));
  if (wanted < power_of_two(-48)) wanted = power_of_two(-48);
  if (wanted > 49152) wanted = 49152;
  wanted = significant(wanted, 3);
  const int exponent = floor_log2(wanted);
  const Rational quarters = (wanted / power_of_two(exponent) - 1) * 4;
  return static_cast<unsigned>(exponent + 48) * 4 + static_cast<unsigned>(numerator(quarters));
}

std::optional<Rational> hif4_scale_value(unsigned byte) {
  if (byte == 255) return std::nullopt;
  const auto exponent = static_cast<int>(byte / 4) - 48;
  return power_of_two(exponent) * (1 + Rational(byte % 4) / 4);
}

std::optional<Rational> hif4_magnitude(unsigned scale, unsigned doublings, unsigned quarters) {
  const std::optional<Rational> s = hif4_scale_value(scale);
  if (!s) return std::nullopt;
  return *s * power_of_two(static_cast<int>(doublings)) * quarters / 4;
}

Hif4Group hif4_group(const std::vector<float>& x) {
  std::vector<Rational> a;
  for (const float v : x) a.push_back(abs(from_float(v)));
  Hif4Group g;
  g.scale = hif4_scale(largest_of(a, 0, 64));
  const Rational r = bf16(1 / *hif4_scale_value(g.scale));
  for (std::size_t k = 0; k < 8; ++k) g.second[k] = largest_of(a, 8 * k, 8) * r >= 4 ? 1 : 0;
  for (std::size_t k = 0; k < 16; ++k) {
    const Rational reduced =
        largest_of(a, 4 * k, 4) * r / power_of_two(static_cast<int>(g.second[k / 2]));
    g.third[k] = reduced >= 2 ? 1 : 0;
  }
  for (std::size_t i = 0; i < 64; ++i) {
    const auto d = static_cast<int>(g.second[i / 8] + g.third[i / 4]);
    const Integer quarters = floor_of(4 * a[i] * r / power_of_two(d) + Rational(1, 2));
    g.magnitude[i] = quarters > 7 ? 7U : static_cast<unsigned>(quarters);
    g.negative[i] = from_float(x[i]) < 0;
  }
  return g;
}

}  // namespace oracle
