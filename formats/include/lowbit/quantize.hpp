// SPDX-License-Identifier: MIT
/// \file
/// Whole-tensor quantization and dequantization. What is computed, operation by operation, is the
/// dialect's (dialect.hpp, docs/formats.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lowbit/block_tensor.hpp"
#include "lowbit/input_type.hpp"
#include "lowbit/scale_rule.hpp"
#include "lowbit/transform.hpp"

namespace lowbit {

/// What to do with NaN and infinities in the input.
enum class NonFinite : std::uint8_t {
  error,      ///< throw Error(invalid_input) naming the first one
  saturate,   ///< infinity becomes the largest finite value of the input type, NaN becomes 0
  propagate,  ///< their block's scale byte is the scale format's NaN, its codes 0
};

/// How elements are rounded; stochastic_unbiased also multiplies Q and C by 16/17.
enum class ElementRounding : std::uint8_t { nearest, stochastic, stochastic_unbiased };

/// Which operand of a product the matrix is: its transforms are applied accordingly.
enum class OperandSide : std::uint8_t { weights, inputs };

/// What is asked of quantize().
struct QuantizeOptions {
  const BlockFormat* format = nullptr;  ///< required
  std::optional<ScaleRule> rule{};      ///< default_rule(format, dialect) where absent
  const Dialect* dialect = nullptr;     ///< canonical where null
  std::optional<float> scale_max{};     ///< M; default_scale_max(format, rule) where absent
  std::optional<float> amax{};          ///< A given by the caller instead of measured
  int search_radius = 0;                ///< K of the rule `search`: 1 or more; 0 for other rules
  /// Weights of the columns' squared errors for the rules `optimal` and `search`, finite and not
  /// negative; all 1 where empty.
  std::span<const float> importance{};
  bool block_2d = false;       ///< square blocks (16x16, 32x32 for MX)
  TransformList transforms{};  ///< of the rows, one after another, before anything else
  OperandSide side = OperandSide::weights;    ///< which operand the matrix is
  NonFinite nonfinite = NonFinite::error;     ///< what NaN and infinities become
  InputType input_type = InputType::float32;  ///< type of the values before promotion to FP32
  /// Of elements; scales are always rounded to nearest
  ElementRounding rounding = ElementRounding::nearest;
  /// Uniform numbers in [0, 1) for stochastic rounding, one an element of the padded matrix in row
  /// order: the 6 (or float) candidate's, and the other candidate's where the rule has two.
  std::span<const float> random0{};
  std::span<const float> random1{};  ///< numbers of the second candidate
};

/// What was decided for each block, where the caller wants to know.
enum class BlockChoice : std::uint8_t { only, six, four, floating, integer };

/// A, the largest magnitude that quantize() would see: after the transforms and the non-finite
/// policy (non-finite elements that remain do not count). A tensor that comes in pieces is
/// quantized by giving the largest A of its pieces as QuantizeOptions::amax.
/// \param values  rows x columns, row-major
/// \param rows  0 or more
/// \param columns  0 or more
/// \param options  transforms and non-finite policy
/// \param threads  at most so many; 0: one per core. The result does not depend on it.
/// \throws Error as quantize() does.
[[nodiscard]] float measure_amax(std::span<const float> values, std::size_t rows,
                                 std::size_t columns, const QuantizeOptions& options,
                                 unsigned threads = 0);

/// Quantizes a row-major matrix of rows x columns values.
/// \param values  rows x columns, row-major
/// \param rows  0 or more
/// \param columns  0 or more
/// \param options  format, rule, dialect and policies
/// \param choices  empty, or rows x blocks_per_row entries to be filled.
/// \param threads  at most so many; 0: one per core. The result does not depend on it, nor does the
///        element that an error names. Matrices of fewer than 2^16 elements start none.
/// \throws Error(usage) for pairs that do not exist or spans of the wrong size;
///         Error(invalid_input) for non-finite input under NonFinite::error.
/// Thread-safe. Allocates the result, and nothing per block.
[[nodiscard]] BlockTensor quantize(std::span<const float> values, std::size_t rows,
                                   std::size_t columns, const QuantizeOptions& options,
                                   std::span<BlockChoice> choices = {}, unsigned threads = 0);

/// Every element of the tensor, in row order, as the exact value rounded once to FP32 (`canonical`)
/// or by the dialect's own expression.
/// \param tensor  any codes and scale bytes
/// \param dialect  canonical where null
/// \param out  rows x columns floats.
/// \param threads  at most so many; 0: one per core. The result does not depend on it.
void dequantize(const BlockTensor& tensor, std::span<float> out, const Dialect* dialect = nullptr,
                unsigned threads = 0);

}  // namespace lowbit
