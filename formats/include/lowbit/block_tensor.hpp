// SPDX-License-Identifier: MIT
/// \file
/// A block-quantized matrix in memory: packed codes, scale bytes and the FP32 scale above them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lowbit/block_format.hpp"
#include "lowbit/block_levels.hpp"

namespace lowbit {

/// A matrix of rows x columns elements whose blocks run along the rows.
///
/// Element (r, c) is decode(code) * decode(scale byte) * amax / encode_constant, times E
/// (BlockFormat::integer_unit) in integer blocks, times 2^element_exponent, times 2 to the
/// element's level(); see docs/formats.md, section 10. MX and HiF: amax = encode_constant = 1.
struct BlockTensor {
  const BlockFormat* format = nullptr;  ///< required
  std::size_t rows = 0;                 ///< of the matrix
  std::size_t columns = 0;              ///< logical, before padding
  /// rows x value_bytes_per_row. 4-bit codes two per byte, even column in the low nibble; other
  /// codes one byte each. Columns are padded with code 0 to a whole number of blocks. Where the
  /// format has levels, those of a block stand before its codes.
  std::vector<std::uint8_t> values;
  /// rows x blocks_per_row, row-major (a 2D block's byte is repeated in each of its rows). Bit 7 is
  /// the integer flag of IF formats.
  std::vector<std::uint8_t> scales;
  float amax = 1.0F;             ///< A; 1 for MX and HiF
  float encode_constant = 1.0F;  ///< C = Q * M of docs/formats.md, section 4; 1 for MX, HiF

  /// Blocks of one row, the last one perhaps partly padding.
  [[nodiscard]] std::size_t blocks_per_row() const {
    const auto size = static_cast<std::size_t>(format->block_size);
    return (columns + size - 1) / size;
  }
  /// Columns that are stored: whole blocks.
  [[nodiscard]] std::size_t padded_columns() const {
    return blocks_per_row() * static_cast<std::size_t>(format->block_size);
  }
  /// Bytes of one row of `values`.
  [[nodiscard]] std::size_t value_bytes_per_row() const {
    return blocks_per_row() * format->block_bytes();
  }
  /// The bytes of (row, block) in `values`. No bounds check.
  [[nodiscard]] const std::uint8_t* block(std::size_t row, std::size_t block) const {
    return values.data() + row * value_bytes_per_row() + block * format->block_bytes();
  }
  /// The code of element (row, column), unpacked. No bounds check.
  [[nodiscard]] std::uint8_t code(std::size_t row, std::size_t column) const {
    std::size_t base = row * value_bytes_per_row();
    if (format->has_levels()) {
      // Before the codes of the column's block, and of all blocks before it.
      base += (column / static_cast<std::size_t>(format->block_size) + 1) * format->level_bytes();
    }
    if (format->storage_bits() == 8) return values[base + column];
    const std::uint8_t pair = values[base + column / 2];
    return column % 2 == 0 ? pair & 0xF : pair >> 4;
  }
  /// How often element (row, column) is doubled: 0 to 2, 0 where the format has no levels.
  [[nodiscard]] unsigned level(std::size_t row, std::size_t column) const {
    if (!format->has_levels()) return 0;
    const auto size = static_cast<std::size_t>(format->block_size);
    return level_of(*format, levels_of(*format, block(row, column / size)), column % size);
  }
  /// The scale byte of (row, block). No bounds check.
  [[nodiscard]] std::uint8_t scale(std::size_t row, std::size_t block) const {
    return scales[row * blocks_per_row() + block];
  }
};

}  // namespace lowbit
