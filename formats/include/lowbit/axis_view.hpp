// SPDX-License-Identifier: MIT
/// \file
/// A tensor seen as a matrix along one of its axes, and transposes. No arithmetic. Thread-safe.
#pragma once

#include <cstddef>
#include <functional>
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

/// A rectangle of a matrix.
struct Rectangle {
  std::size_t row = 0;      ///< the first one
  std::size_t column = 0;   ///< the first one
  std::size_t rows = 0;     ///< number of rows
  std::size_t columns = 0;  ///< number of columns
};

/// Neighbouring elements of a tensor that are neighbours in a matrix, too.
struct MatrixRun {
  std::size_t first = 0;      ///< in the tensor
  std::size_t row = 0;        ///< of the first element in the matrix
  std::size_t column = 0;     ///< of the first element in the matrix
  std::size_t count = 0;      ///< elements
  bool along_column = false;  ///< the next element is the next row's; else the next in row order
};

/// Calls take() for runs that make up a rectangle of the view's matrix, or of its transpose.
/// \param view  how the tensor lies as a matrix
/// \param transposed  the rectangle is one of the transposed matrix
/// \param rectangle  inside the matrix
/// \param take  called once for each run, in no stated order
void for_each_run(const AxisView& view, bool transposed, const Rectangle& rectangle,
                  const std::function<void(const MatrixRun&)>& take);
/// Whether neighbours in a row are neighbours in the tensor, too; else those in a column are.
[[nodiscard]] constexpr bool runs_along_rows(const AxisView& view, bool transposed) {
  return (view.inner == 1) != transposed;
}
/// \param shape  slowest dimension first
/// \param axis  negative ones count from the end (-1: the last). A tensor without dimensions is 1
/// x 1. \throws Error(usage) for an axis that is not there or a shape that overflows.
[[nodiscard]] AxisView view_along(std::span<const std::size_t> shape, int axis);
/// The matrix of view.rows() x view.length whose row o * inner + n runs along the axis.
void gather_rows(std::span<const float> tensor, const AxisView& view, std::span<float> matrix);
/// Its inverse.
void scatter_rows(std::span<const float> matrix, const AxisView& view, std::span<float> tensor);

}  // namespace lowbit
