// SPDX-License-Identifier: MIT
// An engine from a kernel. Compiled once per target.
#if defined(LOWBIT_ENGINE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_ENGINE_INL
#undef LOWBIT_ENGINE_INL
#else
#define LOWBIT_ENGINE_INL
#endif

#include "quantize/vector/measure-inl.hpp"
#include "quantize/vector/top_magnitude-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

/// The scalar engine of the format, with what is faster here.
template <typename Kernel>
const Engine* engine(const TensorConstants& t) {
  static const Engine served = [&] {
    Engine e = scalar_engine(*t.format);
    e.name = hwy::TargetName(HWY_TARGET);
    e.reads_ahead = true;
    e.top_magnitude = top_bits;
    e.quantize = quantize_groups<Kernel>;
    e.measure = measure_groups<Kernel>;
    return e;
  }();
  return &served;
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
