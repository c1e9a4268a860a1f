// SPDX-License-Identifier: MIT
// This file is compiled once per instruction set, by including itself (hwy/foreach_target.h).
#include "quantize/vector/vector_engine.hpp"

#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/vector/vector_engine.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "quantize/vector/expand-inl.hpp"
#include "quantize/vector/measure-inl.hpp"
#include "quantize/vector/select-inl.hpp"
#include "quantize/vector/served_dialects.hpp"
#include "quantize/vector/static-inl.hpp"
#include "quantize/vector/top_magnitude-inl.hpp"
#include "quantize/vector/widen-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {
namespace {

/// The scalar engine of the format, with what is faster here.
template <typename Kernel>
const Engine* engine(const TensorConstants& t) {
  static const Engine served = [&] {
    Engine e = scalar_engine(*t.format);
    e.name = hwy::TargetName(HWY_TARGET);
    e.top_magnitude = top_bits;
    e.quantize = quantize_groups<Kernel>;
    e.measure = measure_groups<Kernel>;
    return e;
  }();
  return &served;
}

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

template <bool keeps, const ElementFormat& Scale>
const Engine* nv_fp4(const TensorConstants& t) {
  if (t.selects) return selecting<FourOverSix<Scale>>(t);
  return engine<StaticKernel<Scale, E2m1Elements<keeps, false>>>(t);
}

template <bool keeps>
const Engine* fp4(const TensorConstants& t) {
  if (t.format->family() == ScaleFamily::mx) {
    // With exact scales floor leaves elements up to 8, which saturate; the other rules none
    // above 6.
    const bool overflows = t.dialect->mx_scale == MxScale::exact && t.rule == ScaleRule::floor;
    if (overflows && t.dialect->element_overflow != ElementOverflow::saturate) return nullptr;
    return t.format->block_size == 16 ? engine<MxKernel<E2m1Elements<keeps, true>, 16>>(t)
                                      : engine<MxKernel<E2m1Elements<keeps, true>>>(t);
  }
  return t.scale_is_e4m3 ? nv_fp4<keeps, e4m3>(t) : nv_fp4<keeps, ue5m3>(t);
}

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

template <const ElementFormat& Format>
const Engine* byte_codes(const TensorConstants& t) {
  const bool keeps = t.dialect->negative_zero == NegativeZero::kept;
  if (t.format->family() == ScaleFamily::mx) {
    return keeps ? engine<MxKernel<ByteElements<Format, true>>>(t)
                 : engine<MxKernel<ByteElements<Format, false>>>(t);
  }
  return keeps ? engine<StaticKernel<e4m3, ByteElements<Format, true>>>(t)
               : engine<StaticKernel<e4m3, ByteElements<Format, false>>>(t);
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

const Engine* by_elements(const TensorConstants& t) {
  const BlockFormat& format = *t.format;
  const ElementFormat& e = *format.element;
  if (deviates(t)) return nullptr;
  if (format.is_adaptive()) {
    const ElementFormat& i = *format.integer;
    if (e == e2m0 && i == int3) return selecting<FloatOrInteger<e2m0, int3>>(t);
    if (e == e2m1 && i == int4) return selecting<FloatOrInteger<e2m1, int4>>(t);
    if (e == e2m3 && i == int6) return selecting<FloatOrInteger<e2m3, int6>>(t);
    if (e == e3m2 && i == int6) return selecting<FloatOrInteger<e3m2, int6>>(t);
    return nullptr;
  }
  if (e == e2m1) {
    return t.dialect->negative_zero == NegativeZero::kept ? fp4<true>(t) : fp4<false>(t);
  }
  if (t.selects) return nullptr;
  if (e == e2m0) return byte_codes<e2m0>(t);
  if (e == e2m3) return byte_codes<e2m3>(t);
  if (e == e3m2) return byte_codes<e3m2>(t);
  if (e == e4m3) return byte_codes<e4m3>(t);
  if (e == e5m2) return byte_codes<e5m2>(t);
  if (format.family() == ScaleFamily::mx) {
    if (!(e == int8)) return nullptr;
    return engine<MxKernel<SignedIntegers<int8, true>>>(t);
  }
  if (e == int3) return engine<StaticKernel<e4m3, SignedIntegers<int3, false>>>(t);
  if (e == int4) return engine<StaticKernel<e4m3, SignedIntegers<int4, false>>>(t);
  if (e == int6) return engine<StaticKernel<e4m3, MagnitudeIntegers<int6>>>(t);
  return nullptr;
}

/// A dialect is served by the values of its axes (served_dialects.hpp).
const Engine* find_engine(const TensorConstants& t) {
  const BlockFormat& format = *t.format;
  if (t.rounding != ElementRounding::nearest || !is_served(t.rule)) return nullptr;
  if (!serves_dialect(*t.dialect)) return nullptr;
  if (format.family() == ScaleFamily::mx) {
    const int unit_exponent = *format.element == int8 ? -6 : 0;
    const bool has_kernel =
        format.block_size == 32 || (format.block_size == 16 && *format.element == e2m1);
    if (!has_kernel || !(*format.scale == e8m0) || format.element_exponent != unit_exponent) {
      return nullptr;
    }
  } else {
    const bool is_ue5m3 = *format.scale == ue5m3 && *format.element == e2m1;
    if (format.block_size != 16 || !(t.scale_is_e4m3 || is_ue5m3)) return nullptr;
    // Beyond, intermediate results may leave the range of normal numbers. The least normal UE5M3
    // scale is 2^-16 of the least normal E4M3 scale, relative to the largest one.
    const float least = is_ue5m3 ? 0x1p-16F : 0x1p-32F;
    if (!(t.scaled_amax >= least && t.scaled_amax <= 0x1p32F)) return nullptr;
  }
  return by_elements(t);
}

}  // namespace
}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lowbit::detail {
namespace {
HWY_EXPORT(find_engine);
HWY_EXPORT(expand_bytes);
HWY_EXPORT(expand_codes);
HWY_EXPORT(top_bits);
HWY_EXPORT(widen_bf16);
HWY_EXPORT(widen_f16);
}  // namespace

const Engine* vector_engine(const TensorConstants& constants) {
  return HWY_DYNAMIC_DISPATCH(find_engine)(constants);
}

std::uint32_t top_magnitude(const float* x, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(top_bits)(x, count);
}

void widen_f16(const std::byte* bytes, std::size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(widen_f16)(bytes, count, out);
}

void widen_bf16(const std::byte* bytes, std::size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(widen_bf16)(bytes, count, out);
}

void expand(const BlockFormat& format, const std::uint8_t* codes, const std::uint8_t* scales,
            std::size_t blocks, ValueTable& values, float* out) {
  const auto size = static_cast<std::size_t>(format.block_size);
  if (format.storage_bits() == 4) {
    HWY_DYNAMIC_DISPATCH(expand_codes)(codes, scales, blocks, size, values, out);
  } else {
    HWY_DYNAMIC_DISPATCH(expand_bytes)
    (codes, scales, blocks, size, *format.element, values, out);
  }
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
#endif
