// SPDX-License-Identifier: MIT
// How near a number lies to where another code begins.
#pragma once

#include <cstdint>

#include "lowbit/element_format.hpp"

namespace lowbit::detail {

/// The place of a number between two neighbouring values of a format.
struct Margin {
  double lower = 0.0;     ///< the largest value that is not above it
  double upper = 0.0;     ///< the least value that is not below it
  double boundary = 0.0;  ///< halfway between them
  /// |number - boundary| over the distance of the two values: 0 on a tie, at most 0.5. 0.5 where
  /// the number is a value of the format.
  double distance = 0.5;
  bool is_tie = false;     ///< on the boundary
  bool is_beyond = false;  ///< above the largest finite value
};
/// \param format  no sign is needed: magnitudes are looked at
/// \param number  finite
[[nodiscard]] Margin margin_of(const ElementFormat& format, double number);

}  // namespace lowbit::detail
