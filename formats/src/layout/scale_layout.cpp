// SPDX-License-Identifier: MIT
#include "lowbit/scale_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lowbit/error.hpp"

namespace lowbit {
namespace {

struct Names {
  ScaleLayout layout;
  std::string_view name;
  std::string_view alias;
};
constexpr std::array names{Names{ScaleLayout::linear, "linear", "row_major"},
                           Names{ScaleLayout::swizzled, "swizzled", "128x4"},
                           Names{ScaleLayout::tiles_8x4, "8x4", "tiles_8x4"},
                           Names{ScaleLayout::transposed, "transposed", "transposed"},
                           Names{ScaleLayout::padded, "padded", "padded"},
                           Names{ScaleLayout::padded_transposed, "padded_transposed", "padded_t"}};
constexpr auto all = [] {
  std::array<ScaleLayout, names.size()> layouts{};
  for (std::size_t i = 0; i < names.size(); ++i) layouts[i] = names[i].layout;
  return layouts;
}();

void check_size(std::size_t actual, std::size_t expected, std::string_view what) {
  if (actual == expected) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} scale bytes where the {} layout has {}", actual, what, expected));
}

}  // namespace

std::span<const ScaleLayout> scale_layouts() {
  return all;
}

std::string_view name_of(ScaleLayout layout) {
  const auto at = std::find_if(names.begin(), names.end(),
                               [&](const Names& entry) { return entry.layout == layout; });
  return at->name;
}

std::optional<ScaleLayout> find_scale_layout(std::string_view name) {
  for (const Names& entry : names) {
    if (entry.name == name || entry.alias == name) return entry.layout;
  }
  return std::nullopt;
}

std::vector<std::uint8_t> arrange_scales(ScaleLayout layout, std::span<const std::uint8_t> linear,
                                         std::size_t rows, std::size_t blocks) {
  check_size(linear.size(), rows * blocks, name_of(ScaleLayout::linear));
  std::vector<std::uint8_t> arranged(scale_bytes_of(layout, rows, blocks));
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t b = 0; b < blocks; ++b) {
      arranged[scale_offset_of(layout, r, b, rows, blocks)] = linear[r * blocks + b];
    }
  }
  return arranged;
}

std::vector<std::uint8_t> linear_scales(ScaleLayout layout, std::span<const std::uint8_t> arranged,
                                        std::size_t rows, std::size_t blocks) {
  check_size(arranged.size(), scale_bytes_of(layout, rows, blocks), name_of(layout));
  std::vector<std::uint8_t> linear(rows * blocks);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t b = 0; b < blocks; ++b) {
      linear[r * blocks + b] = arranged[scale_offset_of(layout, r, b, rows, blocks)];
    }
  }
  return linear;
}

}  // namespace lowbit
