// SPDX-License-Identifier: MIT
#include "lowbit/dialect_axis.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <vector>

#include "lowbit/error.hpp"
#include "lowbit/names.hpp"

namespace lowbit {
namespace {

/// Member: a pointer to the member of Dialect. Last: its last enumerator, so that a value without a
/// row here does not compile.
template <auto Member, auto Last, std::size_t N>
constexpr DialectAxis axis(std::string_view name, std::string_view meaning,
                           const std::array<AxisValue, N>& values, const AxisScope& scope = {}) {
  static_assert(N == static_cast<std::size_t>(Last) + 1);
  using Value = decltype(Last);
  return {name,
          meaning,
          values,
          [](const Dialect& d) { return static_cast<std::uint8_t>(d.*Member); },
          [](Dialect& d, std::uint8_t value) { d.*Member = static_cast<Value>(value); },
          scope};
}

// Scopes that several axes have.
constexpr AxisScope of_constants{.mx = false, .constants_only = true};
constexpr AxisScope of_nv{.mx = false};
constexpr AxisScope of_nv_edges{.mx = false, .ordinary = false};
constexpr AxisScope of_mx{.nv = false};
constexpr AxisScope of_mx_nonfinite{.nv = false, .finite = false};
constexpr AxisScope of_selection{.mx = false, .static_rules = false};
constexpr AxisScope of_values{.bytes = false};
template <const ElementFormat&... Formats>
constexpr AxisScope of_elements{
    .element = [](const ElementFormat& element) { return ((element == Formats) || ...); }};

constexpr auto amax_range = std::to_array<AxisValue>({
    {"power_of_two", "A outside [2^-32, 2^32]: everything works on x * 2^-k, k = floor(log2 A)"},
    {"unscaled",
     "S may overflow (A below 2688 / 2^128), candidate values too (A above 2^128 / 2688)"},
});
constexpr auto nonfinite = std::to_array<AxisValue>({
    {"nan_block", "a block that holds NaN or infinity has the NaN scale byte and codes 0"},
    {"computed", "NaN and infinity go through the arithmetic; NaN makes b and A NaN"},
    {"computed_skipping_nan", "the same, but the maxima b and A skip NaN"},
    {"computed_skipping_nan_in_blocks", "b skips NaN unless all elements are NaN; NaN makes A NaN"},
    {"computed_finite_amax", "b skips NaN; A is that of the finite elements"},
    {"computed_skipping_nan_unless_all", "A skips NaN, and b unless all elements are NaN"},
});
constexpr auto tensor_scale = std::to_array<AxisValue>({
    {"quotient", "S = fl(C / A), D = fl(1 / S)"},
    {"reciprocal_product", "S = fl(fl(1 / A) * C), as PyTorch divides a Python number by a tensor"},
    {"typed_reciprocal_product", "the same with both operations rounded to T"},
    {"amax_quotient", "D = fl(A / C), S = fl(1 / D)"},
    {"amax_product",
     "D = fl(A * fl(1 / C)), as PyTorch on CUDA divides a tensor by a Python number"},
    {"normalized",
     "S = fl(M / a), a = fl(A * fl(1 / Q)), where at most 2^-24 counts as 1; D = fl(1 / S)"},
    {"one", "S = D = 1: there is no tensor scale"},
});
constexpr auto tensor_scale_edge = std::to_array<AxisValue>({
    {"zero", "A = 0: S = 0, so every scale byte is 0"},
    {"bounded", "S is at most the largest binary32 number, and 1 instead of 0"},
    {"bounded_one", "the same, and S = 1 where A = 0"},
    {"one", "S = 1 where it is not finite; A is at least 2^-126"},
    {"computed", "S and D as the operations give them: infinite or NaN where A = 0"},
    {"bounded_zero", "as bounded, and D = 0 where A = 0"},
    {"at_least_1e_30",
     "D is at least 1e-30; A = NaN counts as 0, infinity as the largest binary32 number"},
});
constexpr auto block_scale = std::to_array<AxisValue>({
    {"quotient_times_scale", "h = fl(fl(b / Q) * S)"},
    {"times_scale_over_q", "h = fl(b * fl(S * fl(1 / Q)))"},
    {"scale_times_product", "h = fl(S * fl(b * fl(1 / Q)))"},
    {"scale_times_approximate_product", "h = fl(S * fl(b * rcp~(Q)))"},
    {"over_product", "h = fl(b / fl(Q * D))"},
    {"over_decode_scale", "h = fl(fl(b / Q) / D)"},
    {"product_over_decode_scale", "h = fl(fl(b * fl(1 / Q)) / D)"},
    {"typed_quotient_times_scale", "h = fl(S * T(b / Q))"},
    {"normalized", "h = fl(fl(fl(b / Q) * M) / fl(A / Q)); fl(b / Q) = 0 counts as 1"},
    {"normalized_product", "the same with products by fl(1 / Q)"},
    {"scaled_elements", "h = fl(c / Q), c the largest |fl(x / D)| of the block"},
    {"full_division", "h = div.full(fl(S * b), Q)"},
    {"full_over_product", "h = div.full(b, fl(Q * D))"},
    {"over_decode_scale_over_q", "h = fl(fl(b / D) / Q)"},
});
constexpr auto selected_scale = std::to_array<AxisValue>({
    {"as_block_scale", "as block_scale"},
    {"quotient_times_scale", "fl(fl(b / Q) * S) whatever block_scale is"},
    {"normalized_candidates",
     "the block is coded for b and for 1.5 * b by block_scale; the squared error decides"},
});
constexpr auto scale_floor = std::to_array<AxisValue>({
    {"none", "h as it is"},
    {"smallest_subnormal", "h is at least the smallest scale (E4M3: 2^-9, UE5M3: 2^-17)"},
    {"smallest_normal", "h is at least the smallest normal scale (E4M3: 2^-6)"},
});
constexpr auto zero_scale = std::to_array<AxisValue>({
    {"kept", "scale byte 0"},
    {"one", "h = 0 becomes 1 before it is rounded"},
    {"one_eighth", "scale byte 0 becomes 1/8 (E4M3: 0x20)"},
    {"smallest", "scale byte 0 of a block that is not empty becomes the smallest scale"},
});
constexpr auto scale_rounding = std::to_array<AxisValue>({
    {"nearest_even", "to nearest, ties to even"},
    {"half_up",
     "half up on the last bit, subnormals without a carry, from 248 on the largest scale"},
    {"up", "to the least scale that is not below h"},
    {"down", "to the largest scale that is not above h"},
});
constexpr auto scale_nan = std::to_array<AxisValue>({
    {"positive", "E4M3: 0x7f"},
    {"negative", "E4M3: 0xff, the sign of the default NaN of x86"},
    {"made_negative", "E4M3: 0x7f where A is NaN, 0xff where an operation made it"},
    {"signed_largest", "the largest scale; with the sign bit where an operation made the NaN"},
    {"least", "the floor of the scales: the clamp drops NaN"},
    {"largest", "the largest scale: the clamp drops NaN"},
});
constexpr auto element_scale = std::to_array<AxisValue>({
    {"reciprocal_of_product", "y = fl(x * fl(1 / fl(D * s)))"},
    {"scale_quotient", "y = fl(x * fl(S / s))"},
    {"approximate_reciprocals", "y = fl(x * rcp~(fl(s * rcp~(S))))"},
    {"approximate_quotient", "y = fl(x * div.full(S, s))"},
    {"bf16_quotient", "y = fl(x * bf16(S / s)), at most the largest BF16 number"},
    {"divided_by_product", "y = fl(x / fl(s * D))"},
    {"divided_by_quotient", "y = fl(x / fl(s / S))"},
    {"divided_twice", "y = fl(fl(x / D) * fl(1 / s))"},
    {"typed_division", "y = fl(T(x / s) * S)"},
    {"full_division", "y = div.full(fl(x * S), s)"},
    {"full_division_by_product",
     "y = div.full(x, fl(s * D)); a NaN is positive where x >= 0, negative elsewhere"},
    {"full_division_by_product_or_one", "the same, with 1 instead of a product below 1e-5"},
    {"full_division_by_finite_product",
     "the same, with 1 instead of infinity and NaN; y = 0 where the product is 0"},
});
constexpr auto empty_scale = std::to_array<AxisValue>({
    {"zero", "y = +0"},
    {"signed_zero", "the multiplier is 0: y = 0 with the sign of x"},
    {"bounded",
     "the multiplier is at most the largest binary32 number, also instead of NaN: elements "
     "saturate"},
    {"bounded_keeping_nan", "the same, but NaN stays"},
    {"bounded_unless_empty", "as bounded; 0 where b = 0"},
    {"computed", "as the operations give it: infinite, and 0 times infinity is NaN"},
    {"computed_unless_empty", "the same; 0 where b = 0"},
    {"computed_unless_h_zero", "the same; 0 where h = 0"},
    {"hundred_millionth", "the multiplier is 1e-8"},
});
constexpr auto subnormals = std::to_array<AxisValue>({
    {"kept", "operations of the scales and elements keep subnormal numbers"},
    {"flushed", "they read and write subnormal numbers as zeros (-use_fast_math)"},
});
constexpr auto scale_overflow = std::to_array<AxisValue>({
    {"saturate", "h above the largest scale, and NaN, give the largest scale"},
    {"nan", "h that rounds beyond the largest scale (E4M3: above 464), and NaN, give the NaN byte"},
    {"saturate_nan_zero", "h above the largest scale gives the largest scale; NaN gives 0"},
});
constexpr auto mx_scale = std::to_array<AxisValue>({
    {"exact", "the rule on the exact amax"},
    {"divided",
     "the byte is the exponent field of fl(b / max), plus 1 if its mantissa is not 0, whatever the "
     "range: 255 for infinity, 0 for NaN; static_6 is the only rule"},
    {"reciprocal", "the same of fl(b * fl(1 / max))"},
    {"divided_down",
     "the byte is the exponent field of fl(b / max): 255 for infinity and NaN; static_6 is the "
     "only rule"},
    {"least_reciprocal", "the least e with fl(b * fl(1 / max)) <= 2^e; static_6 is the only rule"},
    {"least_typed", "the least e with T(b / max) <= 2^e; static_6 is the only rule"},
    {"log2_divided",
     "rceil: ceil(log2(fl(b / max))), the logarithm rounded to binary32; other rules exact"},
    {"log2_reciprocal", "the same with fl(b * fl(1 / max))"},
    {"log2_full_division", "the same with div.full(b, max)"},
    {"log2_floor",
     "floor: floor(log2(b)) - emax, the logarithm rounded to binary32; other rules exact"},
    {"log2_floor_typed", "floor: floor(T(log2(b))) - emax; other rules exact"},
    {"log2_typed",
     "ceil(log2(b / max)) with each operation rounded to T; static_6 is the only rule"},
});
constexpr auto mx_even_bits = std::to_array<AxisValue>({
    {"element", "the rule even rounds b to the mantissa bits of the element"},
    {"one", "to one mantissa bit, whatever the element"},
});
constexpr auto mx_range = std::to_array<AxisValue>({
    {"finite", "bytes 0 to 254"},
    {"wrapped", "bytes are cut to 8 bits: one below 0 is 255"},
    {"one_to_254", "bytes 1 to 254"},
    {"one_to_252", "bytes 0 to 252"},
    {"from_1e_10", "b / max is at least 1e-10"},
    {"typed_x86",
     "2^e in T: where it is infinite, byte 127 and y = x / 2^e; where it is 0, byte 127 and y = x"},
    {"typed_cuda", "the same with byte 126 where 2^e is infinite, as CUDA converts infinity"},
});
constexpr auto mx_infinity = std::to_array<AxisValue>({
    {"fields", "the exponent field counts: exponent 128 before the range of exponents"},
    {"largest", "byte 254, y = x * 2^-127"},
    {"largest_flushed", "byte 254, y = x * 0: the multiplier 2^-127 is flushed"},
    {"smallest", "byte 0, as the exponent -127"},
    {"divided", "byte 0, y = x / b"},
    {"divided_nan_byte", "byte 255, y = x / b"},
    {"nan_byte", "byte 255, y = NaN"},
});
constexpr auto mx_nan = std::to_array<AxisValue>({
    {"nan_byte", "byte 255"},
    {"smallest", "byte 0, as the exponent -127"},
    {"divided", "byte 0, y = NaN"},
});
constexpr auto mx_empty = std::to_array<AxisValue>({
    {"zero", "an empty block has byte 0 and codes 0"},
    {"computed", "an empty block goes through the arithmetic"},
    {"one", "an empty block has byte 127, the scale 1"},
    {"minus_largest_exponent", "an empty block has byte 127 - emax"},
});
constexpr auto mx_element_scale = std::to_array<AxisValue>({
    {"exact", "y = x * 2^-e exactly"},
    {"zero_where_byte_is_zero", "codes 0 where the byte is 0"},
    {"signed_zero_where_byte_is_zero",
     "y = 0 with the sign of x where the byte is 0; byte 255 divides by infinity"},
    {"normal_divisor",
     "byte 0 counts as 2^-126, byte 255 as infinity; under the rule rceil as 1 and as NaN"},
    {"cuda_exp2", "byte 0 divides by the number below 2^-127, as exp2f(-127) of CUDA gives it"},
    {"unclamped", "y = x * 2^-e, e before it is cut to a byte"},
    {"unclamped_reciprocal",
     "y = fl(x * fl(1 / 2^e)), e before it is clamped to a byte; 2^e is 0 where b is infinite"},
    {"four_thirds", "y = fl(x / (2^e * 4 / 3))"},
});
constexpr auto element_ties = std::to_array<AxisValue>({
    {"even", "to nearest, ties to the even code"},
    {"toward_zero", "to nearest, ties toward zero"},
    {"away", "to nearest, ties away from zero"},
    {"truncated", "toward zero"},
    {"least_difference",
     "the first code whose |fl(q * s - x)| is least: 0 for x = NaN and infinity"},
    {"least_scaled_difference",
     "the first code whose |fl(y - q)| is least; beyond 2^26 all are alike, and the code is 0"},
    {"away_typed", "half away in steps of the binade that T(log2(|y|)) names, sums in T"},
    {"even_typed", "the same with ties to even"},
});
constexpr auto e2m0_ties = std::to_array<AxisValue>({
    {"even", "1.5 becomes 2 (0.5 and 3 go down in both)"},
    {"down", "1.5 becomes 1"},
});
constexpr auto negative_zero = std::to_array<AxisValue>({
    {"kept", "the code of y = -0 is -0"},
    {"dropped", "the code of y = -0 is 0; negative values that round to zero still give -0"},
    {"all_dropped", "every zero has code 0"},
    {"zero_is_negative", "the code of y = 0 is -0, of either sign"},
});
constexpr auto element_overflow = std::to_array<AxisValue>({
    {"saturate", "above the largest element: the largest element"},
    {"wrap_e2m1",
     "E2M1 goes on with 8 from |y| >= 7: 8 in the error, code 8 without a sign; others saturate"},
    {"nan", "E4M3: infinite y becomes NaN with its sign; others saturate"},
});
constexpr auto nan_element = std::to_array<AxisValue>({
    {"largest",
     "the element format's NaN (E4M3 0x7f, E5M2 0x7e), the largest element where it has none "
     "(cuda_fp4.hpp)"},
    {"bf16_all_ones", "E2M1: 11, the fields cut out of the BF16 NaN 0xffff; other elements: 0"},
    {"bf16_positive", "E2M1: 3, the fields cut out of the BF16 NaN 0x7fff; other elements: 0"},
    {"negative_largest",
     "no comparison holds: E2M1 -6, INT4 -7; other elements: the largest element"},
    {"signed_largest",
     "the largest element, in FP8 all bits set, with the sign of NaN; an operation makes a "
     "negative one (x86)"},
    {"zero", "the code 0"},
    {"negative_zero", "the code of -0"},
    {"negative_nan_or_zero", "FP8: all bits set, the sign bit too; other elements: 0"},
    {"fields_x86",
     "E2M1's fields cut out of the NaN of x86: 3 where A is NaN and in MX under rceil, 4 with the "
     "sign of NaN "
     "under a NaN scale and in other MX blocks, 11 where an operation made it; other elements: "
     "signed_largest"},
    {"fields_cuda", "E2M1's fields cut out of 0x7fffffff: 4; other elements: 0x7f"},
    {"least", "the largest element with the sign bit: a clamp drops NaN"},
    {"largest_finite", "the largest finite element"},
});
constexpr auto subnormal_carry = std::to_array<AxisValue>({
    {"carried", "a subnormal element that rounds up to the smallest normal number does so"},
    {"clamped_fp6", "E2M3 and E3M2 stay at the largest subnormal"},
});
constexpr auto int3_coding = std::to_array<AxisValue>({
    {"twos_complement", "as all integer elements but INT6"},
    {"sign_magnitude", "sign << 2 | magnitude"},
});
constexpr auto integer_unit = std::to_array<AxisValue>({
    {"exact_ratio", "E and R are the correctly rounded ratios"},
    {"published",
     "the papers' decimal literals: IF6 E2M3's E is 0.2419355 (0x3e77bdf1), not 15/62 "
     "(0x3e77bdef)"},
});
constexpr auto stochastic = std::to_array<AxisValue>({
    {"exact", "up iff u is below the fraction of the gap, exactly"},
    {"jitter",
     "|y| in steps plus fl(u - 0.5), half to even: up for large u. E2M1's step follows from |y| "
     "before. A sum below 0 flips the sign of the zero, and 0 becomes -0"},
    {"eight_bits",
     "E2M1: t = fma(floor(256 * u) / 256, step, |y|), rounded down to the step of t, at most 6"},
});
constexpr auto error_value = std::to_array<AxisValue>({
    {"amax_over_constant", "value = fl(fl(fl(q * s) * A) / C), d = fl(value - x)"},
    {"decode_scale", "value = fl(fl(q * s) * fl(1 / S)), d = fl(value - x)"},
    {"scaled_half", "d = fl(f16(q * s) - fl(x * S)): in units of the tensor scale"},
    {"static_fake_quantizer",
     "value = fl(q * v), v = fl(E4M3(fl(fl(b * fl(1/Q)) * g)) * fl(1/g)), g = fl(448 / fl(fl(A * "
     "448/M) * fl(1/Q))), where 448 / g at most 2^-24 counts as 1; q of y = div.full(x, v)"},
});
constexpr auto error_order = std::to_array<AxisValue>({
    {"sequential", "element after element"},
    {"lanes_8",
     "lane l of 8 adds e[l], e[l+8], ...; from 32 elements on four such vectors alternate and are "
     "added in order; then the lanes in order. For 16 elements: (e[k] + e[k+8]) for k = 0..7"},
    {"neighbour_tree",
     "up to 32 elements neighbours pairwise: (0 + 1) + (2 + 3) ...; above, 32 partial sums of 4 "
     "running sums each, then neighbours pairwise"},
    {"runs_then_halves",
     "runs of 16 bytes of input (8 elements of F16 or BF16, 4 of F32) in order, then halves: t[i] "
     "+ t[i + n/2]. The input's type decides ties"},
    {"rows_then_halves",
     "the rows of a 2D block in order each, then halves of the rows: r[i] + r[i + n/2]"},
    {"halves_of_8", "8 elements in order, the 8 others in order, then both sums"},
});
constexpr auto error_fusion = std::to_array<AxisValue>({
    {"none", "d = fl(value - x)"},
    {"difference", "where the value is fl(v * fl(1 / C)): d = fma(v, fl(1 / C), -x), one rounding"},
    {"square", "mse adds a square by e = fma(d, d, e), one rounding"},
});
constexpr auto constant_division = std::to_array<AxisValue>({
    {"divide", "fl(v / C)"},
    {"reciprocal", "fl(v * fl(1 / C)), but for divided_candidates"},
});
constexpr auto divided_candidates = std::to_array<AxisValue>({
    {"none", "no exception"},
    {"four_over_six", "candidate values of NVFP4 divide"},
    {"four_over_six_and_if4", "candidate values of NVFP4 and of IF4 divide"},
});
constexpr auto dequantization = std::to_array<AxisValue>({
    {"exact", "q * s * A / C (times E), one rounding"},
    {"via_half", "fl(fl(h * A) / C) with h = f16(f16(q * E) * s); MX: f16(q * f16(2^e))"},
    {"decode_product", "fl(q * fl(s * D))"},
    {"decode_product_or_one", "the same, with 1 instead of a product below 1e-5"},
    {"decode_product_finite", "the same, with 1 instead of infinity and NaN"},
    {"amax_product", "fl(q * fl(s * fl(A / C)))"},
    {"scale_quotient", "fl(q * fl(s / S))"},
    {"full_scale_quotient", "fl(q * div.full(s, S))"},
    {"bf16_scale_quotient", "bf16(q * fl(s / S))"},
    {"bf16_full_division", "bf16(div.full(fl(q * s), S)); MX: bf16(q * (2^e * 4 / 3))"},
});

constexpr auto dequantized_zero = std::to_array<AxisValue>({
    {"kept", "the code of -0 becomes -0"},
    {"positive", "every zero becomes +0"},
});

constexpr auto axes = std::to_array<DialectAxis>({
    axis<&Dialect::amax_range, AmaxRange::unscaled>(
        "amax_range", "what keeps S and the candidate values inside the range of binary32",
        amax_range, of_constants),
    axis<&Dialect::nonfinite, Nonfinite::computed_skipping_nan_unless_all>(
        "nonfinite", "what NonFinite::propagate does with NaN and infinity", nonfinite,
        AxisScope{.ordinary = false}),
    axis<&Dialect::tensor_scale, TensorScale::one>(
        "tensor_scale", "how the scale of the tensor is computed", tensor_scale, of_constants),
    axis<&Dialect::tensor_scale_edge, TensorScaleEdge::at_least_1e_30>(
        "tensor_scale_edge", "the tensor scale where A = 0 or C / A overflows", tensor_scale_edge,
        of_constants),
    axis<&Dialect::block_scale, BlockScale::over_decode_scale_over_q>(
        "block_scale", "the block scale h before its conversion", block_scale, of_nv),
    axis<&Dialect::selected_scale, SelectedScale::normalized_candidates>(
        "selected_scale", "the block scale h of the rules that select", selected_scale,
        of_selection),
    axis<&Dialect::scale_floor, ScaleFloor::smallest_normal>("scale_floor", "the least h",
                                                             scale_floor, of_nv),
    axis<&Dialect::zero_scale, ZeroScale::smallest>("zero_scale", "a scale of 0", zero_scale,
                                                    of_nv),
    axis<&Dialect::scale_rounding, ScaleRounding::down>(
        "scale_rounding", "how h becomes a scale byte", scale_rounding, of_nv),
    axis<&Dialect::scale_overflow, ScaleOverflow::saturate_nan_zero>(
        "scale_overflow", "the byte of a scale above the largest one, and of NaN", scale_overflow,
        of_nv),
    axis<&Dialect::scale_nan, ScaleNan::largest>("scale_nan", "the NaN scale byte", scale_nan,
                                                 of_nv_edges),
    axis<&Dialect::element_scale, ElementScale::full_division_by_finite_product>(
        "element_scale", "how an element is scaled", element_scale, of_nv),
    axis<&Dialect::empty_scale, EmptyScale::hundred_millionth>(
        "empty_scale", "how an element is scaled where the scale is 0", empty_scale, of_nv_edges),
    axis<&Dialect::subnormals, Subnormals::flushed>(
        "subnormals", "subnormal numbers in the operations of scales and elements", subnormals,
        of_nv),
    axis<&Dialect::mx_scale, MxScale::log2_typed>("mx_scale", "how MX exponents are found",
                                                  mx_scale, of_mx),
    axis<&Dialect::mx_even_bits, MxEvenBits::one>(
        "mx_even_bits", "what the rule even rounds the amax to", mx_even_bits, of_mx),
    axis<&Dialect::mx_range, MxRange::typed_cuda>("mx_range", "the range of MX exponents", mx_range,
                                                  of_mx),
    axis<&Dialect::mx_infinity, MxInfinity::nan_byte>(
        "mx_infinity", "what an MX block does whose amax is infinite", mx_infinity,
        of_mx_nonfinite),
    axis<&Dialect::mx_nan, MxNan::divided>("mx_nan", "what an MX block does whose amax is NaN",
                                           mx_nan, of_mx_nonfinite),
    axis<&Dialect::mx_empty, MxEmpty::minus_largest_exponent>(
        "mx_empty", "the scale byte of an MX block of zeros", mx_empty, of_mx),
    axis<&Dialect::mx_element_scale, MxElementScale::four_thirds>(
        "mx_element_scale", "how an element of an MX block is scaled", mx_element_scale, of_mx),
    axis<&Dialect::element_ties, ElementTies::even_typed>("element_ties", "how y becomes a code",
                                                          element_ties),
    axis<&Dialect::e2m0_ties, E2m0Ties::down>(
        "e2m0_ties", "the value halfway between two E2M0 codes", e2m0_ties, of_elements<e2m0>),
    axis<&Dialect::negative_zero, NegativeZero::zero_is_negative>(
        "negative_zero", "the sign of zeros", negative_zero),
    axis<&Dialect::element_overflow, ElementOverflow::nan>(
        "element_overflow", "what lies above the largest element", element_overflow,
        of_elements<e2m1, e4m3>),
    axis<&Dialect::nan_element, NanElement::largest_finite>(
        "nan_element", "the code of y = NaN", nan_element, AxisScope{.ordinary = false}),
    axis<&Dialect::subnormal_carry, SubnormalCarry::clamped_fp6>(
        "subnormal_carry", "a subnormal element that rounds up", subnormal_carry,
        of_elements<e2m3, e3m2>),
    axis<&Dialect::int3_coding, Int3Coding::sign_magnitude>(
        "int3_coding", "how negative INT3 elements are written", int3_coding, of_elements<int3>),
    axis<&Dialect::integer_unit, IntegerUnit::published>(
        "integer_unit", "E and R of the IF formats", integer_unit,
        AxisScope{.mx = false,
                  .static_rules = false,
                  .element = [](const ElementFormat& e) { return e == e2m3; }}),
    axis<&Dialect::stochastic, StochasticRule::eight_bits>(
        "stochastic", "how a random number decides", stochastic, AxisScope{.nearest = false}),
    axis<&Dialect::error_value, ErrorValue::static_fake_quantizer>(
        "error_value", "what a candidate is compared by", error_value, of_selection),
    axis<&Dialect::error_order, ErrorOrder::halves_of_8>(
        "error_order", "the order in which the errors of a block are added up", error_order,
        of_selection),
    axis<&Dialect::error_fusion, ErrorFusion::square>(
        "error_fusion", "multiply-adds made of the error's operations", error_fusion, of_selection),
    axis<&Dialect::constant_division, ConstantDivision::reciprocal>(
        "constant_division",
        "divisions by the constant C in candidate values and in dequantization", constant_division,
        of_selection),
    axis<&Dialect::divided_candidates, DividedCandidates::four_over_six_and_if4>(
        "divided_candidates", "formats whose candidate values divide all the same",
        divided_candidates, of_selection),
    axis<&Dialect::dequantization, Dequantization::bf16_full_division>(
        "dequantization", "how codes become FP32 values", dequantization, of_values),
    axis<&Dialect::dequantized_zero, DequantizedZero::positive>(
        "dequantized_zero", "the FP32 value of -0", dequantized_zero, of_values),
});

std::vector<std::string_view> names(auto&& records) {
  std::vector<std::string_view> out;
  for (const auto& record : records) out.push_back(record.name);
  return out;
}

/// A cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::span<const DialectAxis> dialect_axes() {
  return axes;
}

const DialectAxis* find_dialect_axis(std::string_view name) {
  for (const DialectAxis& a : axes) {
    if (a.name == name) return &a;
  }
  return nullptr;
}

bool can_show(const DialectAxis& axis, const AxisUse& use) {
  const AxisScope& scope = axis.scope;
  const BlockFormat& f = *use.format;
  if (f.has_levels()) return false;  // one arithmetic only
  if (!scope.bytes || !(f.family() == ScaleFamily::mx ? scope.mx : scope.nv)) return false;
  if (!scope.static_rules && !selects(use.rule)) return false;
  if (!scope.finite && use.finite) return false;
  if (!scope.nearest && use.nearest) return false;
  if (scope.element == nullptr) return true;
  return scope.element(*f.element) || (f.is_adaptive() && scope.element(*f.integer));
}

void set_dialect_axis(Dialect& dialect, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is not of the form axis=value", text));
  }
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = text.substr(equals + 1);
  const DialectAxis* const found = find_dialect_axis(name);
  if (found == nullptr) {
    throw Error(ErrorKind::usage,
                fmt::format("no dialect axis '{}'; the nearest names are {}", name,
                            fmt::join(nearest_names(name, names(axes)), ", ")));
  }
  for (std::size_t i = 0; i < found->values.size(); ++i) {
    if (found->values[i].name != value) continue;
    found->set(dialect, static_cast<std::uint8_t>(i));
    return;
  }
  throw Error(ErrorKind::usage, fmt::format("axis {} has no value '{}'; there are {}", name, value,
                                            fmt::join(names(found->values), ", ")));
}

