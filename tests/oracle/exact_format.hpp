// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "oracle/exact_number.hpp"

namespace oracle {

enum class Meaning { number, infinity, nan };

/// What one code means. A zero keeps its sign.
struct CodeValue {
  Meaning meaning = Meaning::number;
  bool negative = false;
  Rational value;  ///< signed
};

enum class Mode { nearest_even, nearest_away, nearest_toward_zero, toward_zero, stochastic };

/// An element format as the list of what its codes mean, worked out from the definition in words.
struct Format {
  std::string name;
  int bits = 0;
  bool is_integer = false;
  bool is_signed = true;
  std::vector<CodeValue> codes;         ///< by code
  std::map<Rational, unsigned> values;  ///< the nonnegative numbers and their codes
  std::vector<unsigned> negated;        ///< the code of minus a nonnegative number, by its code
  Rational beyond;  ///< the number after the largest, had there been one more exponent
  unsigned sign_bit = 0;
  std::optional<unsigned> nan;
  std::optional<unsigned> infinity;

  [[nodiscard]] Rational largest() const { return values.rbegin()->first; }
};

const Format& format(const std::string& name);
const std::vector<std::string>& format_names();

/// The numbers on either side of a magnitude: lo <= |x| < hi. `hi` may be the format's `beyond`.
struct Neighbours {
  Rational magnitude;
  Rational lo;
  Rational hi;
  unsigned lo_code = 0;
  bool below_all = false;  ///< |x| is under the smallest number of a format without zero
};
Neighbours neighbours(const Format& format, const Rational& x);

/// A real number (with the sign that a zero had) to a code. `to_infinity` says what an overflow
/// becomes: infinity, else NaN, else the largest number; without it always the largest number.
unsigned round_to_code(const Format& format, const Neighbours& x, bool negative, Mode mode,
                       bool to_infinity, bool keep_zero_sign, const Rational& u = 0);

}  // namespace oracle
