// SPDX-License-Identifier: MIT
#include "lowbit/tensor_matrix.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lowbit/error.hpp"
#include "lowbit/weight_layout.hpp"

namespace lowbit {
namespace {

std::vector<std::size_t> original_shape(const NamedBlockTensor& named) {
  const BlockTensor& tensor = named.tensor;
  if (!named.record.shape) {
    return named.record.transposed ? std::vector{tensor.columns, tensor.rows}
                                   : std::vector{tensor.rows, tensor.columns};
  }
  const std::vector<std::uint64_t>& shape = *named.record.shape;
  if (byte_size(dtype_u8, shape) != tensor.rows * tensor.columns) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("its metadata entry shape, [{}], does not hold {} elements",
                            fmt::join(shape, ","), tensor.rows * tensor.columns));
  }
  return {shape.begin(), shape.end()};
}

}  // namespace

TensorMatrix matrix_of(const TensorInfo& tensor, const AxisView& view, bool transposed) {
  TensorMatrix matrix{to_f32(tensor), view.rows(), view.length};
  if (view.inner == 1 && !transposed) return matrix;  // the rows lie as they are wanted
  std::vector<float> moved(matrix.values.size());
  if (view.inner != 1) {
    gather_rows(matrix.values, view, moved);
    matrix.values.swap(moved);
  }
  if (transposed) {
    transpose(matrix.values, matrix.rows, matrix.columns, moved);
    matrix.values.swap(moved);
    std::swap(matrix.rows, matrix.columns);
  }
  return matrix;
}

void StoredMatrix::read(const Rectangle& rectangle, std::span<float> out) const {
  Rectangle stored = rectangle;
  stored.rows = std::min(stored.rows, tensor_rows() - std::min(tensor_rows(), stored.row));
  stored.columns =
      std::min(stored.columns, tensor_columns() - std::min(tensor_columns(), stored.column));
  if (stored.rows == rectangle.rows && stored.columns == rectangle.columns) {
    return read_tensor(rectangle, out);
  }
  std::ranges::fill(out, 0.0F);
  if (stored.rows == 0 || stored.columns == 0) return;
  std::vector<float> held(stored.rows * stored.columns);
  read_tensor(stored, held);
  for (std::size_t r = 0; r < stored.rows; ++r) {
    std::copy_n(held.data() + r * stored.columns, stored.columns,
                out.data() + r * rectangle.columns);
  }
}

void StoredMatrix::read_tensor(const Rectangle& rectangle, std::span<float> out) const {
  std::array<float, 4096> run;
  for_each_run(view, transposed, rectangle, [&](const MatrixRun& r) {
    float* const to =
        out.data() + (r.row - rectangle.row) * rectangle.columns + (r.column - rectangle.column);
    if (!r.along_column) return to_f32(*tensor, r.first, {to, r.count});
    for (std::size_t done = 0; done < r.count; done += run.size()) {
      const std::size_t count = std::min(run.size(), r.count - done);
      to_f32(*tensor, r.first + done, std::span(run).first(count));
      for (std::size_t i = 0; i < count; ++i) to[(done + i) * rectangle.columns] = run[i];
    }
  });
}

TensorOrder order_of(const NamedBlockTensor& named) {
  const bool transposed = named.record.transposed;
  TensorOrder order{original_shape(named), {}, transposed};
  order.view = recorded_view(order.shape, named.record.weight_layout, named.record.axis);
  if (order.view.rows() != (transposed ? named.tensor.columns : named.tensor.rows)) {
    throw Error(ErrorKind::invalid_input,
                "its metadata entries axis, weight_layout and shape do not fit its rows");
  }
  return order;
}

RestoredTensor tensor_of(std::vector<float> matrix, const NamedBlockTensor& named) {
  const BlockTensor& tensor = named.tensor;
  const bool transposed = named.record.transposed;
  TensorOrder order = order_of(named);
  RestoredTensor restored{std::move(matrix), std::move(order.shape)};
  const AxisView& view = order.view;
  std::vector<float> moved(transposed || view.inner != 1 ? restored.values.size() : 0);
  if (transposed) {
    transpose(restored.values, tensor.rows, tensor.columns, moved);
    restored.values.swap(moved);
  }
  if (view.inner != 1) {
    scatter_rows(restored.values, view, moved);
    restored.values.swap(moved);
  }
  return restored;
}

}  // namespace lowbit
