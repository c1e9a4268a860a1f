// SPDX-License-Identifier: MIT
#include "lowbit/dialect_axis.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <vector>

#include "lowbit/error.hpp"

namespace lowbit {
namespace {

/// Member: a pointer to the member of Dialect. Last: its last enumerator, so that a value without a
/// row here does not compile.
template <auto Member, auto Last, std::size_t N>
constexpr DialectAxis axis(std::string_view name, std::string_view meaning,
                           const std::array<AxisValue, N>& values) {
  static_assert(N == static_cast<std::size_t>(Last) + 1);
  using Value = decltype(Last);
  return {name, meaning, values,
          [](const Dialect& d) { return static_cast<std::uint8_t>(d.*Member); },
          [](Dialect& d, std::uint8_t value) { d.*Member = static_cast<Value>(value); }};
}

constexpr auto amax_range = std::to_array<AxisValue>({
    {"power_of_two", "A outside [2^-32, 2^32]: everything works on x * 2^-k, k = floor(log2 A)"},
    {"unscaled",
     "S may overflow (A below 2688 / 2^128), candidate values too (A above 2^128 / 2688)"},
});
constexpr auto scale_overflow = std::to_array<AxisValue>({
    {"saturate", "h above the largest scale, and NaN, give the largest scale"},
    {"nan", "h that rounds beyond the largest scale (E4M3: above 464), and NaN, give the NaN byte"},
    {"saturate_nan_zero", "h above the largest scale gives the largest scale; NaN gives 0"},
});
constexpr auto mx_scale = std::to_array<AxisValue>({
    {"exact", "the rule on the exact amax; byte 0 is 2^-127"},
    {"divided",
     "the exponent field of fl(b / max), plus 1 if its mantissa is not 0; byte 0 means codes 0; "
     "static_6 is the only rule"},
    {"reciprocal", "the same of fl(b * fl(1 / max))"},
});
constexpr auto e2m0_ties = std::to_array<AxisValue>({
    {"even", "1.5 becomes 2 (0.5 and 3 go down in both)"},
    {"down", "1.5 becomes 1"},
});
constexpr auto negative_zero = std::to_array<AxisValue>({
    {"kept", "the code of y = -0 is -0"},
    {"dropped", "the code of y = -0 is 0; negative values that round to zero still give -0"},
});
constexpr auto element_overflow = std::to_array<AxisValue>({
    {"saturate", "above the largest element: the largest element"},
    {"wrap_e2m1",
     "E2M1 goes on with 8 from |y| >= 7: 8 in the error, code 8 without a sign; others saturate"},
});
constexpr auto nan_element = std::to_array<AxisValue>({
    {"largest", "y = NaN gives the largest element (cuda_fp4.hpp)"},
    {"bf16_all_ones", "E2M1: 11, the fields cut out of the BF16 NaN 0xffff; other elements: 0"},
    {"bf16_positive", "E2M1: 3, the fields cut out of the BF16 NaN 0x7fff; other elements: 0"},
    {"negative_largest",
     "no comparison holds: E2M1 -6, INT4 -7; other elements: the largest element"},
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
});
constexpr auto error_fusion = std::to_array<AxisValue>({
    {"none", "d = fl(value - x)"},
    {"difference", "where the value is fl(v * fl(1 / C)): d = fma(v, fl(1 / C), -x), one rounding"},
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
});

constexpr auto axes = std::to_array<DialectAxis>({
    axis<&Dialect::amax_range, AmaxRange::unscaled>(
        "amax_range", "what keeps S and the candidate values inside the range of binary32",
        amax_range),
    axis<&Dialect::scale_overflow, ScaleOverflow::saturate_nan_zero>(
        "scale_overflow", "the byte of a scale above the largest one, and of NaN", scale_overflow),
    axis<&Dialect::mx_scale, MxScale::reciprocal>("mx_scale", "how MX exponents are found",
                                                  mx_scale),
    axis<&Dialect::e2m0_ties, E2m0Ties::down>(
        "e2m0_ties", "the value halfway between two E2M0 codes", e2m0_ties),
    axis<&Dialect::negative_zero, NegativeZero::dropped>("negative_zero", "the code of y = -0",
                                                         negative_zero),
    axis<&Dialect::element_overflow, ElementOverflow::wrap_e2m1>(
        "element_overflow", "what lies above the largest element", element_overflow),
    axis<&Dialect::nan_element, NanElement::negative_largest>(
        "nan_element", "the code of y = NaN, which needs an infinite S", nan_element),
    axis<&Dialect::subnormal_carry, SubnormalCarry::clamped_fp6>(
        "subnormal_carry", "a subnormal element that rounds up", subnormal_carry),
    axis<&Dialect::int3_coding, Int3Coding::sign_magnitude>(
        "int3_coding", "how negative INT3 elements are written", int3_coding),
    axis<&Dialect::integer_unit, IntegerUnit::published>("integer_unit",
                                                         "E and R of the IF formats", integer_unit),
    axis<&Dialect::stochastic, StochasticRule::jitter>("stochastic", "how a random number decides",
                                                       stochastic),
    axis<&Dialect::error_order, ErrorOrder::runs_then_halves>(
        "error_order", "the order in which the errors of a block are added up", error_order),
    axis<&Dialect::error_fusion, ErrorFusion::difference>(
        "error_fusion", "multiply-adds made of the error's operations", error_fusion),
    axis<&Dialect::constant_division, ConstantDivision::reciprocal>(
        "constant_division",
        "divisions by the constant C in candidate values and in dequantization", constant_division),
    axis<&Dialect::divided_candidates, DividedCandidates::four_over_six_and_if4>(
        "divided_candidates", "formats whose candidate values divide all the same",
        divided_candidates),
    axis<&Dialect::dequantization, Dequantization::via_half>(
        "dequantization", "how codes become FP32 values", dequantization),
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

void set_dialect_axis(Dialect& dialect, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    throw Error(ErrorKind::usage, fmt::format("'{}' is not of the form axis=value", text));
  }
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = text.substr(equals + 1);
  const DialectAxis* const found = find_dialect_axis(name);
  if (found == nullptr) {
    throw Error(ErrorKind::usage, fmt::format("no dialect axis '{}'; there are {}", name,
                                              fmt::join(names(axes), ", ")));
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
  std::string text = "| axis |";
  std::string rule = "|---|";
  for (const Dialect& d : dialects()) {
    text += fmt::format(" `{}` |", d.name);
    rule += "---|";
  }
  text += "\n" + rule + "\n";
  for (const DialectAxis& a : axes) {
    text += fmt::format("| {} |", a.name);
    for (const Dialect& d : dialects()) text += fmt::format(" {} |", a.value_of(d).name);
    text += "\n";
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
