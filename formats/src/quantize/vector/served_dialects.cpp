// SPDX-License-Identifier: MIT
#include "quantize/vector/served_dialects.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "lowbit/dialect_axis.hpp"

namespace lowbit::detail {
namespace {

struct ServedAxis {
  std::string_view name;
  std::uint32_t values;  ///< bit n: value n
};

template <typename... Values>
constexpr std::uint32_t one_of(Values... values) {
  return ((std::uint32_t{1} << static_cast<unsigned>(values)) | ...);
}

template <typename Axis>
constexpr std::uint32_t up_to(Axis last) {
  return (std::uint32_t{2} << static_cast<unsigned>(last)) - 1;
}

/// The values of an axis cannot show in a block that a kernel keeps (no element is above the
/// largest, no scale saturates or is subnormal, nothing is NaN or empty, the rounding is to
/// nearest, and every order of a sum is within the bound of select-inl.hpp), or they show in a
/// number that is computed once per tensor or per block by the scalar engine's own functions
/// (dialect_scales.hpp), or the kernels look at them. What is served with some other value only,
/// vector_engine() knows. Dequantization goes through the value table. Of element_scale the values
/// are left out that divide each element.
constexpr auto served_axes = std::to_array<ServedAxis>({
    {"amax_range", up_to(AmaxRange::unscaled)},
    {"nonfinite", up_to(Nonfinite::computed_skipping_nan_unless_all)},
    {"tensor_scale", up_to(TensorScale::one)},
    {"tensor_scale_edge", up_to(TensorScaleEdge::bounded_zero)},
    {"block_scale",
     one_of(BlockScale::quotient_times_scale, BlockScale::times_scale_over_q,
            BlockScale::scale_times_product, BlockScale::scale_times_approximate_product,
            BlockScale::over_product, BlockScale::over_decode_scale,
            BlockScale::product_over_decode_scale, BlockScale::typed_quotient_times_scale,
            BlockScale::normalized, BlockScale::normalized_product, BlockScale::full_division,
            BlockScale::full_over_product)},
    {"selected_scale", up_to(SelectedScale::normalized_candidates)},
    {"scale_floor", up_to(ScaleFloor::smallest_normal)},
    {"zero_scale", up_to(ZeroScale::smallest)},
    {"scale_rounding", up_to(ScaleRounding::down)},
    {"scale_overflow", up_to(ScaleOverflow::saturate_nan_zero)},
    {"scale_nan", up_to(ScaleNan::largest)},
    {"element_scale", one_of(ElementScale::reciprocal_of_product, ElementScale::scale_quotient,
                             ElementScale::approximate_reciprocals,
                             ElementScale::approximate_quotient, ElementScale::bf16_quotient)},
    {"empty_scale", up_to(EmptyScale::hundred_millionth)},
    {"subnormals", up_to(Subnormals::flushed)},
    {"mx_scale", up_to(MxScale::log2_typed)},
    {"mx_even_bits", up_to(MxEvenBits::one)},
    {"mx_range", one_of(MxRange::finite, MxRange::wrapped, MxRange::one_to_254, MxRange::one_to_252,
                        MxRange::from_1e_10)},
    {"mx_infinity", up_to(MxInfinity::nan_byte)},
    {"mx_nan", up_to(MxNan::divided)},
    {"mx_empty", up_to(MxEmpty::minus_largest_exponent)},
    {"mx_element_scale", up_to(MxElementScale::unclamped_reciprocal)},
    {"e2m0_ties", up_to(E2m0Ties::down)},
    {"negative_zero", one_of(NegativeZero::kept, NegativeZero::dropped)},
    {"element_overflow", up_to(ElementOverflow::nan)},
    {"nan_element", up_to(NanElement::largest_finite)},
    {"subnormal_carry", up_to(SubnormalCarry::clamped_fp6)},
    {"int3_coding", up_to(Int3Coding::sign_magnitude)},
    {"integer_unit", up_to(IntegerUnit::published)},
    {"stochastic", up_to(StochasticRule::eight_bits)},
    {"error_value", one_of(ErrorValue::amax_over_constant, ErrorValue::decode_scale)},
    {"error_order", up_to(ErrorOrder::halves_of_8)},
    {"error_fusion", up_to(ErrorFusion::square)},
    {"constant_division", up_to(ConstantDivision::reciprocal)},
    {"divided_candidates", up_to(DividedCandidates::four_over_six_and_if4)},
    {"dequantization", up_to(Dequantization::bf16_full_division)},
    {"dequantized_zero", up_to(DequantizedZero::positive)},
});

}  // namespace

bool serves_dialect(const Dialect& dialect) {
  const auto is_served = [&](const DialectAxis& axis) {
    const std::uint8_t value = axis.get(dialect);
    if (value == axis.get(canonical)) return true;
    const auto* const found =
        std::find_if(served_axes.begin(), served_axes.end(),
                     [&](const ServedAxis& s) { return s.name == axis.name; });
    return found != served_axes.end() && (found->values >> value & 1U) != 0;
  };
  const auto axes = dialect_axes();
  return std::all_of(axes.begin(), axes.end(), is_served);
}

}  // namespace lowbit::detail
