// SPDX-License-Identifier: MIT
/// \file
/// A tensor seen as a matrix along one of its axes, and transposes. No arithmetic. Thread-safe.
#pragma once

#include <cstddef>
#include <span>

namespace lowbit {

/// The transpose of a rows x columns matrix.
void transpose(std::span<const float> in, std::size_t rows, std::size_t columns,
               std::span<float> out);

/// A tensor seen along one axis: element (o, i, n) at (o * length + i) * inner + n, i along the
/// axis.
struct AxisView {
  std::size_t outer = 1;   ///< product of the dimensions before the axis
  std::size_t length = 1;  ///< of the axis
  std::size_t inner = 1;   ///< product of the dimensions after it
  /// Rows of the matrix whose rows run along the axis.
  [[nodiscard]] constexpr std::size_t rows() const { return outer * inner; }
};
/// \param shape  slowest dimension first
/// \param axis  negative ones count from the end (-1: the last). A tensor without dimensions is 1
/// x 1. \throws Error(usage) for an axis that is not there or a shape that overflows.
[[nodiscard]] AxisView view_along(std::span<const std::size_t> shape, int axis);
/// The matrix of view.rows() x view.length whose row o * inner + n runs along the axis.
void gather_rows(std::span<const float> tensor, const AxisView& view, std::span<float> matrix);
/// Its inverse.
void scatter_rows(std::span<const float> matrix, const AxisView& view, std::span<float> tensor);

}  // namespace lowbit
