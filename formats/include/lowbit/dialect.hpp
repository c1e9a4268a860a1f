// SPDX-License-Identifier: MIT
/// \file
/// A dialect: which operations, in which order and with which rounding, an implementation of a
/// block quantizer performs. It is data on named axes that one engine interprets (quantize.hpp);
/// element encodings (element_format.hpp) and block formats (block_format.hpp) are apart from it.
///
/// Shared by every dialect here, so not an axis: S = fl(C / A); h = fl(fl(b / Q) * S);
/// candidate 4 = E4M3(fl(h * 1.5)); inv = fl(1 / fl(fl(1 / S) * s)); y = fl(x * inv); codes of a
/// block whose scale byte is 0 are 0; 4 and INT are chosen only where strictly better.
/// A = tensor amax, b = block amax, C = Q * M, s = decoded scale byte (docs/dialects.md).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lowbit {

/// A far from 1: what keeps S and the candidate values inside binary32's normal range.
enum class AmaxRange : std::uint8_t {
  power_of_two,  ///< outside [2^-32, 2^32], everything works on x * 2^-k and A * 2^-k, k = floor(log2 A)
  unscaled,      ///< nothing: S may overflow
};

/// A scale above the largest finite one, and NaN, become a scale byte as follows.
enum class ScaleOverflow : std::uint8_t {
  saturate,          ///< the largest finite scale
  nan,               ///< NaN
  saturate_nan_zero, ///< the largest finite scale; NaN becomes 0
};

/// How MX exponents are found.
enum class MxScale : std::uint8_t {
  exact,       ///< from the exact amax, by the rule
  divided,     ///< the exponent field of fl(b / max), plus 1 if its mantissa is not 0
  reciprocal,  ///< the same of fl(b * fl(1 / max))
};

/// How an element y becomes a code.
enum class ElementConversion : std::uint8_t {
  saturating,  ///< to nearest, ties to the even code, saturating, the sign of zero kept
};

/// The order in which the errors of a block are added up.
enum class ErrorOrder : std::uint8_t {
  sequential,  ///< from 0, element after element
};

/// The candidate value's last operation, a division by the constant C.
enum class ConstantDivision : std::uint8_t {
  divide,      ///< fl(v / C)
  reciprocal,  ///< fl(v * fl(1 / C)): what a CUDA tensor divided by a Python number computes
};

/// How codes become FP32 values.
enum class Dequantization : std::uint8_t {
  exact,  ///< q * s * A / C (times E), one rounding
};

struct Dialect {
  std::string_view name;     ///< as the command spells it
  std::string_view summary;  ///< one line
  AmaxRange amax_range = AmaxRange::power_of_two;
  ScaleOverflow scale_overflow = ScaleOverflow::saturate;
  MxScale mx_scale = MxScale::exact;
  ElementConversion element_conversion = ElementConversion::saturating;
  ErrorOrder error_order = ErrorOrder::sequential;
  ConstantDivision constant_division = ConstantDivision::divide;
  Dequantization dequantization = Dequantization::exact;
};

inline constexpr Dialect canonical{
    .name = "canonical",
    .summary = "the published arithmetic with every hole closed; what lowbit's kernels and RTL follow"};

/// Every dialect, in the order in which the command lists them.
[[nodiscard]] std::span<const Dialect> dialects();
/// The record of that name, or nullptr.
[[nodiscard]] const Dialect* find_dialect(std::string_view name);

}  // namespace lowbit
