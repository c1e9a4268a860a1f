// SPDX-License-Identifier: MIT
// Engines of two candidates, by rule. Compiled once per target.
#if defined(LOWBIT_SELECTING_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_SELECTING_INL
#undef LOWBIT_SELECTING_INL
#else
#define LOWBIT_SELECTING_INL
#endif

#include "quantize/vector/engine-inl.hpp"
#include "quantize/vector/select-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

template <typename Pair>
const Engine* selecting(const TensorConstants& t) {
  switch (t.rule) {
    case ScaleRule::mse:
      return engine<SelectKernel<Pair, ScaleRule::mse>>(t);
    case ScaleRule::mae:
      return engine<SelectKernel<Pair, ScaleRule::mae>>(t);
    case ScaleRule::abs_max:
      return engine<SelectKernel<Pair, ScaleRule::abs_max>>(t);
    default:
      return nullptr;
  }
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
