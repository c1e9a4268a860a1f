// SPDX-License-Identifier: MIT
// Engines for NVFP4 and AMDFP4 where 4 and 6 compete.
// This file is compiled once per instruction set, by including itself (hwy/foreach_target.h).
#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/vector/four_over_six_engine.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "quantize/vector/engines-inl.hpp"
#include "quantize/vector/selecting-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

const Engine* four_over_six_engine(const TensorConstants& t) {
  if (!t.scale_is_e4m3) return selecting_blocks<FourOverSix<ue5m3>, nv_size>(t);
  return *t.format->element == e2m1 ? selecting<FourOverSix<e4m3>>(t) : nullptr;
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
