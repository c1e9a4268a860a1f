// SPDX-License-Identifier: MIT
/// \file
/// Published remedies for the errors of a quantized linear layer Y = X W^T, with weights W [outputs
/// x K] and inputs X [tokens x K]: rotations, SmoothQuant, AWQ, column orders, SVDQuant's branch,
/// ARCQuant's residual columns, GPTQ. docs/transforms.md states each with every constant and its
/// source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/quantize.hpp"
#include "lowbit/transform.hpp"

namespace lowbit {

/// A layer whose weights went through remedies and a format. Its product is that of two operands
/// with K + E columns, of which E carry a branch or residuals. Every member is const and
/// thread-safe.
class RemediedLayer {
 public:
  /// Of W after the transforms (less the branch), codes and scale bytes.
  [[nodiscard]] const BlockTensor& quantized() const { return quantized_; }
  /// What each block chose, in the order of the scale bytes.
  [[nodiscard]] const std::vector<BlockChoice>& choices() const { return choices_; }
  /// What the codes stand for: outputs x K values, W after the transforms (less the branch).
  [[nodiscard]] const std::vector<float>& weights() const { return weights_; }
  /// quantized(), dequantized.
  [[nodiscard]] const std::vector<float>& dequantized() const { return dequantized_; }
  /// Bits and multiply-adds that the remedies add to the layer.
  [[nodiscard]] TransformCost cost() const { return cost_; }
  /// What was done, in order, as a quantized file's record names it: the transforms of rows by
  /// their names (`arc` with the number of residual columns), then `svd:RANK`, `gptq` or
  /// `gptq:act`.
  [[nodiscard]] const std::vector<std::string>& steps() const { return steps_; }
  /// Those of rows, fitted; the first entries of steps().
  [[nodiscard]] const TransformList& transforms() const { return transforms_; }
  /// Columns of the branch; 0 without one.
  [[nodiscard]] std::size_t rank() const { return rank_; }
  /// L of the branch, outputs x rank BF16 numbers.
  [[nodiscard]] const std::vector<float>& branch_left() const { return left_; }
  /// R of the branch, rank x K BF16 numbers.
  [[nodiscard]] const std::vector<float>& branch_right() const { return right_; }
  /// K + E.
  [[nodiscard]] std::size_t operand_columns() const;
  /// outputs x (K + E) values.
  /// \param quantize  whether the weights are the dequantized ones
  [[nodiscard]] std::vector<float> weight_operand(bool quantize) const;
  /// tokens x (K + E) values.
  /// \param inputs  tokens x K finite values, as the layer gets them
  /// \param quantize  whether inputs are quantized by the layer's format and rule, with one amax
  [[nodiscard]] std::vector<float> input_operand(const MatrixView& inputs, bool quantize) const;

 private:
  friend class Remedies;
  QuantizeOptions request_;
  TransformList transforms_;
  BlockTensor quantized_;
  std::vector<BlockChoice> choices_;
  std::vector<std::string> steps_;
  std::vector<float> weights_;
  std::vector<float> dequantized_;
  std::size_t rank_ = 0;      // of the branch
  std::vector<float> left_;   // outputs x rank
  std::vector<float> right_;  // rank x K
  std::size_t residual_ = 0;  // columns whose residuals follow
  TransformCost cost_;
};

/// A list of remedies, from left to right.
class Remedies {
 public:
  /// \param list  names with commas between, such as "hadamard:16,gptq"; empty: none
  /// \throws Error(usage) for unknown names, values out of range and an order that does not exist.
  [[nodiscard]] static Remedies parse(std::string_view list);
  /// Whether there is none.
  [[nodiscard]] bool empty() const { return steps_.empty(); }
  /// Whether one of them learns from inputs.
  [[nodiscard]] bool needs_inputs() const;
  /// The list as transforms that depend on nothing but their names, so that anybody can quantize to
  /// the same bytes; empty where a remedy learns, has a branch or changes codes.
  [[nodiscard]] TransformList fixed() const;
  /// The list, as parse() takes it.
  [[nodiscard]] const std::string& text() const { return text_; }
  /// A layer through the remedies and a format. Allocates several copies of the weights; GPTQ and
  /// AWQ need K^2 doubles more. \param weights  outputs x K finite values \param inputs  tokens x K
  /// finite values to learn from; may be empty where none are needed \param request  format, rule,
  /// dialect and scale_max; without transforms \throws Error(usage) where inputs are missing or a
  /// remedy cannot take K, the format or the rule.
  [[nodiscard]] RemediedLayer apply(const MatrixView& weights, const MatrixView& inputs,
                                    const QuantizeOptions& request) const;

 private:
  struct Step {
    std::string name;
    double number = 0.0;     // ALPHA, RANK or N
    std::uint64_t seed = 1;  // of a rotation
    bool flag = false;       // full, inputs or act
  };
  std::string text_;
  std::vector<Step> steps_;
};

/// "NAME  what it does" lines, for help.
[[nodiscard]] std::string_view remedy_help();

}  // namespace lowbit
