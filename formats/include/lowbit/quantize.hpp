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

namespace lowbit {

struct Dialect;

/// How a block's scale is chosen.
enum class ScaleRule : std::uint8_t {
  static_6,  ///< the block's amax maps to the largest element value; `rceil` for MX
  static_4,  ///< NVFP4 and MXFP4 only: to 4
  mse,       ///< NVFP4: 4 or 6, IF: float or integer, by the smaller sum of squared errors
  mae,       ///< by the smaller sum of absolute errors
  abs_max,   ///< by the smaller largest absolute error
  floor,     ///< MX: floor(log2 amax) - emax (OCP MX v1.0 section 6.3)
  rceil,     ///< MX: least power of two for which nothing is clipped
  ceil,      ///< MX: floor, plus 1 unless amax is a power of two
  even,      ///< MX: floor of amax rounded to the element's mantissa
};
/// Every rule, in the order above.
[[nodiscard]] std::span<const ScaleRule> scale_rules();
[[nodiscard]] std::string_view name_of(ScaleRule rule);
[[nodiscard]] std::optional<ScaleRule> find_scale_rule(std::string_view name);
/// Whether the pair exists (docs/formats.md), and the rule used where the caller names none:
/// static_6 for NV, mse for IF, floor for MX; static_6 for MX in dialects that know no other.
/// \param dialect  canonical where null
[[nodiscard]] bool is_valid_rule(const BlockFormat& format, ScaleRule rule,
                                 const Dialect* dialect = nullptr);
[[nodiscard]] ScaleRule default_rule(const BlockFormat& format, const Dialect* dialect = nullptr);

/// What to do with NaN and infinities in the input.
enum class NonFinite : std::uint8_t {
  error,      ///< throw Error(invalid_input) naming the first one
  saturate,   ///< infinity becomes the largest finite value of the input type, NaN becomes 0
  propagate,  ///< their block's scale byte is the scale format's NaN, its codes 0
};

enum class ElementRounding : std::uint8_t { nearest, stochastic, stochastic_unbiased };

/// The type that the input had before promotion to FP32: it bounds `saturate` and rounds the
/// Hadamard transform. F64 is rounded to F32 by the reader.
enum class InputType : std::uint8_t { float32, float16, bfloat16 };

struct QuantizeOptions {
  const BlockFormat* format = nullptr;  ///< required
  std::optional<ScaleRule> rule{};      ///< default_rule(format, dialect) where absent
  const Dialect* dialect = nullptr;     ///< canonical where null
  std::optional<float> scale_max{};     ///< M: 448 or 256; by the dialect where absent
  std::optional<float> amax{};          ///< A given by the caller instead of measured
  bool block_2d = false;                ///< square blocks (16x16, 32x32 for MX)
  bool hadamard = false;                ///< the 16-point transform along rows first
  NonFinite nonfinite = NonFinite::error;
  InputType input_type = InputType::float32;
  ElementRounding rounding = ElementRounding::nearest;
  /// Uniform numbers in [0, 1) for stochastic rounding, one an element of the padded matrix in row
  /// order: the 6 (or float) candidate's, and the other candidate's where the rule has two.
  std::span<const float> random0{};
  std::span<const float> random1{};
};

/// What was decided for each block, where the caller wants to know.
enum class BlockChoice : std::uint8_t { only, six, four, floating, integer };

/// A, the largest magnitude that quantize() would see: after the Hadamard transform and the
/// non-finite policy (non-finite elements that remain do not count). A tensor that comes in pieces
/// is quantized by giving the largest A of its pieces as QuantizeOptions::amax. \throws Error as
/// quantize() does.
[[nodiscard]] float measure_amax(std::span<const float> values, std::size_t rows,
                                 std::size_t columns, const QuantizeOptions& options);

/// Quantizes a row-major matrix of rows x columns values.
/// \param choices  empty, or rows x blocks_per_row entries to be filled.
/// \throws Error(usage) for pairs that do not exist or spans of the wrong size;
///         Error(invalid_input) for non-finite input under NonFinite::error.
/// Thread-safe. Allocates the result, and nothing per block.
[[nodiscard]] BlockTensor quantize(std::span<const float> values, std::size_t rows,
                                   std::size_t columns, const QuantizeOptions& options,
                                   std::span<BlockChoice> choices = {});

/// Every element of the tensor, in row order, as the exact value rounded once to FP32 (`canonical`)
/// or by the dialect's own expression.
/// \param out  rows x columns floats.
void dequantize(const BlockTensor& tensor, std::span<float> out, const Dialect* dialect = nullptr);

}  // namespace lowbit
