// SPDX-License-Identifier: MIT
// Engines of two candidates, by rule and block size. Compiled once per target.
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

template <typename Pair, std::size_t size>
const Engine* selecting_blocks(const TensorConstants& t) {
  switch (t.rule) {
    case ScaleRule::mse:
      return engine<SelectKernel<Pair, ScaleRule::mse, size>>(t);
    case ScaleRule::mae:
      return engine<SelectKernel<Pair, ScaleRule::mae, size>>(t);
    case ScaleRule::abs_max:
      return engine<SelectKernel<Pair, ScaleRule::abs_max, size>>(t);
    default:
      return nullptr;
  }
}

/// Candidates of which there are formats in blocks of eight too.
template <typename Pair>
const Engine* selecting(const TensorConstants& t) {
  return t.format->block_size == 8 ? selecting_blocks<Pair, 8>(t)
                                   : selecting_blocks<Pair, nv_size>(t);
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
