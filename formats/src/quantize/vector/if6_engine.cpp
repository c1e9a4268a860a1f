// SPDX-License-Identifier: MIT
// Engines for IF6.
// This file is compiled once per instruction set, by including itself (hwy/foreach_target.h).
#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/vector/if6_engine.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "quantize/vector/engines-inl.hpp"
#include "quantize/vector/selecting-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

const Engine* if6_engine(const TensorConstants& t) {
  if (t.format->block_size != nv_size) return nullptr;
  return *t.format->element == e2m3 ? selecting_blocks<FloatOrInteger<e2m3, int6>, nv_size>(t)
                                    : selecting_blocks<FloatOrInteger<e3m2, int6>, nv_size>(t);
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
