// SPDX-License-Identifier: MIT
#include "lowbit/sim/word_compare.hpp"

#include <algorithm>

namespace lowbit::sim {
namespace {

bool is_nan(const ElementFormat& format, std::uint32_t word) {
  return decode(format, word).number_class == NumberClass::nan;
}

/// Sign-magnitude words on a line: consecutive numbers are consecutive integers.
std::int64_t on_a_line(const ElementFormat& format, std::uint32_t word) {
  const auto magnitude = static_cast<std::int64_t>(word & format.magnitude_mask());
  return (word & format.sign_mask()) != 0 ? -magnitude : magnitude;
}

}  // namespace

std::optional<std::uint64_t> ulp_distance(const ElementFormat& format, std::uint32_t x,
                                          std::uint32_t y) {
  const bool nan_x = is_nan(format, x);
  const bool nan_y = is_nan(format, y);
  if (nan_x && nan_y) return 0;
  if (nan_x || nan_y) return std::nullopt;
  const std::int64_t d = on_a_line(format, x) - on_a_line(format, y);
  return static_cast<std::uint64_t>(d < 0 ? -d : d);
}

bool same_word(const ElementFormat& format, std::uint32_t expected, std::uint32_t actual) {
  return expected == actual || (is_nan(format, expected) && is_nan(format, actual));
}

WordComparison compare_words(const ElementFormat& format, std::span<const std::uint32_t> expected,
                             std::span<const std::uint32_t> actual) {
  WordComparison result;
  result.words = expected.size();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if ((actual[i] & format.magnitude_mask()) == 0) ++result.zeros;
    if (same_word(format, expected[i], actual[i])) continue;
    if (result.mismatches++ == 0) result.first = i;
    const auto distance = ulp_distance(format, expected[i], actual[i]);
    if (!distance) {
      ++result.nan_against;
    } else {
      if (*distance == 0) ++result.zero_signs;
      result.largest_ulps = std::max(result.largest_ulps, *distance);
    }
  }
  return result;
}

}  // namespace lowbit::sim
