// SPDX-License-Identifier: MIT
/// \file
/// Two outputs compared word for word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lowbit/element_format.hpp"

namespace lowbit::sim {

/// Distance in units in the last place: the number of representable values from one to the other,
/// -0 and +0 being 0 apart, infinity being one step past the largest finite number. nullopt where
/// exactly one is NaN.
[[nodiscard]] std::optional<std::uint64_t> ulp_distance(const ElementFormat& format,
                                                        std::uint32_t x, std::uint32_t y);

/// How two arrays of words differ.
struct WordComparison {
  std::size_t words = 0;           ///< compared
  std::size_t mismatches = 0;      ///< pairs that same_word refuses
  std::size_t zero_signs = 0;      ///< of the mismatches: +0 against -0
  std::size_t nan_against = 0;     ///< of the mismatches: NaN on one side only
  std::uint64_t largest_ulps = 0;  ///< over the mismatches that have a distance
  std::size_t first = 0;           ///< index of the first mismatch, where there is one
  std::size_t zeros = 0;           ///< words of `actual` that are zero
};

/// Equal means the same word, or NaN on both sides whatever the payload: an epilogue does not
/// define it.
[[nodiscard]] bool same_word(const ElementFormat& format, std::uint32_t expected,
                             std::uint32_t actual);
/// Spans of equal length.
[[nodiscard]] WordComparison compare_words(const ElementFormat& format,
                                           std::span<const std::uint32_t> expected,
                                           std::span<const std::uint32_t> actual);

}  // namespace lowbit::sim
