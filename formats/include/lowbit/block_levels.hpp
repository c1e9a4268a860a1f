// SPDX-License-Identifier: MIT
/// \file
/// Where the levels of exponents below a block's scale lie: at the head of the block's bytes in
/// BlockTensor::values, as one little-endian number. Its lowest bits are the second level, those
/// above them the third, the first part of the block lowest (docs/formats.md, section 12).
#pragma once

#include <cstddef>
#include <cstdint>

#include "lowbit/block_format.hpp"

namespace lowbit {

/// The levels of a block as one number. Thread-safe, as all here.
/// \param format  with or without levels
/// \param block  its bytes
/// \return 0 where the format has none
[[nodiscard]] constexpr std::uint32_t levels_of(const BlockFormat& format,
                                                const std::uint8_t* block) {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < format.level_bytes(); ++i) {
    bits |= static_cast<std::uint32_t>(block[i]) << (8 * i);
  }
  return bits;
}

/// Writes what levels_of() reads. \param format  has levels \param bits  the number
/// \param block  its bytes
constexpr void store_levels(const BlockFormat& format, std::uint32_t bits, std::uint8_t* block) {
  for (std::size_t i = 0; i < format.level_bytes(); ++i) {
    block[i] = static_cast<std::uint8_t>(bits >> (8 * i));
  }
}

/// How often element `index` of the block is doubled: 0, 1 or 2.
/// \param format  with or without levels
/// \param levels  as levels_of() gives them
/// \param index  of the element in its row of the block
[[nodiscard]] constexpr unsigned level_of(const BlockFormat& format, std::uint32_t levels,
                                          std::size_t index) {
  if (!format.has_levels()) return 0;
  const auto size = static_cast<std::size_t>(format.block_size);
  const auto second = static_cast<std::size_t>(format.levels.second);
  const auto third = static_cast<std::size_t>(format.levels.third);
  return (levels >> (index * second / size) & 1U) +
         (levels >> (second + index * third / size) & 1U);
}

}  // namespace lowbit
