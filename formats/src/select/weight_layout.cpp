// SPDX-License-Identifier: MIT
#include "lowbit/weight_layout.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "io/error_text.hpp"
#include "lowbit/error.hpp"

namespace lowbit {
namespace {

constexpr auto names = std::to_array<std::pair<WeightLayout, std::string_view>>({
    {WeightLayout::automatic, "auto"},
    {WeightLayout::last, "last"},
    {WeightLayout::oi, "oi"},
    {WeightLayout::io, "io"},
    {WeightLayout::oihw, "oihw"},
    {WeightLayout::ohwi, "ohwi"},
    {WeightLayout::hwio, "hwio"},
});

constexpr auto layouts = [] {
  std::array<WeightLayout, names.size()> out{};
  for (std::size_t i = 0; i < names.size(); ++i) out[i] = names[i].first;
  return out;
}();

/// A view whose rows run over the dimensions first .. first + count - 1.
AxisView view_over(std::span<const std::size_t> shape, std::size_t first, std::size_t count) {
  // The checks of view_along hold for the shape as a whole: a product of some of its dimensions
  // overflows only where the product of all does, or one of them is 0.
  AxisView view = view_along(shape, static_cast<int>(first));
  view.length = 1;
  for (std::size_t i = first; i < first + count; ++i) view.length *= shape[i];
  view.inner = 1;
  for (std::size_t i = first + count; i < shape.size(); ++i) view.inner *= shape[i];
  return view;
}

}  // namespace

std::span<const WeightLayout> weight_layouts() {
  return layouts;
}

std::string_view name_of(WeightLayout layout) {
  for (const auto& [value, name] : names) {
    if (value == layout) return name;
  }
  return "unknown";
}

std::optional<WeightLayout> find_weight_layout(std::string_view name) {
  for (const auto& [value, text] : names) {
    if (text == name) return value;
  }
  return std::nullopt;
}

WeightLayout resolve_layout(WeightLayout layout, const TensorInfo& tensor,
                            const std::map<std::string, std::string>& metadata) {
  if (layout != WeightLayout::automatic) return layout;
  if (const auto entry = metadata.find(tensor.name + ".weight_layout"); entry != metadata.end()) {
    const std::optional<WeightLayout> found = find_weight_layout(entry->second);
    if (found && *found != WeightLayout::automatic) return *found;
    reject({tensor.file, tensor.name, tensor.offset},
           fmt::format("its metadata entry weight_layout is \"{}\"", entry->second),
           "name the layout with --weight-layout");
  }
  const std::size_t rank = tensor.shape.size();
  const bool is_kernel = rank >= 4 || (rank == 3 && tensor.shape.back() <= largest_kernel_width);
  return is_kernel ? WeightLayout::oihw : WeightLayout::last;
}

AxisView view_of(std::span<const std::size_t> shape, WeightLayout layout) {
  const std::size_t rank = shape.size();
  if (rank < 2) return view_along(shape, -1);
  switch (layout) {
    case WeightLayout::oi:
    case WeightLayout::oihw:
    case WeightLayout::ohwi:
      return view_over(shape, 1, rank - 1);
    case WeightLayout::io:
      return view_over(shape, rank - 2, 1);
    case WeightLayout::hwio:
      return view_over(shape, 0, rank - 1);
    case WeightLayout::automatic:
    case WeightLayout::last:
      break;
  }
  return view_along(shape, -1);
}

AxisView recorded_view(std::span<const std::size_t> shape, std::string_view weight_layout,
                       int axis) {
  const std::optional<WeightLayout> layout = find_weight_layout(weight_layout);
  if (!layout || *layout == WeightLayout::automatic) {
    throw Error(ErrorKind::usage, fmt::format("there is no weight layout {}", weight_layout));
  }
  return *layout == WeightLayout::last ? view_along(shape, axis) : view_of(shape, *layout);
}

}  // namespace lowbit
