// SPDX-License-Identifier: MIT
/// \file
/// The matrix of a tensor that is quantized, and the way back to the tensor: rows along an axis or
/// a weight layout, transposed or not. Moves elements; no arithmetic. Thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lowbit/axis_view.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit {

/// FP32 elements, row-major.
struct TensorMatrix {
  std::vector<float> values;  ///< rows * columns
  std::size_t rows = 0;       ///< number of rows
  std::size_t columns = 0;    ///< elements of a row
};

/// The matrix of a tensor, its elements converted to FP32.
/// \param tensor  of floating-point numbers
/// \param view  whose rows are the matrix's, or its columns if transposed
/// \param transposed  whether the transpose of the view's matrix is meant
/// \throws as to_f32().
[[nodiscard]] TensorMatrix matrix_of(const TensorInfo& tensor, const AxisView& view,
                                     bool transposed);

/// The same without its elements, which are read where they are wanted.
struct StoredMatrix {
  const TensorInfo* tensor = nullptr;  ///< required
  AxisView view{};                     ///< as for matrix_of()
  bool transposed = false;             ///< as for matrix_of()
  std::size_t padding_rows = 0;        ///< of zeros, below the tensor's
  std::size_t padding_columns = 0;     ///< of zeros, right of the tensor's

  /// Of the matrix.
  [[nodiscard]] std::size_t rows() const { return tensor_rows() + padding_rows; }
  /// Of the matrix.
  [[nodiscard]] std::size_t columns() const { return tensor_columns() + padding_columns; }
  /// The elements of a rectangle, row after row. Thread-safe. \throws as to_f32()
  void read(const Rectangle& rectangle, std::span<float> out) const;

 private:
  [[nodiscard]] std::size_t tensor_rows() const { return transposed ? view.length : view.rows(); }
  [[nodiscard]] std::size_t tensor_columns() const {
    return transposed ? view.rows() : view.length;
  }
  void read_tensor(const Rectangle& rectangle, std::span<float> out) const;
};

/// Elements in the order and shape of a tensor.
struct RestoredTensor {
  std::vector<float> values;       ///< slowest dimension first
  std::vector<std::size_t> shape;  ///< product: the number of values
};

/// The inverse of matrix_of() for a tensor that was quantized: the record says its shape and
/// orientation. Where it says no shape, the tensor is the matrix, transposed back.
/// \param matrix  named.tensor.rows x named.tensor.columns elements
/// \param named  whose record counts
/// \throws Error(invalid_input) where the recorded shape does not hold the elements or does not fit
///         axis and weight layout.
[[nodiscard]] RestoredTensor tensor_of(std::vector<float> matrix, const NamedBlockTensor& named);

/// How a quantized matrix lies in the tensor that it was: what tensor_of() does, without elements.
struct TensorOrder {
  std::vector<std::size_t> shape;  ///< of the tensor
  AxisView view;                   ///< whose rows are the matrix's, or its columns if transposed
  bool transposed = false;         ///< whether the matrix is the transpose
};
/// \throws as tensor_of()
[[nodiscard]] TensorOrder order_of(const NamedBlockTensor& named);

}  // namespace lowbit
