// SPDX-License-Identifier: MIT
#include "lowbit/scale_layout.hpp"

#include <fmt/format.h>

#include "lowbit/error.hpp"

namespace lowbit {
namespace {

void check_size(std::size_t actual, std::size_t expected, std::string_view what) {
  if (actual == expected) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} scale bytes where the {} layout has {}", actual, what, expected));
}

}  // namespace

std::string_view name_of(ScaleLayout layout) {
  return layout == ScaleLayout::linear ? "linear" : "swizzled";
}

std::optional<ScaleLayout> find_scale_layout(std::string_view name) {
  if (name == "linear") return ScaleLayout::linear;
  if (name == "swizzled") return ScaleLayout::swizzled;
  return std::nullopt;
}

std::vector<std::uint8_t> swizzle_scales(std::span<const std::uint8_t> linear, std::size_t rows,
                                         std::size_t blocks) {
  check_size(linear.size(), rows * blocks, "linear");
  std::vector<std::uint8_t> swizzled(swizzled_scale_bytes(rows, blocks));
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t b = 0; b < blocks; ++b) {
      swizzled[swizzled_scale_offset(r, b, blocks)] = linear[r * blocks + b];
    }
  }
  return swizzled;
}

std::vector<std::uint8_t> unswizzle_scales(std::span<const std::uint8_t> swizzled, std::size_t rows,
                                           std::size_t blocks) {
  check_size(swizzled.size(), swizzled_scale_bytes(rows, blocks), "swizzled");
  std::vector<std::uint8_t> linear(rows * blocks);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t b = 0; b < blocks; ++b) {
      linear[r * blocks + b] = swizzled[swizzled_scale_offset(r, b, blocks)];
    }
  }
  return linear;
}

}  // namespace lowbit
