// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>

#include "gemm/plain_product.hpp"
#include "lowbit/sim/diagnose.hpp"

namespace lowbit::sim {
namespace {

/// Exact sum of columns [first, last) of two one-row tensors.
ExactValue exact_columns(const BlockTensor& a, const BlockTensor& b, std::size_t first,
                         std::size_t last, NanScale nan_scale) {
  ExactAccumulator sum(*a.format, *b.format, nan_scale);
  const auto size_a = static_cast<std::size_t>(a.format->block_size);
  const auto size_b = static_cast<std::size_t>(b.format->block_size);
  for (std::size_t k = first; k < last; ++k) {
    const std::uint8_t code_a[] = {a.code(0, k)};
    const std::uint8_t code_b[] = {b.code(0, k)};
    sum.add_block(a.scale(0, k / size_a), code_a, b.scale(0, k / size_b), code_b);
  }
  return sum.value();
}

bool same_float(float x, float y) {
  return (x != x && y != y) || std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y) ||
         (x == 0 && y == 0);
}

/// Sums of exact values of one pair: the unit is common.
class ExactSum {
 public:
  void add(const ExactValue& v) {
    if (v.number_class == NumberClass::nan || v.number_class == NumberClass::infinity) special_ = v;
    total_.exponent = v.exponent;
    total_.denominator = v.denominator;
    total_.integer += v.integer;
    total_.number_class = total_.integer.is_zero() ? NumberClass::zero : NumberClass::finite;
    total_.negative = total_.integer.is_negative();
  }
  /// Times denominator * 2^-exponent, as the accumulator of expanded operands is.
  [[nodiscard]] float rounded(const TensorScales& scales) const {
    if (special_) return round_to_float(*special_);
    ExactValue v = total_;
    if (scales.denominator != 1) v.denominator = 1;
    v.exponent -= scales.exponent;
    return round_to_float(v);
  }

 private:
  ExactValue total_;
  std::optional<ExactValue> special_;
};

}  // namespace

OutputTrace trace_output(const GemmOperand& all_a, const GemmOperand& all_b, const GemmModel& model,
                         std::size_t row, std::size_t column) {
  const GemmOperand a = select_rows(all_a, std::span(&row, 1));
  const GemmOperand b = select_rows(all_b, std::span(&column, 1));
  const std::size_t columns = columns_of(a);
  const auto* ta = std::get_if<BlockTensor>(&a);
  const auto* tb = std::get_if<BlockTensor>(&b);
  OutputTrace trace;
  if (model.instruction == nullptr) {
    ExactSum sum;
    float accumulator = 0.0F;
    constexpr std::size_t chunk = 64;
    for (std::size_t first = 0; first < columns; first += chunk) {
      const std::size_t last = std::min(first + chunk, columns);
      TraceLine line{static_cast<std::uint32_t>(first / chunk), 0, first, last, 0.0F, 0.0F};
      if (ta != nullptr && tb != nullptr) {
        const ExactValue part = exact_columns(*ta, *tb, first, last, model.nan_scale);
        accumulator += round_to_float(part);
        sum.add(part);
        line.exact = sum.rounded({});
      } else {
        accumulator += round_to_float(exact_plain_dot(a, 0, b, 0, first, last, model.nan_scale));
        line.exact = round_to_float(exact_plain_dot(a, 0, b, 0, 0, last, model.nan_scale));
      }
      line.model = accumulator;
      trace.lines.push_back(line);
    }
  } else {
    const PreparedOperand pa =
        prepare_operand(a, *model.instruction, MmaSide::a, model.schedule, model.nan_scale);
    const PreparedOperand pb =
        prepare_operand(b, *model.instruction, MmaSide::b, model.schedule, model.nan_scale);
    const TensorScales scales = tensor_scales(a, b, pa, pb);
    const bool exact = ta != nullptr && tb != nullptr && model.schedule.column_order.empty();
    const auto k = static_cast<std::size_t>(model.instruction->k);
    std::vector<ExactSum> sums;
    for (const RunningSum& r :
         running_sums(*model.instruction, pa.operand, pb.operand, model.schedule)) {
      const std::size_t first = r.step * k;
      const std::size_t last = std::min(first + k, std::max(first, pa.operand.length()));
      TraceLine line{r.step, r.accumulator, first, last, r.sum, std::nullopt};
      if (exact) {
        sums.resize(std::max(sums.size(), r.accumulator + 1));
        sums[r.accumulator].add(exact_columns(*ta, *tb, first, last, model.nan_scale));
        line.exact = sums[r.accumulator].rounded(scales);
      }
      trace.lines.push_back(line);
    }
  }
  for (std::size_t i = 0; i < trace.lines.size() && !trace.part_at; ++i) {
    const TraceLine& line = trace.lines[i];
    if (line.exact && !same_float(line.model, *line.exact)) trace.part_at = i;
  }
  return trace;
}

}  // namespace lowbit::sim
