// SPDX-License-Identifier: MIT
/// \file
/// A dialect: which operations, in which order and with which rounding, an implementation of a
/// block quantizer performs. It is data on named axes that one engine interprets (quantize.hpp);
/// element encodings (element_format.hpp) and block formats (block_format.hpp) are apart from it.
/// What the axes and their values mean is a table: dialect_axis.hpp.
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

// The values of each axis; dialect_axis.hpp says what they mean.

/// What keeps S and the candidate values in range where A is far from 1.
enum class AmaxRange : std::uint8_t { power_of_two, unscaled };
/// What a scale beyond the scale format, or NaN, becomes.
enum class ScaleOverflow : std::uint8_t { saturate, nan, saturate_nan_zero };
/// How MX exponents are found.
enum class MxScale : std::uint8_t { exact, divided, reciprocal };
/// What a tie of E2M0 becomes.
enum class E2m0Ties : std::uint8_t { even, down };
/// Whether y = -0 keeps its sign.
enum class NegativeZero : std::uint8_t { kept, dropped };
/// What an element beyond the largest becomes.
enum class ElementOverflow : std::uint8_t { saturate, wrap_e2m1 };
/// The code of y = NaN.
enum class NanElement : std::uint8_t { largest, bf16_all_ones, bf16_positive, negative_largest };
/// Whether a subnormal element may round up to the smallest normal one.
enum class SubnormalCarry : std::uint8_t { carried, clamped_fp6 };
/// How negative INT3 elements are coded.
enum class Int3Coding : std::uint8_t { twos_complement, sign_magnitude };
/// Where E and R of the IF formats come from.
enum class IntegerUnit : std::uint8_t { exact_ratio, published };
/// How a random number decides a rounding.
enum class StochasticRule : std::uint8_t { exact, jitter };
/// The order in which the errors of a block are added.
enum class ErrorOrder : std::uint8_t { sequential, lanes_8, neighbour_tree, runs_then_halves };
/// Which operations of the error are fused.
enum class ErrorFusion : std::uint8_t { none, difference };
/// How a value is divided by the constant C.
enum class ConstantDivision : std::uint8_t { divide, reciprocal };
/// Whose candidates divide although other values are multiplied by a reciprocal.
enum class DividedCandidates : std::uint8_t { none, four_over_six, four_over_six_and_if4 };
/// How codes become FP32 values.
enum class Dequantization : std::uint8_t { exact, via_half };

/// How sure a record is.
enum class DialectStatus : std::uint8_t {
  defined,      ///< lowbit's own definition (docs/formats.md)
  captured,     ///< equals recorded outputs of the implementation
  modelled,     ///< follows the implementation's source; no output was recorded
  approximate,  ///< the same, but an operation of its hardware is not modelled
};
/// The status in one word, as the command prints it.
[[nodiscard]] std::string_view name_of(DialectStatus status);

/// One implementation's choices, axis by axis. The defaults are those of `canonical`.
struct Dialect {
  std::string_view name;      ///< as the command spells it
  std::string_view summary;   ///< one line
  std::string_view library;   ///< whose arithmetic it is
  std::string_view versions;  ///< the versions or commits that it was read from
  std::string_view source;    ///< the file there, or the page here, that says so
  DialectStatus status = DialectStatus::modelled;                 ///< how sure the record is
  AmaxRange amax_range = AmaxRange::power_of_two;                 ///< A far from 1
  ScaleOverflow scale_overflow = ScaleOverflow::saturate;         ///< scales beyond the format
  MxScale mx_scale = MxScale::exact;                              ///< how MX exponents are found
  E2m0Ties e2m0_ties = E2m0Ties::even;                            ///< ties of E2M0
  NegativeZero negative_zero = NegativeZero::kept;                ///< the code of -0
  ElementOverflow element_overflow = ElementOverflow::saturate;   ///< elements beyond the largest
  NanElement nan_element = NanElement::largest;                   ///< the code of NaN
  SubnormalCarry subnormal_carry = SubnormalCarry::carried;       ///< subnormals that round up
  Int3Coding int3_coding = Int3Coding::twos_complement;           ///< negative INT3 codes
  IntegerUnit integer_unit = IntegerUnit::exact_ratio;            ///< E and R of the IF formats
  StochasticRule stochastic = StochasticRule::exact;              ///< how a random number decides
  ErrorOrder error_order = ErrorOrder::sequential;                ///< order of addition
  ErrorFusion error_fusion = ErrorFusion::none;                   ///< fused multiply-adds
  ConstantDivision constant_division = ConstantDivision::divide;  ///< divisions by C
  /// Exceptions from constant_division
  DividedCandidates divided_candidates = DividedCandidates::none;
  Dequantization dequantization = Dequantization::exact;  ///< codes to FP32
};

