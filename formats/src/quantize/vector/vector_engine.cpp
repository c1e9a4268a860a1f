// SPDX-License-Identifier: MIT
#include "quantize/vector/vector_engine.hpp"

#include <atomic>
#include <cmath>

#include "quantize/vector/dialect_scales.hpp"
#include "quantize/vector/served_dialects.hpp"

#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/vector/vector_engine.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "quantize/vector/engines-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {
namespace {

const Engine* engine_by_kind(const TensorConstants& t) {
  if (t.format->family() == ScaleFamily::mx) return mx_engine(t);
  if (!t.format->is_adaptive()) return t.selects ? four_over_six_engine(t) : static_engine(t);
  const ElementFormat& e = *t.format->element;
  const ElementFormat& i = *t.format->integer;
  if (e == e2m0 && i == int3) return if3_engine(t);
  if (e == e2m1 && i == int4) return if4_engine(t);
  if ((e == e2m3 || e == e3m2) && i == int6) return if6_engine(t);
  return nullptr;
}

}  // namespace
}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lowbit::detail {
namespace {

HWY_EXPORT(engine_by_kind);

std::atomic<bool> has_engines = true;

/// Rules that others may add are not.
bool is_served(ScaleRule rule) {
  switch (rule) {
    case ScaleRule::static_6:
    case ScaleRule::static_4:
    case ScaleRule::mse:
    case ScaleRule::mae:
    case ScaleRule::abs_max:
    case ScaleRule::floor:
    case ScaleRule::rceil:
    case ScaleRule::ceil:
    case ScaleRule::even:
      return true;
    default:
      return false;
  }
}

/// Whether an axis of the dialect changes how elements are rounded or coded.
bool deviates(const TensorConstants& t) {
  const ElementFormat& e = *t.format->element;
  const Dialect& d = *t.dialect;
  const bool has_int3 = e == int3 || (t.format->is_adaptive() && *t.format->integer == int3);
  return (e.bits == 6 && !e.is_integer() && d.subnormal_carry != SubnormalCarry::carried) ||
         (e == e2m0 && !t.format->is_adaptive() && d.e2m0_ties != E2m0Ties::even) ||
         (has_int3 && d.int3_coding != Int3Coding::twos_complement);
}

/// Whether the values of two axes, each of them served, do not go together.
bool conflicts(const TensorConstants& t) {
  const Dialect& d = *t.dialect;
  if (t.format->family() == ScaleFamily::mx) {
    // A wrapped exponent is not the one that elements are scaled by.
    return d.mx_range == MxRange::wrapped &&
           (d.mx_element_scale == MxElementScale::unclamped ||
            d.mx_element_scale == MxElementScale::unclamped_reciprocal);
  }
  // Which products are 0.
  if (d.subnormals == Subnormals::flushed && d.negative_zero != NegativeZero::kept) return true;
  if (!t.selects) return false;
  // Candidates are compared as if A / C were 1 / S, but for roundings.
  const bool is_near =
      d.tensor_scale == TensorScale::quotient || d.tensor_scale == TensorScale::one ||
      d.tensor_scale == TensorScale::reciprocal_product ||
      d.tensor_scale == TensorScale::amax_quotient || d.tensor_scale == TensorScale::amax_product;
  const bool is_compared_without_unit =
      t.format->is_adaptive() && d.error_value != ErrorValue::amax_over_constant;
  return !is_near || is_compared_without_unit || !has_vector_chain(t);
}

}  // namespace

/// A dialect is served by the values of its axes (served_dialects.hpp).
const Engine* vector_engine(const TensorConstants& t) {
  if (!has_engines.load(std::memory_order_relaxed)) return nullptr;
  if (t.rounding != ElementRounding::nearest || !is_served(t.rule)) return nullptr;
  if (!serves_dialect(*t.dialect)) return nullptr;
  if (deviates(t) || conflicts(t)) return nullptr;
  if (t.format->family() == ScaleFamily::mx) return HWY_DYNAMIC_DISPATCH(engine_by_kind)(t);
  const bool is_ue5m3 = *t.format->scale == ue5m3 && *t.format->element == e2m1 &&
                        t.format->block_size == 16 && !t.format->is_adaptive();
  if (!t.scale_is_e4m3 && !is_ue5m3) return nullptr;
  // Beyond, intermediate results may leave the range of normal numbers. The least normal UE5M3
  // scale is 2^-16 of the least normal E4M3 scale, relative to the largest one.
  const float least = is_ue5m3 ? 0x1p-16F : 0x1p-32F;
  if (!(t.scaled_amax >= least && t.scaled_amax <= 0x1p32F)) return nullptr;
  if (!std::isnormal(t.encode_scale) || !std::isnormal(t.decode_scale)) return nullptr;
  return HWY_DYNAMIC_DISPATCH(engine_by_kind)(t);
}

std::vector<VectorTarget> vector_targets() {
  std::vector<VectorTarget> found;
  for (std::int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1) {
    const std::int64_t id = left & -left;
    found.push_back({id, hwy::TargetName(id)});
  }
  return found;
}

void force_vector_target(std::int64_t id) {
  has_engines = id != no_vector_target;
  hwy::SetSupportedTargetsForTest(id == no_vector_target ? 0 : id);
}

std::string_view vector_target_name() {
  const std::int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(usable & -usable);
}

}  // namespace lowbit::detail
#endif