std::string dialect_tables() {
  const Dialect& reference = *find_dialect("canonical");
  std::string text =
      "| dialect | library | versions | status | formats and rules | what it is "
      "|\n|---|---|---|---|---|---|\n";
  for (const Dialect& d : dialects()) {
    const std::string alias = d.alias.empty() ? "" : fmt::format(", `{}`", d.alias);
    text +=
        fmt::format("| `{}`{} | {} | {} | {} | {} | {} |\n", d.name, alias, d.library, d.versions,
                    name_of(d.status), d.formats.empty() ? "all" : d.formats, cell(d.summary));
  }
  text += "\n| dialect | axes on which it is not `canonical` |\n|---|---|\n";
  for (const Dialect& d : dialects()) {
    std::vector<std::string> values;
    for (const DialectAxis& a : axes) {
      if (a.get(d) != a.get(reference)) {
        values.push_back(fmt::format("{}={}", a.name, a.value_of(d).name));
      }
    }
    text += fmt::format("| `{}` | {} |\n", d.name, fmt::join(values, ", "));
  }
  text += "\n| axis | value | meaning |\n|---|---|---|\n";
  for (const DialectAxis& a : axes) {
    text += fmt::format("| **{}** | | {} |\n", a.name, cell(a.meaning));
    for (const AxisValue& v : a.values) {
      text += fmt::format("| | {} | {} |\n", v.name, cell(v.meaning));
    }
  }
  return text;
}

}  // namespace lowbit
