// SPDX-License-Identifier: MIT
// Engines for MX formats.
// This file is compiled once per instruction set, by including itself (hwy/foreach_target.h).
#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/vector/mx_engine.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "quantize/vector/engine-inl.hpp"
#include "quantize/vector/engines-inl.hpp"
#include "quantize/vector/static-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {
namespace {

template <bool keeps_zero_sign>
const Engine* of_floats(const TensorConstants& t) {
  const ElementFormat& e = *t.format->element;
  if (e == e2m1) {
    using Elements = E2m1Elements<keeps_zero_sign, true>;
    // With exact scales floor leaves elements up to 8, which saturate; the other rules none
    // above 6.
    const bool overflows = t.dialect->mx_scale == MxScale::exact && t.rule == ScaleRule::floor;
    if (overflows && t.dialect->element_overflow != ElementOverflow::saturate) return nullptr;
    return t.format->block_size == 16 ? engine<MxKernel<Elements, 16>>(t)
                                      : engine<MxKernel<Elements>>(t);
  }
  if (t.format->block_size != 32) return nullptr;
  if (e == e2m0) return engine<MxKernel<ByteElements<e2m0, keeps_zero_sign>>>(t);
  if (e == e2m3) return engine<MxKernel<ByteElements<e2m3, keeps_zero_sign>>>(t);
  if (e == e3m2) return engine<MxKernel<ByteElements<e3m2, keeps_zero_sign>>>(t);
  if (e == e4m3) return engine<MxKernel<ByteElements<e4m3, keeps_zero_sign>>>(t);
  if (e == e5m2) return engine<MxKernel<ByteElements<e5m2, keeps_zero_sign>>>(t);
  return nullptr;
}

}  // namespace

const Engine* mx_engine(const TensorConstants& t) {
  const ElementFormat& e = *t.format->element;
  if (!(t.format->block_size == 32 || (t.format->block_size == 16 && e == e2m1))) return nullptr;
  if (!(*t.format->scale == e8m0)) return nullptr;
  if (t.format->element_exponent != (e == int8 ? -6 : 0)) return nullptr;
  if (e == int8) return engine<MxKernel<SignedIntegers<int8, true>>>(t);
  if (e.is_integer()) return nullptr;
  return t.dialect->negative_zero == NegativeZero::kept ? of_floats<true>(t) : of_floats<false>(t);
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
