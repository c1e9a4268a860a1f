// SPDX-License-Identifier: MIT
// Engines for NV blocks with one candidate.
// This file is compiled once per instruction set, by including itself (hwy/foreach_target.h).
#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/vector/static_engine.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "quantize/vector/engine-inl.hpp"
#include "quantize/vector/engines-inl.hpp"
#include "quantize/vector/static-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {
namespace {

/// Elements of which there are formats in blocks of eight too.
template <typename Elements>
const Engine* deciding(const TensorConstants& t) {
  return t.format->block_size == 8 ? engine<StaticKernel<e4m3, Elements, 8>>(t)
                                   : engine<StaticKernel<e4m3, Elements>>(t);
}

template <bool keeps_zero_sign>
const Engine* of_floats(const TensorConstants& t) {
  const ElementFormat& e = *t.format->element;
  if (!t.scale_is_e4m3) {
    return engine<StaticKernel<ue5m3, E2m1Elements<keeps_zero_sign, false>>>(t);
  }
  if (e == e2m1) return deciding<E2m1Elements<keeps_zero_sign, false>>(t);
  if (e == e2m0) return deciding<ByteElements<e2m0, keeps_zero_sign>>(t);
  if (t.format->block_size != nv_size) return nullptr;
  if (e == e2m3) return engine<StaticKernel<e4m3, ByteElements<e2m3, keeps_zero_sign>>>(t);
  if (e == e3m2) return engine<StaticKernel<e4m3, ByteElements<e3m2, keeps_zero_sign>>>(t);
  return nullptr;
}

}  // namespace

const Engine* static_engine(const TensorConstants& t) {
  const ElementFormat& e = *t.format->element;
  if (!e.is_integer()) {
    return t.dialect->negative_zero == NegativeZero::kept ? of_floats<true>(t)
                                                          : of_floats<false>(t);
  }
  if (e == int3) return deciding<SignedIntegers<int3, false>>(t);
  if (e == int4) return deciding<SignedIntegers<int4, false>>(t);
  if (e == int6 && t.format->block_size == nv_size) {
    return engine<StaticKernel<e4m3, MagnitudeIntegers<int6>>>(t);
  }
  return nullptr;
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
