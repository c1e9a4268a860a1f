// SPDX-License-Identifier: MIT
// A dump read in some layout, block by block: its bytes stay where they are.
#pragma once

#include <cstdint>
#include <functional>

#include "lowbit/axis_view.hpp"
#include "lowbit/verify_quantize.hpp"

namespace lowbit::detail {

class DumpBlocks {
 public:
  /// \param dump  of the sizes that the layout has
  DumpBlocks(const StoredDump& dump, const BlockFormat& format, const Layout& layout,
             std::size_t rows, std::size_t columns);

  [[nodiscard]] const BlockFormat& format() const { return format_; }
  /// Whether scale bytes stand among the codes, so that only whole rows can be read.
  [[nodiscard]] bool is_fused() const { return layout_.fused_blocks != 0; }
  /// Codes and scale bytes of a rectangle of whole blocks in lowbit's own layout. Thread-safe.
  /// \param rectangle  that begins at a block; whole rows where fused
  [[nodiscard]] BlockTensor part(const Rectangle& rectangle) const;
  /// Blocks of the matrix, one row each.
  [[nodiscard]] std::size_t blocks() const;
  /// Whether a scale byte of the matrix, not of its padding, is such a one.
  [[nodiscard]] bool any_scale(const std::function<bool(std::uint8_t)>& is_such) const;
  /// One row of one block.
  [[nodiscard]] BlockTensor block(std::size_t row, std::size_t block) const;
  /// Whether all blocks are the same in both. Reads rows until one differs.
  [[nodiscard]] bool same_as(const DumpBlocks& other) const;

 private:
  const StoredDump& dump_;
  const BlockFormat& format_;
  Layout layout_;       ///< of a part: scale bytes in rows
  ScaleLayout scales_;  ///< of the stored ones
  std::size_t rows_;
  std::size_t columns_;
  std::size_t row_bytes_;       ///< of stored codes
  std::size_t scale_side_ = 1;  ///< rows of the matrix that share a row of scale bytes
};

}  // namespace lowbit::detail
