// SPDX-License-Identifier: MIT
#include "oracle/exact_number.hpp"

#include <cstring>

namespace oracle {

Rational power_of_two(int exponent) {
  const Integer p = Integer(1) << (exponent < 0 ? -exponent : exponent);
  return exponent < 0 ? Rational(Integer(1), p) : Rational(p);
}

int floor_log2(const Rational& x) {
  int e = static_cast<int>(msb(numerator(x))) - static_cast<int>(msb(denominator(x)));
  if (x < power_of_two(e)) --e;
  return e;
}

Integer floor_of(const Rational& x) {
  Integer q = numerator(x) / denominator(x);  // toward zero
  if (x < 0 && q * denominator(x) != numerator(x)) --q;
  return q;
}

Integer nearest_even_integer(const Rational& x) {
  const Integer low = floor_of(x);
  const Rational rest = x - Rational(low);
  const Rational half(1, 2);
  if (rest < half) return low;
  if (rest > half) return low + 1;
  return low % 2 == 0 ? low : low + 1;
}

Rational fl(const Rational& x) {
  if (x == 0) return x;
  if (x < 0) return -fl(-x);
  int unit = floor_log2(x) - 23;
  if (unit < -149) unit = -149;
  return Rational(nearest_even_integer(x * power_of_two(-unit))) * power_of_two(unit);
}

Rational from_bits32(unsigned bits) {
  const int field = static_cast<int>((bits >> 23) & 0xFF);
  const unsigned fraction = bits & 0x7FFFFF;
  const Rational magnitude = field == 0
                                 ? Rational(fraction) * power_of_two(-149)
                                 : Rational(fraction + (1U << 23)) * power_of_two(field - 150);
  return (bits >> 31) != 0 ? Rational(-magnitude) : magnitude;
}

unsigned to_bits32(const Rational& x) {
  if (x == 0) return 0;
  const unsigned sign = x < 0 ? 1U << 31 : 0;
  const Rational magnitude = abs(x);
  const int e = floor_log2(magnitude);
  if (e < -126) {
    return sign | static_cast<unsigned>(numerator(Rational(magnitude * power_of_two(149))));
  }
  if (e > 127) return sign | 0x7F800000U;
  const Rational scaled = magnitude * power_of_two(23 - e);
  const auto significand = static_cast<unsigned>(numerator(scaled));
  return sign | (static_cast<unsigned>(e + 127) << 23) | (significand - (1U << 23));
}

Rational from_float(float x) {
  unsigned bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return from_bits32(bits);
}

float to_float(const Rational& x) {
  const unsigned bits = to_bits32(x);
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace oracle
