// SPDX-License-Identifier: MIT
/// \file
/// What is done to the rows of a matrix before its blocks are quantized. A linear layer computes
/// Y = X W^T, so a transform that multiplies the rows of W by T and those of X by the inverse of
/// its transpose leaves Y as it is.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/input_type.hpp"

namespace lowbit {

/// A row-major matrix that belongs to somebody else.
struct MatrixView {
  std::span<const float> values;  ///< rows * columns of them
  std::size_t rows = 0;           ///< of the matrix
  std::size_t columns = 0;        ///< of the matrix
};

/// What a transform adds to a layer of one weight matrix.
struct TransformCost {
  double bits = 0.0;           ///< stored beside the weights, for the whole matrix
  double multiply_adds = 0.0;  ///< done for each row of inputs
};

/// One transform. fit() comes first; after that every member is const and thread-safe.
class Transform {
 public:
  virtual ~Transform() = default;
  /// As a quantized file's record and the command spell it; find_transform() takes it.
  [[nodiscard]] virtual std::string name() const = 0;
  /// Learns from the weights [outputs x K] and recorded inputs [tokens x K], both as they are
  /// before this transform. Inputs may be empty. \throws Error(usage) where it cannot do without.
  virtual void fit(const MatrixView& weights, const MatrixView& inputs);
  /// \throws Error(usage), saying what would fit, for rows of a length that it cannot take.
  virtual void check(std::size_t columns) const;
  /// Columns that it mixes: whole groups of that many may be transformed by themselves. 0: the
  /// whole row.
  [[nodiscard]] virtual std::size_t group_columns() const = 0;
  /// One row of weights, or of inputs, in place; each result is rounded to the type.
  virtual void apply_to_weights(std::span<float> row, InputType type) const = 0;
  /// One row of inputs, in place; each result is rounded to the type.
  virtual void apply_to_inputs(std::span<float> row, InputType type) const = 0;
  /// What fit() learned, one number per column: the factor of the weights, or the column that is
  /// taken to this place. Empty where the name says all.
  [[nodiscard]] virtual std::vector<float> learned() const { return {}; }
  /// \param rows, columns  of the weight matrix
  [[nodiscard]] virtual TransformCost cost(std::size_t rows, std::size_t columns) const = 0;
};

/// Applied one after another.
using TransformList = std::vector<std::shared_ptr<const Transform>>;

/// The transform of that name that needs no fit(), or null: `hadamard`, `hadamard:N:SEED` and
/// `hadamard:full:SEED` with N a power of two from 16.
[[nodiscard]] std::shared_ptr<const Transform> find_transform(std::string_view name);

}  // namespace lowbit
