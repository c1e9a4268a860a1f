// SPDX-License-Identifier: MIT
/// \file
/// How matrices, codes and scale bytes lie in memory. No arithmetic. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lowbit {

/// Two 4-bit codes a byte, the even one in the low nibble; an odd last code stands alone.
[[nodiscard]] std::vector<std::uint8_t> pack_nibbles(std::span<const std::uint8_t> codes);
/// \param count  codes wanted, at most twice the bytes. \throws Error(usage)
[[nodiscard]] std::vector<std::uint8_t> unpack_nibbles(std::span<const std::uint8_t> bytes,
                                                       std::size_t count);

/// Bytes of a swizzled scale matrix: rows padded to 128, blocks per row to 4.
[[nodiscard]] std::size_t swizzled_scale_size(std::size_t rows, std::size_t blocks_per_row);
/// Place of the scale of (row, block) in the layout that Blackwell's tensor cores read: tiles of
/// 128 rows x 4 blocks, 512 bytes each, row-major; within a tile, row % 32 counts 16 bytes,
/// row / 32 % 4 counts 4 bytes, the block 1 byte.
[[nodiscard]] constexpr std::size_t swizzled_scale_offset(std::size_t row, std::size_t block,
                                                          std::size_t blocks_per_row) {
  const std::size_t tiles = (blocks_per_row + 3) / 4;
  return (row / 128 * tiles + block / 4) * 512 + row % 32 * 16 + row % 128 / 32 * 4 + block % 4;
}
/// Row-major scale bytes to the swizzled layout; padding is 0. \throws Error(usage) for sizes that differ.
[[nodiscard]] std::vector<std::uint8_t> swizzle_scales(std::span<const std::uint8_t> linear,
                                                       std::size_t rows, std::size_t blocks_per_row);
/// Back again; padding is dropped.
[[nodiscard]] std::vector<std::uint8_t> unswizzle_scales(std::span<const std::uint8_t> swizzled,
                                                         std::size_t rows, std::size_t blocks_per_row);

/// The transpose of a rows x columns matrix.
void transpose(std::span<const float> in, std::size_t rows, std::size_t columns, std::span<float> out);

/// A tensor seen along one axis: element (o, i, n) at (o * length + i) * inner + n, i along the axis.
struct AxisView {
  std::size_t outer = 1;   ///< product of the dimensions before the axis
  std::size_t length = 1;  ///< of the axis
  std::size_t inner = 1;   ///< product of the dimensions after it
  /// Rows of the matrix whose rows run along the axis.
  [[nodiscard]] constexpr std::size_t rows() const { return outer * inner; }
};
/// \param axis  negative ones count from the end (-1: the last). A tensor without dimensions is 1 x 1.
/// \throws Error(usage) for an axis that is not there or a shape that overflows.
[[nodiscard]] AxisView view_along(std::span<const std::size_t> shape, int axis);
/// The matrix of view.rows() x view.length whose row o * inner + n runs along the axis.
void gather_rows(std::span<const float> tensor, const AxisView& view, std::span<float> matrix);
/// Its inverse.
void scatter_rows(std::span<const float> matrix, const AxisView& view, std::span<float> tensor);

}  // namespace lowbit