/// The default: docs/formats.md defines it.
inline constexpr Dialect canonical{
    .name = "canonical",
    .summary =
        "the published arithmetic with every hole closed; what lowbit's kernels and RTL follow",
    .library = "lowbit",
    .versions = "all",
    .source = "docs/formats.md",
    .status = DialectStatus::defined};

/// fouroversix on PyTorch, CPU (docs/dialects.md).
inline constexpr Dialect fos_pytorch{
    .name = "fos_pytorch",
    .summary = "fouroversix dadfad6, PyTorch 2.11 on a CPU with AVX2",
    .library = "fouroversix",
    .versions = "dadfad6, PyTorch 2.11",
    .source = "src/fouroversix/quantize/pytorch/reference.py",
    .status = DialectStatus::captured,
    .amax_range = AmaxRange::unscaled,
    .scale_overflow = ScaleOverflow::nan,
    .mx_scale = MxScale::divided,
    .negative_zero = NegativeZero::dropped,
    .element_overflow = ElementOverflow::wrap_e2m1,
    .nan_element = NanElement::bf16_all_ones,
    .integer_unit = IntegerUnit::published,
    .stochastic = StochasticRule::jitter,
    .error_order = ErrorOrder::lanes_8,
    .dequantization = Dequantization::via_half};

/// fouroversix on PyTorch, CUDA (docs/dialects.md).
inline constexpr Dialect fos_pytorch_cuda = [] {
  Dialect d = fos_pytorch;
  d.name = "fos_pytorch_cuda";
  d.summary = "fouroversix dadfad6, PyTorch 2.11 on an H100";
  d.mx_scale = MxScale::reciprocal;
  d.nan_element = NanElement::bf16_positive;
  d.error_order = ErrorOrder::neighbour_tree;
  d.constant_division = ConstantDivision::reciprocal;
  d.divided_candidates = DividedCandidates::four_over_six;
  return d;
}();

/// fouroversix on Triton (docs/dialects.md).
inline constexpr Dialect fos_triton{.name = "fos_triton",
                                    .summary = "fouroversix dadfad6, Triton 3.6 on an H100",
                                    .library = "fouroversix",
                                    .versions = "dadfad6, Triton 3.6",
                                    .source = "src/fouroversix/kernels/triton",
                                    .status = DialectStatus::captured,
                                    .amax_range = AmaxRange::unscaled,
                                    .scale_overflow = ScaleOverflow::saturate_nan_zero,
                                    .mx_scale = MxScale::divided,
                                    .e2m0_ties = E2m0Ties::down,
                                    .negative_zero = NegativeZero::dropped,
                                    .nan_element = NanElement::negative_largest,
                                    .subnormal_carry = SubnormalCarry::clamped_fp6,
                                    .int3_coding = Int3Coding::sign_magnitude,
                                    .integer_unit = IntegerUnit::published,
                                    .error_order = ErrorOrder::runs_then_halves,
                                    .error_fusion = ErrorFusion::difference,
                                    .constant_division = ConstantDivision::reciprocal,
                                    .divided_candidates = DividedCandidates::four_over_six_and_if4,
                                    .dequantization = Dequantization::via_half};

/// Every dialect, in the order in which the command lists them.
[[nodiscard]] std::span<const Dialect> dialects();
/// The record of that name, or nullptr.
[[nodiscard]] const Dialect* find_dialect(std::string_view name);

}  // namespace lowbit
