// SPDX-License-Identifier: MIT
/// \file
/// Where the scale byte of (row, block) lies: row-major, or in the 128x4 order in which the
/// block-scaled tensor cores and their libraries (CUTLASS, cuBLASLt) read it.
///
/// Swizzled: 512-byte tiles of 128 rows x 4 blocks, tiles along K first and then along the rows;
/// within a tile, byte (row % 32) * 16 + (row / 32 % 4) * 4 + block % 4. Rows and blocks are padded
/// to whole tiles with byte 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>
#if __cplusplus >= 202002L  // CUDA sources that take only the offset are C++17
#include <span>
#endif

namespace lowbit {

/// The order of scale bytes in memory.
enum class ScaleLayout : std::uint8_t { linear, swizzled };
/// The layout's name, as the command spells it.
[[nodiscard]] std::string_view name_of(ScaleLayout layout);
/// The layout of that name, or nullopt.
[[nodiscard]] std::optional<ScaleLayout> find_scale_layout(std::string_view name);

/// Bytes of rows x blocks scales in the swizzled layout, padding included.
[[nodiscard]] constexpr std::size_t swizzled_scale_bytes(std::size_t rows, std::size_t blocks) {
  return (rows + 127) / 128 * 128 * ((blocks + 3) / 4 * 4);
}
/// Where the scale byte of (row, block) is in the swizzled layout; `blocks`: per row.
[[nodiscard]] constexpr std::size_t swizzled_scale_offset(std::size_t row, std::size_t block,
                                                          std::size_t blocks) {
  const std::size_t tiles_per_row = (blocks + 3) / 4;
  const std::size_t tile = row / 128 * tiles_per_row + block / 4;
  return tile * 512 + row % 32 * 16 + row / 32 % 4 * 4 + block % 4;
}

#if __cplusplus >= 202002L
/// Row-major rows x blocks bytes to the swizzled order, padding 0, and back.
/// \throws Error(usage) for spans of the wrong size.
[[nodiscard]] std::vector<std::uint8_t> swizzle_scales(std::span<const std::uint8_t> linear,
                                                       std::size_t rows, std::size_t blocks);
[[nodiscard]] std::vector<std::uint8_t> unswizzle_scales(std::span<const std::uint8_t> swizzled,
                                                         std::size_t rows, std::size_t blocks);
#endif

}  // namespace lowbit
