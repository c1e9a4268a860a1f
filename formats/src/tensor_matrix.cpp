// SPDX-License-Identifier: MIT
#include "lowbit/tensor_matrix.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

RestoredTensor tensor_of(std::vector<float> matrix, const NamedBlockTensor& named) {
  const BlockTensor& tensor = named.tensor;
  const bool transposed = named.record.transposed;
  RestoredTensor restored{std::move(matrix), original_shape(named)};
  const AxisView view =
      recorded_view(restored.shape, named.record.weight_layout, named.record.axis);
  std::vector<float> moved(transposed || view.inner != 1 ? restored.values.size() : 0);
  if (transposed) {
    transpose(restored.values, tensor.rows, tensor.columns, moved);
    restored.values.swap(moved);
  }
  if (view.rows() != (transposed ? tensor.columns : tensor.rows)) {
    throw Error(ErrorKind::invalid_input,
                "its metadata entries axis, weight_layout and shape do not fit its rows");
  }
  if (view.inner != 1) {
    scatter_rows(restored.values, view, moved);
    restored.values.swap(moved);
  }
  return restored;
}

}  // namespace lowbit
