// SPDX-License-Identifier: MIT
#include "lowbit/axis_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "lowbit/error.hpp"

namespace lowbit {
namespace {

void require(std::size_t found, std::size_t wanted, std::string_view what) {
  if (found == wanted) return;
  throw Error(ErrorKind::usage,
              fmt::format("{}: {} elements are given, {} are needed", what, found, wanted));
}

std::size_t product(std::size_t a, std::size_t b) {
  if (b != 0 && a > std::numeric_limits<std::size_t>::max() / b) {
    throw Error(ErrorKind::usage, "the product of the dimensions does not fit in 64 bits");
  }
  return a * b;
}

}  // namespace

void transpose(std::span<const float> in, std::size_t rows, std::size_t columns,
               std::span<float> out) {
  require(in.size(), product(rows, columns), "transposing");
  require(out.size(), in.size(), "transposing");
  constexpr std::size_t tile = 32;  // both sides of a tile stay in the first-level cache
  for (std::size_t r0 = 0; r0 < rows; r0 += tile) {
    for (std::size_t c0 = 0; c0 < columns; c0 += tile) {
      for (std::size_t r = r0; r < std::min(r0 + tile, rows); ++r) {
        for (std::size_t c = c0; c < std::min(c0 + tile, columns); ++c) {
          out[c * rows + r] = in[r * columns + c];
        }
      }
    }
  }
}

AxisView view_along(std::span<const std::size_t> shape, int axis) {
  const int dimensions = static_cast<int>(shape.size());
  if (dimensions == 0 && (axis == 0 || axis == -1)) return {};
  if (axis < -dimensions || axis >= dimensions) {
    throw Error(ErrorKind::usage,
                fmt::format("there is no axis {} in a tensor of {} dimensions", axis, dimensions));
  }
  const auto at = static_cast<std::size_t>(axis < 0 ? axis + dimensions : axis);
  AxisView view{.length = shape[at]};
  for (std::size_t i = 0; i < at; ++i) view.outer = product(view.outer, shape[i]);
  for (std::size_t i = at + 1; i < shape.size(); ++i) view.inner = product(view.inner, shape[i]);
  static_cast<void>(product(product(view.outer, view.length), view.inner));
  return view;
}

void for_each_run(const AxisView& view, bool transposed, const Rectangle& rectangle,
                  const std::function<void(const MatrixRun&)>& take) {
  if (rectangle.rows == 0 || rectangle.columns == 0) return;
  const auto position = [&](std::size_t row, std::size_t column) {
    if (transposed) std::swap(row, column);
    return (row / view.inner * view.length + column) * view.inner + row % view.inner;
  };
  const std::size_t end_row = rectangle.row + rectangle.rows;
  const std::size_t end_column = rectangle.column + rectangle.columns;
  if (runs_along_rows(view, transposed)) {
    const bool whole_rows = !transposed && rectangle.columns == view.length;
    if (whole_rows) {
      take({position(rectangle.row, 0), rectangle.row, 0, rectangle.rows * rectangle.columns});
      return;
    }
    for (std::size_t r = rectangle.row; r < end_row; ++r) {
      for (std::size_t c = rectangle.column; c < end_column;) {
        // In the transpose a run ends where the next outer dimension begins.
        const std::size_t left = end_column - c;
        const std::size_t count = transposed ? std::min(left, view.inner - c % view.inner) : left;
        take({position(r, c), r, c, count});
        c += count;
      }
    }
    return;
  }
  for (std::size_t c = rectangle.column; c < end_column; ++c) {
    for (std::size_t r = rectangle.row; r < end_row;) {
      const std::size_t left = end_row - r;
      const std::size_t count = transposed ? left : std::min(left, view.inner - r % view.inner);
      take({position(r, c), r, c, count, true});
      r += count;
    }
  }
}

void gather_rows(std::span<const float> tensor, const AxisView& view, std::span<float> matrix) {
  require(tensor.size(), view.rows() * view.length, "gathering along an axis");
  require(matrix.size(), tensor.size(), "gathering along an axis");
  const std::size_t slab = view.length * view.inner;
  for (std::size_t o = 0; o < view.outer; ++o) {
    transpose(tensor.subspan(o * slab, slab), view.length, view.inner,
              matrix.subspan(o * slab, slab));
  }
}

void scatter_rows(std::span<const float> matrix, const AxisView& view, std::span<float> tensor) {
  require(matrix.size(), view.rows() * view.length, "scattering along an axis");
  require(tensor.size(), matrix.size(), "scattering along an axis");
  const std::size_t slab = view.length * view.inner;
  for (std::size_t o = 0; o < view.outer; ++o) {
    transpose(matrix.subspan(o * slab, slab), view.inner, view.length,
              tensor.subspan(o * slab, slab));
  }
}

}  // namespace lowbit
