// SPDX-License-Identifier: MIT
/// \file
/// What the dimensions of a weight mean, and the matrix of outputs x inputs that follows: blocks
/// run along its rows, over everything that one output sums up. O: outputs, I: inputs, H and W: the
/// kernel. No arithmetic. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lowbit/axis_view.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {

/// How the dimensions of a weight tensor are meant.
enum class WeightLayout : std::uint8_t {
  automatic,  ///< resolve_layout() decides by rank and metadata
  last,       ///< the last dimension is the input; all others are rows
  oi,         ///< [O, I] (PyTorch); what follows I belongs to the input
  io,         ///< [.., I, O] (MatMul weights of ONNX); what precedes I are rows
  oihw,       ///< [O, I, H, W] (PyTorch, ONNX); [O, I, W] with one dimension less
  ohwi,       ///< [O, H, W, I] (TensorFlow Lite)
  hwio,       ///< [H, W, I, O] (TensorFlow)
};
/// Every layout, in the order above.
[[nodiscard]] std::span<const WeightLayout> weight_layouts();
/// "auto", "last", "oi", ...
[[nodiscard]] std::string_view name_of(WeightLayout layout);
/// The layout of that name, or nullopt.
[[nodiscard]] std::optional<WeightLayout> find_weight_layout(std::string_view name);

/// Largest last dimension of a rank-3 tensor that is taken for the width of a 1D kernel.
inline constexpr std::uint64_t largest_kernel_width = 15;

/// The layout of a tensor where nobody says: the file's metadata entry "NAME.weight_layout" if
/// there is one; `oihw` for rank 4 and more, and for rank 3 where the last dimension is at most
/// largest_kernel_width; `last` for all others. Other layouts than `automatic` are returned as they
/// are. \throws Error(invalid_input) for a metadata entry that is no layout.
[[nodiscard]] WeightLayout resolve_layout(WeightLayout layout, const TensorInfo& tensor,
                                          const std::map<std::string, std::string>& metadata);

/// The matrix of the layout: each row is everything that one output sums up, in the order in which
/// \param shape  slowest dimension first
/// it is stored. A tensor with fewer than two dimensions is one row. \param layout  not `automatic`
/// \throws Error(usage) for a shape that overflows.
[[nodiscard]] AxisView view_of(std::span<const std::size_t> shape, WeightLayout layout);

/// The matrix that a QuantizeRecord's weight_layout and axis stand for: the axis counts where the
/// layout is "last". \throws Error(usage) for an unknown layout or an axis that is not there.
[[nodiscard]] AxisView recorded_view(std::span<const std::size_t> shape,
                                     std::string_view weight_layout, int axis);

}  // namespace lowbit
