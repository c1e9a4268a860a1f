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

/// Kernels look at mx_scale, mx_element_scale, negative_zero, error_fusion, constant_division and
/// divided_candidates, and element_overflow where it can show. The values of the other axes cannot
/// show in a block that a kernel keeps: no element is above the largest, no scale saturates or is
/// subnormal, nothing is NaN, the elements are E2M1 or INT4, the rounding is to nearest, and every
/// order of a sum is within the bound of select-inl.hpp. Dequantization goes through the value
/// table.
constexpr auto served_axes = std::to_array<ServedAxis>({
    {"amax_range", one_of(AmaxRange::power_of_two, AmaxRange::unscaled)},
    {"scale_overflow",
     one_of(ScaleOverflow::saturate, ScaleOverflow::nan, ScaleOverflow::saturate_nan_zero)},
    {"mx_scale", one_of(MxScale::exact, MxScale::divided, MxScale::reciprocal)},
    {"mx_element_scale", one_of(MxElementScale::exact, MxElementScale::zero_where_byte_is_zero)},
    {"e2m0_ties", one_of(E2m0Ties::even, E2m0Ties::down)},
    {"negative_zero", one_of(NegativeZero::kept, NegativeZero::dropped)},
    {"element_overflow", one_of(ElementOverflow::saturate, ElementOverflow::wrap_e2m1)},
    {"nan_element", one_of(NanElement::largest, NanElement::bf16_all_ones,
                           NanElement::bf16_positive, NanElement::negative_largest)},
    {"subnormal_carry", one_of(SubnormalCarry::carried, SubnormalCarry::clamped_fp6)},
    {"int3_coding", one_of(Int3Coding::twos_complement, Int3Coding::sign_magnitude)},
    {"integer_unit", one_of(IntegerUnit::exact_ratio, IntegerUnit::published)},
    {"stochastic", one_of(StochasticRule::exact, StochasticRule::jitter)},
    {"error_order", one_of(ErrorOrder::sequential, ErrorOrder::lanes_8, ErrorOrder::neighbour_tree,
                           ErrorOrder::runs_then_halves)},
    {"error_fusion", one_of(ErrorFusion::none, ErrorFusion::difference)},
    {"constant_division", one_of(ConstantDivision::divide, ConstantDivision::reciprocal)},
    {"divided_candidates", one_of(DividedCandidates::none, DividedCandidates::four_over_six,
                                  DividedCandidates::four_over_six_and_if4)},
    {"dequantization", one_of(Dequantization::exact, Dequantization::via_half)},
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
