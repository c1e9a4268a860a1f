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

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace lowbit {

/// A far from 1: what keeps S and the candidate values inside binary32's normal range.
enum class AmaxRange : std::uint8_t {
  power_of_two,  ///< outside [2^-32, 2^32], everything works on x * 2^-k and A * 2^-k, k =
                 ///< floor(log2 A)
  unscaled,      ///< nothing: S may overflow
};

/// A scale above the largest finite one, and NaN, become a scale byte as follows.
enum class ScaleOverflow : std::uint8_t {
  saturate,           ///< the largest finite scale
  nan,                ///< NaN
  saturate_nan_zero,  ///< the largest finite scale; NaN becomes 0
};

/// How MX exponents are found.
enum class MxScale : std::uint8_t {
  exact,       ///< from the exact amax, by the rule
  divided,     ///< the exponent field of fl(b / max), plus 1 if its mantissa is not 0
  reciprocal,  ///< the same of fl(b * fl(1 / max))
};

/// What a value halfway between two E2M0 codes becomes. Other formats always go to the even code.
enum class E2m0Ties : std::uint8_t { even, down };

/// The code of y = -0. Negative values that round to zero have the negative zero in either case.
enum class NegativeZero : std::uint8_t { kept, dropped };

/// Above the largest element.
enum class ElementOverflow : std::uint8_t {
  saturate,
  wrap_e2m1,  ///< E2M1 goes on with 8, whose code 8 reads as -0; other formats saturate
};

/// The code of y = NaN, which needs an infinite S.
enum class NanElement : std::uint8_t {
  largest,           ///< the largest element (cuda_fp4.hpp)
  torch_cpu,         ///< E2M1 11 (what is left of the fields of the BF16 NaN 0xffff), others 0
  torch_cuda,        ///< E2M1 3 (of the BF16 NaN 0x7fff), others 0
  triton_threshold,  ///< E2M1 -6, INT4 -7: no comparison holds; other formats the largest element
};

/// A subnormal element that rounds up to the smallest normal one.
enum class SubnormalCarry : std::uint8_t {
  carried,
  clamped_fp6,  ///< E2M3 and E3M2 stay at the largest subnormal
};

/// How negative INT3 elements are written.
enum class Int3Coding : std::uint8_t {
  twos_complement,
  sign_magnitude,  ///< sign << 2 | magnitude
};

/// E and R of the IF formats.
enum class IntegerUnit : std::uint8_t {
  exact_ratio,  ///< the correctly rounded ratios
  published,    ///< the papers' decimal literals: IF6 E2M3's E is 0x3e77bdf1, 2 units too large
};

/// How a random number decides.
enum class StochasticRule : std::uint8_t {
  exact,   ///< up iff u < the fraction of the gap, exactly
  jitter,  ///< |y| in steps plus fl(u - 0.5), half to even; E2M1's step by |y| before. A sum below
           ///< zero flips the sign of the zero that it becomes, and makes -0 of 0
};

/// The order in which the errors of a block are added up. e[i] is the error of element i, from 0.
enum class ErrorOrder : std::uint8_t {
  sequential,  ///< element after element
  torch_cpu,   ///< PyTorch's AVX2 sum: 8 lanes, 4 vectors at a time where there are 32 elements
  torch_cuda,  ///< a tree of neighbours: (0 + 1) + (2 + 3) ...
  triton,      ///< runs of 16 bytes of input (8 or 4 elements) in order, then halves: 0 + n/2, ...
};

/// Multiply-adds that the compiler made of the error's operations.
enum class ErrorFusion : std::uint8_t {
  none,
  difference,  ///< where the value is fl(v * fl(1 / C)), d = fma(v, fl(1 / C), -x)
};

/// Divisions by the constant C (and by MX's max) in candidate values and dequantization.
enum class ConstantDivision : std::uint8_t {
  divide,                ///< fl(v / C)
  reciprocal_but_nvfp4,  ///< fl(v * fl(1 / C)) but for the candidates of NVFP4
  reciprocal_but_4bit,   ///< the same but for the candidates of NVFP4 and IF4
};

/// How codes become FP32 values.
enum class Dequantization : std::uint8_t {
  exact,     ///< q * s * A / C (times E), one rounding
  via_half,  ///< fl(fl(h * A) / C) with h = f16(f16(q * E) * s); MX: f16(q * f16(2^e))
};

struct Dialect {
  std::string_view name;     ///< as the command spells it
  std::string_view summary;  ///< one line
  AmaxRange amax_range = AmaxRange::power_of_two;
  ScaleOverflow scale_overflow = ScaleOverflow::saturate;
  MxScale mx_scale = MxScale::exact;
  E2m0Ties e2m0_ties = E2m0Ties::even;
  NegativeZero negative_zero = NegativeZero::kept;
  ElementOverflow element_overflow = ElementOverflow::saturate;
  NanElement nan_element = NanElement::largest;
  SubnormalCarry subnormal_carry = SubnormalCarry::carried;
  Int3Coding int3_coding = Int3Coding::twos_complement;
  IntegerUnit integer_unit = IntegerUnit::exact_ratio;
  StochasticRule stochastic = StochasticRule::exact;
  ErrorOrder error_order = ErrorOrder::sequential;
  ErrorFusion error_fusion = ErrorFusion::none;
  ConstantDivision constant_division = ConstantDivision::divide;
  Dequantization dequantization = Dequantization::exact;
};

inline constexpr Dialect canonical{
    .name = "canonical",
    .summary =
        "the published arithmetic with every hole closed; what lowbit's kernels and RTL follow"};

inline constexpr Dialect fos_pytorch{
    .name = "fos_pytorch",
    .summary = "fouroversix dadfad6, PyTorch 2.11 on a CPU with AVX2",
    .amax_range = AmaxRange::unscaled,
    .scale_overflow = ScaleOverflow::nan,
    .mx_scale = MxScale::divided,
    .negative_zero = NegativeZero::dropped,
    .element_overflow = ElementOverflow::wrap_e2m1,
    .nan_element = NanElement::torch_cpu,
    .integer_unit = IntegerUnit::published,
    .stochastic = StochasticRule::jitter,
    .error_order = ErrorOrder::torch_cpu,
    .dequantization = Dequantization::via_half};

inline constexpr Dialect fos_pytorch_cuda = [] {
  Dialect d = fos_pytorch;
  d.name = "fos_pytorch_cuda";
  d.summary = "fouroversix dadfad6, PyTorch 2.11 on an H100";
  d.mx_scale = MxScale::reciprocal;
  d.nan_element = NanElement::torch_cuda;
  d.error_order = ErrorOrder::torch_cuda;
  d.constant_division = ConstantDivision::reciprocal_but_nvfp4;
  return d;
}();

inline constexpr Dialect fos_triton{.name = "fos_triton",
                                    .summary = "fouroversix dadfad6, Triton 3.6 on an H100",
                                    .amax_range = AmaxRange::unscaled,
                                    .scale_overflow = ScaleOverflow::saturate_nan_zero,
                                    .mx_scale = MxScale::divided,
                                    .e2m0_ties = E2m0Ties::down,
                                    .negative_zero = NegativeZero::dropped,
                                    .nan_element = NanElement::triton_threshold,
                                    .subnormal_carry = SubnormalCarry::clamped_fp6,
                                    .int3_coding = Int3Coding::sign_magnitude,
                                    .integer_unit = IntegerUnit::published,
                                    .error_order = ErrorOrder::triton,
                                    .error_fusion = ErrorFusion::difference,
                                    .constant_division = ConstantDivision::reciprocal_but_4bit,
                                    .dequantization = Dequantization::via_half};

/// Every dialect, in the order in which the command lists them.
[[nodiscard]] std::span<const Dialect> dialects();
/// The record of that name, or nullptr.
[[nodiscard]] const Dialect* find_dialect(std::string_view name);

/// One axis of a dialect in words: both in snake_case, as the command and the docs print them.
struct DialectAxis {
  std::string_view axis;
  std::string_view value;
};
inline constexpr std::size_t dialect_axis_count = 15;
/// Every axis of the dialect, in the order of the record.
[[nodiscard]] std::array<DialectAxis, dialect_axis_count> axes_of(const Dialect& dialect);

}  // namespace lowbit
