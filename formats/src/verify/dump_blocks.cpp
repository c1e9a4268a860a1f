// SPDX-License-Identifier: MIT
#include "verify/dump_blocks.hpp"

#include <algorithm>

#include "io/mapped_file.hpp"
#include "quantize/rows.hpp"

namespace lowbit::detail {

DumpBlocks::DumpBlocks(const StoredDump& dump, const BlockFormat& format, const Layout& layout,
                       std::size_t rows, std::size_t columns)
    : dump_(dump),
      format_(format),
      layout_(layout),
      scales_(layout.scales),
      rows_(rows),
      columns_(columns),
      row_bytes_(rows == 0 ? 0 : dump.values.size() / rows) {
  if (is_fused()) return;
  if (layout.once_per_2d_block) scale_side_ = static_cast<std::size_t>(format.block_rows_2d());
  layout_.scales = ScaleLayout::linear;
  layout_.once_per_2d_block = false;
}

BlockTensor DumpBlocks::part(const Rectangle& rectangle) const {
  const auto size = static_cast<std::size_t>(format_.block_size);
  const std::size_t blocks = (columns_ + size - 1) / size;
  if (is_fused()) {
    const auto rows = dump_.values.subspan(rectangle.row * row_bytes_, rectangle.rows * row_bytes_);
    note_read(std::as_bytes(rows));
    return unpack(layout_, format_, rectangle.rows, columns_, rows, {});
  }
  const std::size_t block_bytes = blocks == 0 ? 0 : row_bytes_ / blocks;
  const std::size_t wanted = (rectangle.columns + size - 1) / size;
  const std::size_t first = rectangle.column / size;
  const std::size_t scale_rows = (rows_ + scale_side_ - 1) / scale_side_;
  std::vector<std::uint8_t> codes, scales;
  codes.reserve(rectangle.rows * wanted * block_bytes);
  scales.reserve(rectangle.rows * wanted);
  for (std::size_t r = rectangle.row; r < rectangle.row + rectangle.rows; ++r) {
    const auto of_row =
        dump_.values.subspan((r * blocks + first) * block_bytes, wanted * block_bytes);
    codes.insert(codes.end(), of_row.begin(), of_row.end());
    for (std::size_t b = first; b < first + wanted; ++b) {
      scales.push_back(
          dump_.scales[scale_offset_of(scales_, r / scale_side_, b, scale_rows, blocks)]);
    }
    note_read(std::as_bytes(of_row));
  }
  note_read(std::as_bytes(dump_.scales.subspan(0, std::min(scales.size(), dump_.scales.size()))));
  return unpack(layout_, format_, rectangle.rows, rectangle.columns, codes, scales);
}

std::size_t DumpBlocks::blocks() const {
  const auto size = static_cast<std::size_t>(format_.block_size);
  return rows_ * ((columns_ + size - 1) / size);
}

bool DumpBlocks::any_scale(const std::function<bool(std::uint8_t)>& is_such) const {
  for (const Piece& p : pieces_of(rows_, columns_, 1, !is_fused())) {
    const Rectangle rectangle{p.row, p.column, p.rows, p.columns};
    if (std::ranges::any_of(part(rectangle).scales, is_such)) return true;
  }
  return false;
}

BlockTensor DumpBlocks::block(std::size_t row, std::size_t block) const {
  const auto size = static_cast<std::size_t>(format_.block_size);
  if (!is_fused()) {
    return part({row, block * size, 1, std::min(size, columns_ - block * size)});
  }
  const BlockTensor whole = part({row, 0, 1, columns_});
  BlockTensor one;
  one.format = &format_;
  one.rows = 1;
  one.columns = std::min(size, columns_ - block * size);
  const std::size_t bytes = one.value_bytes_per_row();
  const auto from = whole.values.begin() + static_cast<std::ptrdiff_t>(block * bytes);
  one.values.assign(from, from + static_cast<std::ptrdiff_t>(bytes));
  one.scales.assign(1, whole.scales[block]);
  return one;
}

bool DumpBlocks::same_as(const DumpBlocks& other) const {
  for (const Piece& p : pieces_of(rows_, columns_, 1, !is_fused() && !other.is_fused())) {
    const Rectangle rectangle{p.row, p.column, p.rows, p.columns};
    const BlockTensor a = part(rectangle);
    const BlockTensor b = other.part(rectangle);
    if (a.scales != b.scales || a.values != b.values) return false;
  }
  return true;
}

}  // namespace lowbit::detail
