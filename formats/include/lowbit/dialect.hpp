// SPDX-License-Identifier: MIT
/// \file
/// A dialect: which operations, in which order and with which rounding, an implementation of a
/// block quantizer performs. It is data on named axes that one engine interprets (quantize.hpp);
/// element encodings (element_format.hpp) and block formats (block_format.hpp) are apart from it.
/// What the axes and their values mean is a table: dialect_axis.hpp.
///
/// Notation: A = tensor amax, b = block amax, Q = the element value that b maps to, M = the largest
/// scale, C = Q * M, S = encode scale of the tensor, D = its decode scale, s = decoded scale byte,
/// h = the block scale before its conversion, x = element, y = scaled element, T = the type of the
/// input, rcp~ = rcp.approx.ftz.f32 (approximate.hpp), fl = one binary32 operation.
///
/// Shared by every dialect, so not an axis: the second candidate's scale is E4M3(fl(h * 1.5)), and
/// 4 and INT are chosen only where strictly better.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lowbit {

struct BlockFormat;

// The values of each axis; dialect_axis.hpp says what they mean.

/// What keeps S and the candidate values inside the range of binary32.
enum class AmaxRange : std::uint8_t { power_of_two, unscaled };
/// What NonFinite::propagate does with NaN and infinity.
enum class Nonfinite : std::uint8_t {
  nan_block,
  computed,
  computed_skipping_nan,
  computed_skipping_nan_in_blocks,
  computed_finite_amax,
  computed_skipping_nan_unless_all,
};
/// How the scale of the tensor is computed.
enum class TensorScale : std::uint8_t {
  quotient,
  reciprocal_product,
  typed_reciprocal_product,
  amax_quotient,
  amax_product,
  normalized,
  one,
};
/// The tensor scale where A = 0 or C / A overflows.
enum class TensorScaleEdge : std::uint8_t {
  zero,
  bounded,
  bounded_one,
  one,
  computed,
  bounded_zero,
  at_least_1e_30
};
/// The block scale h before its conversion.
enum class BlockScale : std::uint8_t {
  quotient_times_scale,
  times_scale_over_q,
  scale_times_product,
  scale_times_approximate_product,
  over_product,
  over_decode_scale,
  product_over_decode_scale,
  typed_quotient_times_scale,
  normalized,
  normalized_product,
  scaled_elements,
  full_division,
  full_over_product,
  over_decode_scale_over_q,
};
/// The block scale h of the rules that select.
enum class SelectedScale : std::uint8_t {
  as_block_scale,
  quotient_times_scale,
  normalized_candidates
};
/// The least h.
enum class ScaleFloor : std::uint8_t { none, smallest_subnormal, smallest_normal };
/// A scale of 0.
enum class ZeroScale : std::uint8_t { kept, one, one_eighth, smallest };
/// How h becomes a scale byte.
enum class ScaleRounding : std::uint8_t { nearest_even, half_up, up, down };
/// The byte of a scale above the largest one, and of NaN.
enum class ScaleOverflow : std::uint8_t { saturate, nan, saturate_nan_zero };
/// The NaN scale byte.
enum class ScaleNan : std::uint8_t {
  positive,
  negative,
  made_negative,
  signed_largest,
  least,
  largest,
};
/// How an element is scaled.
enum class ElementScale : std::uint8_t {
  reciprocal_of_product,
  scale_quotient,
  approximate_reciprocals,
  approximate_quotient,
  bf16_quotient,
  divided_by_product,
  divided_by_quotient,
  divided_twice,
  typed_division,
  full_division,
  full_division_by_product,
  full_division_by_product_or_one,
  full_division_by_finite_product,
};
/// How an element is scaled where the scale is 0.
enum class EmptyScale : std::uint8_t {
  zero,
  signed_zero,
  bounded,
  bounded_keeping_nan,
  bounded_unless_empty,
  computed,
  computed_unless_empty,
  computed_unless_h_zero,
  hundred_millionth,
};
/// Subnormal numbers in the operations of scales and elements.
enum class Subnormals : std::uint8_t { kept, flushed };
/// How MX exponents are found.
enum class MxScale : std::uint8_t {
  exact,
  divided,
  reciprocal,
  divided_down,
  least_reciprocal,
  least_typed,
  log2_divided,
  log2_reciprocal,
  log2_full_division,
  log2_floor,
  log2_floor_typed,
  log2_typed,
};
/// What the rule even rounds the amax to.
enum class MxEvenBits : std::uint8_t { element, one };
/// The range of MX exponents.
enum class MxRange : std::uint8_t {
  finite,
  wrapped,
  one_to_254,
  one_to_252,
  from_1e_10,
  typed_x86,
  typed_cuda,
};
/// What an MX block does whose amax is infinite.
enum class MxInfinity : std::uint8_t {
  fields,
  largest,
  largest_flushed,
  smallest,
  divided,
  divided_nan_byte,
  nan_byte,
};
/// What an MX block does whose amax is NaN.
enum class MxNan : std::uint8_t { nan_byte, smallest, divided };
/// The scale byte of an MX block of zeros.
enum class MxEmpty : std::uint8_t { zero, computed, one, minus_largest_exponent };
/// How an element of an MX block is scaled.
enum class MxElementScale : std::uint8_t {
  exact,
  zero_where_byte_is_zero,
  signed_zero_where_byte_is_zero,
  normal_divisor,
  cuda_exp2,
  unclamped,
  unclamped_reciprocal,
  four_thirds,
};
/// How y becomes a code.
enum class ElementTies : std::uint8_t {
  even,
  toward_zero,
  away,
  truncated,
  least_difference,
  least_scaled_difference,
  away_typed,
  even_typed,
};
/// The value halfway between two E2M0 codes.
enum class E2m0Ties : std::uint8_t { even, down };
/// The sign of zeros.
enum class NegativeZero : std::uint8_t { kept, dropped, all_dropped, zero_is_negative };
/// What lies above the largest element.
enum class ElementOverflow : std::uint8_t { saturate, wrap_e2m1, nan };
/// The code of y = NaN.
enum class NanElement : std::uint8_t {
  largest,
  bf16_all_ones,
  bf16_positive,
  negative_largest,
  signed_largest,
  zero,
  negative_zero,
  negative_nan_or_zero,
  fields_x86,
  fields_cuda,
  least,
  largest_finite,
};
/// A subnormal element that rounds up.
enum class SubnormalCarry : std::uint8_t { carried, clamped_fp6 };
/// How negative INT3 elements are written.
enum class Int3Coding : std::uint8_t { twos_complement, sign_magnitude };
/// E and R of the IF formats.
enum class IntegerUnit : std::uint8_t { exact_ratio, published };
/// How a random number decides.
enum class StochasticRule : std::uint8_t { exact, jitter, eight_bits };
/// What a candidate is compared by.
enum class ErrorValue : std::uint8_t {
  amax_over_constant,
  decode_scale,
  scaled_half,
  static_fake_quantizer,
};
/// The order in which the errors of a block are added up.
enum class ErrorOrder : std::uint8_t {
  sequential,
  lanes_8,
  neighbour_tree,
  runs_then_halves,
  rows_then_halves,
  halves_of_8,
};
/// Multiply-adds made of the error's operations.
enum class ErrorFusion : std::uint8_t { none, difference, square };
/// Divisions by the constant C in candidate values and in dequantization.
enum class ConstantDivision : std::uint8_t { divide, reciprocal };
/// Formats whose candidate values divide all the same.
enum class DividedCandidates : std::uint8_t { none, four_over_six, four_over_six_and_if4 };
/// How codes become FP32 values.
enum class Dequantization : std::uint8_t {
  exact,
  via_half,
  decode_product,
  decode_product_or_one,
  decode_product_finite,
  amax_product,
  scale_quotient,
  full_scale_quotient,
  bf16_scale_quotient,
  bf16_full_division,
};
/// The FP32 value of -0.
enum class DequantizedZero : std::uint8_t { kept, positive };

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
  std::string_view name{};      ///< as the command spells it
  std::string_view alias{};     ///< a second name, or empty
  std::string_view summary{};   ///< one line
  std::string_view library{};   ///< whose arithmetic it is
  std::string_view versions{};  ///< the versions or commits that it was read from
  std::string_view source{};    ///< the file there, or the page here, that says so
  /// Block formats and rules that the program has (dialect_formats.hpp); empty: all.
  std::string_view formats{};
  DialectStatus status = DialectStatus::modelled;  ///< how it was checked
  /// What keeps S and the candidate values inside the range of binary32.
  AmaxRange amax_range = AmaxRange::power_of_two;
  /// What NonFinite::propagate does with NaN and infinity.
  Nonfinite nonfinite = Nonfinite::nan_block;
  TensorScale tensor_scale = TensorScale::quotient;  ///< how the scale of the tensor is computed
  /// The tensor scale where A = 0 or C / A overflows.
  TensorScaleEdge tensor_scale_edge = TensorScaleEdge::zero;
  /// The block scale h before its conversion.
  BlockScale block_scale = BlockScale::quotient_times_scale;
  /// The block scale h of the rules that select.
  SelectedScale selected_scale = SelectedScale::as_block_scale;
  ScaleFloor scale_floor = ScaleFloor::none;                   ///< the least h
  ZeroScale zero_scale = ZeroScale::kept;                      ///< a scale of 0
  ScaleRounding scale_rounding = ScaleRounding::nearest_even;  ///< how h becomes a scale byte
  /// The byte of a scale above the largest one, and of NaN.
  ScaleOverflow scale_overflow = ScaleOverflow::saturate;
  ScaleNan scale_nan = ScaleNan::positive;                           ///< the NaN scale byte
  ElementScale element_scale = ElementScale::reciprocal_of_product;  ///< how an element is scaled
  EmptyScale empty_scale = EmptyScale::zero;  ///< how an element is scaled where the scale is 0
  /// Subnormal numbers in the operations of scales and elements.
  Subnormals subnormals = Subnormals::kept;
  MxScale mx_scale = MxScale::exact;              ///< how MX exponents are found
  MxEvenBits mx_even_bits = MxEvenBits::element;  ///< what the rule even rounds the amax to
  MxRange mx_range = MxRange::finite;             ///< the range of MX exponents
  MxInfinity mx_infinity = MxInfinity::fields;    ///< what an MX block does whose amax is infinite
  MxNan mx_nan = MxNan::nan_byte;                 ///< what an MX block does whose amax is NaN
  MxEmpty mx_empty = MxEmpty::zero;               ///< the scale byte of an MX block of zeros
  /// How an element of an MX block is scaled.
  MxElementScale mx_element_scale = MxElementScale::exact;
  ElementTies element_ties = ElementTies::even;     ///< how y becomes a code
  E2m0Ties e2m0_ties = E2m0Ties::even;              ///< the value halfway between two E2M0 codes
  NegativeZero negative_zero = NegativeZero::kept;  ///< the sign of zeros
  /// What lies above the largest element.
  ElementOverflow element_overflow = ElementOverflow::saturate;
  NanElement nan_element = NanElement::largest;              ///< the code of y = NaN
  SubnormalCarry subnormal_carry = SubnormalCarry::carried;  ///< a subnormal element that rounds up
  Int3Coding int3_coding = Int3Coding::twos_complement;  ///< how negative INT3 elements are written
  IntegerUnit integer_unit = IntegerUnit::exact_ratio;   ///< E and R of the IF formats
  StochasticRule stochastic = StochasticRule::exact;     ///< how a random number decides
  ErrorValue error_value = ErrorValue::amax_over_constant;  ///< what a candidate is compared by
  /// The order in which the errors of a block are added up.
  ErrorOrder error_order = ErrorOrder::sequential;
  ErrorFusion error_fusion = ErrorFusion::none;  ///< multiply-adds made of the error's operations
  /// Divisions by the constant C in candidate values and in dequantization.
  ConstantDivision constant_division = ConstantDivision::divide;
  /// Formats whose candidate values divide all the same.
  DividedCandidates divided_candidates = DividedCandidates::none;
  Dequantization dequantization = Dequantization::exact;     ///< how codes become FP32 values
  DequantizedZero dequantized_zero = DequantizedZero::kept;  ///< the FP32 value of -0
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
    .formats = "nvfp4 nvfp4_bs8 nvfp6_e2m3 nvfp6_e3m2 nvint4 if4 if6_e2m3 if6_e3m2 mxfp4",
    .status = DialectStatus::captured,
    .amax_range = AmaxRange::unscaled,
    .scale_overflow = ScaleOverflow::nan,
    .mx_scale = MxScale::divided,
    .mx_element_scale = MxElementScale::zero_where_byte_is_zero,
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
                                    .formats =
                                        "nvfp4 nvfp4_bs8 nvfp3 nvfp6_e2m3 nvfp6_e3m2 nvint3 "
                                        "nvint4 nvint6 if3 if4 if6_e2m3 if6_e3m2 mxfp3 "
                                        "mxfp4 mxfp6_e2m3 mxfp6_e3m2",
                                    .status = DialectStatus::captured,
                                    .amax_range = AmaxRange::unscaled,
                                    .scale_overflow = ScaleOverflow::saturate_nan_zero,
                                    .mx_scale = MxScale::divided,
                                    .mx_element_scale = MxElementScale::zero_where_byte_is_zero,
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

/// Whether the implementation has the block format. quantize() serves others too, by the same axes.
/// \param dialect  the record
/// \param format  the block format
[[nodiscard]] bool has_format(const Dialect& dialect, const BlockFormat& format);

/// Every dialect, in the order in which the command lists them.
[[nodiscard]] std::span<const Dialect> dialects();
/// The record of that name or alias, or nullptr. NAME+axis=value[+axis=value]... is the record NAME
/// with those axes set, under that name. \throws Error(usage) for an axis or value that is not
/// there
[[nodiscard]] const Dialect* find_dialect(std::string_view name);

}  // namespace lowbit
