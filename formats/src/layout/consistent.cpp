// SPDX-License-Identifier: MIT
// Which layouts a tensor of known shape can have, by the bytes that are stored.
#include <fmt/format.h>

#include <algorithm>

#include "lowbit/error.hpp"
#include "lowbit/layout.hpp"

namespace lowbit {
namespace {

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text;
  for (const std::uint64_t n : shape) text += fmt::format("{}{}", text.empty() ? "" : "x", n);
  return text;
}

/// The shape in which a file that says what it holds declares scales of that order.
std::vector<std::uint64_t> declared_shape(ScaleLayout layout, std::size_t rows,
                                          std::size_t blocks) {
  const std::size_t all = scale_bytes_of(layout, rows, blocks);
  const std::size_t padded_rows = (rows + 127) / 128 * 128;
  const std::size_t padded_blocks = (blocks + 3) / 4 * 4;
  switch (layout) {
    case ScaleLayout::linear:
      return {rows, blocks};
    case ScaleLayout::transposed:
      return {blocks, rows};
    case ScaleLayout::padded:
      return {padded_rows, padded_blocks};
    case ScaleLayout::padded_transposed:
      return {padded_blocks, padded_rows};
    case ScaleLayout::swizzled:
    case ScaleLayout::tiles_8x4:
      break;
  }
  return {all};
}

}  // namespace

std::vector<Layout> consistent_layouts(const BlockFormat& format, std::size_t rows,
                                       std::size_t columns, std::size_t value_bytes,
                                       std::span<const std::uint64_t> scale_shape) {
  std::size_t scale_bytes = scale_shape.empty() ? 0 : 1;
  for (const std::uint64_t n : scale_shape) {
    if (__builtin_mul_overflow(scale_bytes, n, &scale_bytes)) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("the shape {} of scales overflows 64 bits", shape_text(scale_shape)));
    }
  }
  const auto size = static_cast<std::size_t>(format.block_size);
  const std::size_t blocks = (columns + size - 1) / size;

  std::vector<Layout> candidates;
  for (const bool once : {false, true}) {
    if (once && rows <= 1) continue;
    for (const ScaleLayout scales : scale_layouts()) {
      candidates.push_back({.scales = scales, .once_per_2d_block = once});
    }
  }
  // ggml's own groups: 64 elements of NVFP4, 32 of MXFP4.
  candidates.push_back({.fused_blocks = format.family() == ScaleFamily::nv ? 4 : 1});

  std::string tried;
  std::vector<Layout> found;
  for (const Layout& candidate : candidates) {
    const auto sizes = stored_sizes(candidate, format, rows, columns);
    if (sizes != StoredSizes{value_bytes, scale_bytes}) {
      // 2D blocks differ from the others by their scales alone; one line for each order is enough.
      if (candidate.once_per_2d_block) continue;
      const std::string_view name =
          candidate.fused_blocks != 0 ? "fused" : name_of(candidate.scales);
      tried += sizes ? fmt::format("; {}: {} + {}", name, sizes->values, sizes->scales)
                     : fmt::format("; {}: not in this shape", name);
      continue;
    }
    for (const CodeOrder order : code_orders()) {
      const bool has_orders = format.storage_bits() == 4 && !format.has_levels();
      if (!has_orders && order != CodeOrder::low_first) continue;
      found.push_back(candidate);
      found.back().codes = order;
    }
  }
  if (found.empty()) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{} x {} of {}: {} value bytes and {} scale bytes fit no layout; tried "
                            "(value + scale bytes){}",
                            rows, columns, format.name, value_bytes, scale_bytes, tried));
  }
  const std::vector<std::uint64_t> shape(scale_shape.begin(), scale_shape.end());
  const auto rank = [&](const Layout& layout) {
    const std::size_t held =
        layout.once_per_2d_block ? (rows + size - 1) / size : rows;  // 2D blocks are square
    int points = 0;
    if (layout.fused_blocks == 0 && declared_shape(layout.scales, held, blocks) != shape)
      points += 8;
    if (layout.once_per_2d_block) points += 4;
    if (layout.scales != ScaleLayout::linear && layout.scales != ScaleLayout::swizzled) points += 2;
    const bool usual = (layout.fused_blocks != 0) == (layout.codes == CodeOrder::halves);
    if (!usual || layout.codes == CodeOrder::high_first) points += 1;
    return points;
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const Layout& a, const Layout& b) { return rank(a) < rank(b); });
  return found;
}

}  // namespace lowbit
