// SPDX-License-Identifier: MIT
#include "quantize/vector/vector_engine.hpp"

#include "quantize/vector/engines.hpp"
#include "quantize/vector/served_dialects.hpp"
#include "quantize/vector/targets.hpp"
//
#include "hwy/highway.h"

namespace lowbit::detail {
namespace {

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

const Engine* adaptive_engine(const TensorConstants& t) {
  const ElementFormat& e = *t.format->element;
  const ElementFormat& i = *t.format->integer;
  if (e == e2m0 && i == int3) return if3_engine(t);
  if (e == e2m1 && i == int4) return if4_engine(t);
  if ((e == e2m3 || e == e3m2) && i == int6) return if6_engine(t);
  return nullptr;
}

}  // namespace

/// A dialect is served by the values of its axes (served_dialects.hpp).
const Engine* vector_engine(const TensorConstants& t) {
  if (t.rounding != ElementRounding::nearest || !is_served(t.rule)) return nullptr;
  if (!serves_dialect(*t.dialect)) return nullptr;
  if (deviates(t)) return nullptr;
  if (t.format->family() == ScaleFamily::mx) return mx_engine(t);
  const bool is_ue5m3 =
      *t.format->scale == ue5m3 && *t.format->element == e2m1 && !t.format->is_adaptive();
  if (t.format->block_size != 16 || !(t.scale_is_e4m3 || is_ue5m3)) return nullptr;
  // Beyond, intermediate results may leave the range of normal numbers. The least normal UE5M3
  // scale is 2^-16 of the least normal E4M3 scale, relative to the largest one.
  const float least = is_ue5m3 ? 0x1p-16F : 0x1p-32F;
  if (!(t.scaled_amax >= least && t.scaled_amax <= 0x1p32F)) return nullptr;
  if (t.format->is_adaptive()) return adaptive_engine(t);
  return t.selects ? four_over_six_engine(t) : static_engine(t);
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
  hwy::SetSupportedTargetsForTest(id);
}

std::string_view vector_target_name() {
  const std::int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
  return hwy::TargetName(usable & -usable);
}

}  // namespace lowbit::detail
