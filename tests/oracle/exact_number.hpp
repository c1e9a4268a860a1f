// SPDX-License-Identifier: MIT
/// \file
/// The oracle: a second implementation of the formats and of the canonical quantizer, written from
/// their definitions alone in exact rationals. It is slow, and shares nothing with the library: no
/// conversion, no table, no rounding, no header (test_oracle_independence.cpp checks the includes).
#pragma once

#include <boost/multiprecision/cpp_int.hpp>

namespace oracle {

using Integer = boost::multiprecision::cpp_int;
using Rational = boost::multiprecision::cpp_rational;

/// 2^exponent.
Rational power_of_two(int exponent);
/// floor(log2 x) of a positive number.
int floor_log2(const Rational& x);
/// floor(x) of any number.
Integer floor_of(const Rational& x);
/// Round half to even to an integer.
Integer nearest_even_integer(const Rational& x);
/// One IEEE binary32 operation: the exact result x, rounded to nearest even, subnormals kept. The
/// exponent is not bounded above.
Rational fl(const Rational& x);
/// The exact value of a finite float, read off its bits.
Rational from_bits32(unsigned bits);
/// The binary32 bits of a number that is exactly a float (the sign of zero is lost).
unsigned to_bits32(const Rational& x);
Rational from_float(float x);
float to_float(const Rational& x);

}  // namespace oracle
