// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "oracle/exact_number.hpp"

namespace oracle {

/// A group of 64 numbers in HiF4, from docs/formats.md, section 12, alone.
struct Hif4Group {
  unsigned scale = 0;                    ///< E6M2
  std::array<unsigned, 8> second{};      ///< the exponents of the eighths
  std::array<unsigned, 16> third{};      ///< the exponents of the sixteenths
  std::array<unsigned, 64> magnitude{};  ///< quarters
  std::array<bool, 64> negative{};
};

/// \param x  64 finite numbers
Hif4Group hif4_group(const std::vector<float>& x);
/// The scale byte of a group whose largest magnitude that is.
unsigned hif4_scale(const Rational& largest);
/// The number that an E6M2 byte stands for; nothing for NaN.
std::optional<Rational> hif4_scale_value(unsigned byte);
/// The magnitude of an element: \param doublings  the sum of its two exponents
std::optional<Rational> hif4_magnitude(unsigned scale, unsigned doublings, unsigned quarters);

}  // namespace oracle
