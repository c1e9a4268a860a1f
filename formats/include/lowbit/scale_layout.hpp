// SPDX-License-Identifier: MIT
/// \file
/// Where the scale byte of (row, block) lies: row-major, transposed, padded, or in one of the tiled
/// orders in which block-scaled tensor cores and their libraries read it. One part of the
/// description of a layout (layout.hpp).
///
/// swizzled (CUTLASS, cuBLASLt): 512-byte tiles of 128 rows x 4 blocks, tiles along K first and
/// then along the rows; within a tile, byte (row % 32) * 16 + (row / 32 % 4) * 4 + block % 4. 8x4
/// (TensorRT-LLM, FlashInfer): 32-byte tiles of 8 rows x 4 blocks in the same order, byte (row % 8)
/// * 4 + block % 4. Padding has byte 0. Thread-safe.
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
enum class ScaleLayout : std::uint8_t {
  linear,             ///< rows x blocks, row-major
  swizzled,           ///< tiles of 128 x 4
  tiles_8x4,          ///< tiles of 8 x 4
  transposed,         ///< blocks x rows, row-major
  padded,             ///< row-major, rows padded to a multiple of 128 and blocks to one of 4
  padded_transposed,  ///< blocks x rows, blocks padded to a multiple of 4 and rows to one of 128
};
/// The layout's name, as the command spells it.
[[nodiscard]] std::string_view name_of(ScaleLayout layout);
/// The layout of that name (also row_major and 128x4), or nullopt.
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

/// Bytes of rows x blocks scales in the layout, padding included.
[[nodiscard]] constexpr std::size_t scale_bytes_of(ScaleLayout layout, std::size_t rows,
                                                   std::size_t blocks) {
  switch (layout) {
    case ScaleLayout::linear:
    case ScaleLayout::transposed:
      break;
    case ScaleLayout::swizzled:
    case ScaleLayout::padded:
    case ScaleLayout::padded_transposed:
      return swizzled_scale_bytes(rows, blocks);
    case ScaleLayout::tiles_8x4:
      return (rows + 7) / 8 * 8 * ((blocks + 3) / 4 * 4);
  }
  return rows * blocks;
}
/// Where the scale byte of (row, block) is in the layout of rows x blocks scales.
[[nodiscard]] constexpr std::size_t scale_offset_of(ScaleLayout layout, std::size_t row,
                                                    std::size_t block, std::size_t rows,
                                                    std::size_t blocks) {
  const std::size_t padded_blocks = (blocks + 3) / 4 * 4;
  switch (layout) {
    case ScaleLayout::linear:
      break;
    case ScaleLayout::swizzled:
      return swizzled_scale_offset(row, block, blocks);
    case ScaleLayout::tiles_8x4:
      return (row / 8 * (padded_blocks / 4) + block / 4) * 32 + row % 8 * 4 + block % 4;
    case ScaleLayout::transposed:
      return block * rows + row;
    case ScaleLayout::padded:
      return row * padded_blocks + block;
    case ScaleLayout::padded_transposed:
      return block * ((rows + 127) / 128 * 128) + row;
  }
  return row * blocks + block;
}

#if __cplusplus >= 202002L
/// Every layout, linear first.
[[nodiscard]] std::span<const ScaleLayout> scale_layouts();
/// Row-major rows x blocks bytes to the layout, padding 0.
/// \throws Error(usage) for spans of the wrong size.
[[nodiscard]] std::vector<std::uint8_t> arrange_scales(ScaleLayout layout,
                                                       std::span<const std::uint8_t> linear,
                                                       std::size_t rows, std::size_t blocks);
/// Its inverse; padding is dropped unseen.
/// \throws Error(usage) for spans of the wrong size.
[[nodiscard]] std::vector<std::uint8_t> linear_scales(ScaleLayout layout,
                                                      std::span<const std::uint8_t> arranged,
                                                      std::size_t rows, std::size_t blocks);
/// arrange_scales() to the swizzled layout.
[[nodiscard]] inline std::vector<std::uint8_t> swizzle_scales(std::span<const std::uint8_t> linear,
                                                              std::size_t rows,
                                                              std::size_t blocks) {
  return arrange_scales(ScaleLayout::swizzled, linear, rows, blocks);
}
/// linear_scales() from the swizzled layout.
[[nodiscard]] inline std::vector<std::uint8_t> unswizzle_scales(
    std::span<const std::uint8_t> swizzled, std::size_t rows, std::size_t blocks) {
  return linear_scales(ScaleLayout::swizzled, swizzled, rows, blocks);
}
#endif

}  // namespace lowbit
