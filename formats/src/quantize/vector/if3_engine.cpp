// SPDX-License-Identifier: MIT
// Engines for IF3.
// This file is compiled once per instruction set, by including itself (hwy/foreach_target.h).
#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/vector/if3_engine.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "quantize/vector/engines-inl.hpp"
#include "quantize/vector/selecting-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

const Engine* if3_engine(const TensorConstants& t) {
  return selecting<FloatOrInteger<e2m0, int3>>(t);
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
