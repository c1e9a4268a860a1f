// SPDX-License-Identifier: MIT
/// \file
/// What quantization does to the output of a linear layer, Y = X W^T with inputs X [tokens x K] and
/// weights W [outputs x K]. Products are in binary64, over blocks of outputs in a fixed order: no
/// result depends on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace lowbit {

/// Sums over the outputs y of the original and z of the quantized layer.
struct OutputSums {
  std::uint64_t outputs = 0;    ///< outputs compared
  double squared_error = 0.0;   ///< sum of (z - y)^2
  double squared_output = 0.0;  ///< sum of y^2
  double squared_result = 0.0;  ///< sum of z^2
  double product = 0.0;         ///< sum of y z

  /// Adds the sums of another part of the outputs.
  void add(const OutputSums& other);
  /// sqrt(sum (z - y)^2 / sum y^2); 0 where z = y
  [[nodiscard]] double rel_l2() const;
  /// 10 log10(sum y^2 / sum (z - y)^2); infinite where z = y
  [[nodiscard]] double sqnr_db() const;
  /// sum y z / sqrt(sum y^2 sum z^2); 1 where z = y, 0 where all z = 0
  [[nodiscard]] double cosine() const;
};

/// One layer and the outputs that its recorded inputs give. Takes 8 bytes per output and token, and
/// as much per input.
class LayerOutput {
 public:
  /// \param columns  K
  /// \param inputs  tokens * K values. \param weights  outputs * K values. All finite.
  /// \param threads  at least 1
  /// \throws Error(usage) where the sizes do not fit each other or are 0.
  LayerOutput(std::span<const float> inputs, std::span<const float> weights, std::size_t columns,
              unsigned threads);
  ~LayerOutput();
  /// Takes over the other's state.
  LayerOutput(LayerOutput&&) noexcept;
  /// Takes over the other's state.
  LayerOutput& operator=(LayerOutput&&) noexcept;

  /// Rows of the inputs.
  [[nodiscard]] std::size_t tokens() const;
  /// Rows of the weights.
  [[nodiscard]] std::size_t outputs() const;

  /// The outputs of other inputs and weights of the same shapes, against the original's.
  /// \param threads  at least 1
  /// \param inputs, weights  as above, quantized and dequantized; empty: the original ones
  [[nodiscard]] OutputSums compare(std::span<const float> inputs, std::span<const float> weights,
                                   unsigned threads) const;
  /// The outputs of operands with another number of columns (a branch or residuals among them).
  /// \param columns  of both operands
  /// \param threads  at least 1
  /// \param inputs  tokens * columns values. \param weights  outputs * columns values
  [[nodiscard]] OutputSums compare_operands(std::span<const float> inputs,
                                            std::span<const float> weights, std::size_t columns,
                                            unsigned threads) const;
  /// Outputs that something else computed (a kernel, a model of its accumulation), token by token.
  [[nodiscard]] OutputSums compare_outputs(std::span<const float> outputs) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lowbit
