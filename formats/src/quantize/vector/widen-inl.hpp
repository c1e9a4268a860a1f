// SPDX-License-Identifier: MIT
// F16 and BF16 to binary32. Compiled once per target.
#if defined(LOWBIT_WIDEN_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_WIDEN_INL
#undef LOWBIT_WIDEN_INL
#else
#define LOWBIT_WIDEN_INL
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "quantize/vector/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

/// The bits of a half number's value. The exponent is rebiased; subnormal numbers, whose leading
/// bit moves, go through an exact subtraction: 2^-14 + m * 2^-24 has m in its mantissa from bit 13
/// up. NaN keeps its payload, which the machine's own conversion would not.
HWY_INLINE VU from_half(VU half) {
  const VU magnitude = hn::ShiftLeft<13>(hn::And(half, set_bits(0x7FFF)));
  const VU sign = hn::ShiftLeft<16>(hn::And(half, set_bits(0x8000)));
  const VU normal = hn::Add(magnitude, set_bits(112U << 23));
  const VU small =
      bits_of(hn::Sub(float_of(hn::Add(magnitude, set_bits(113U << 23))), set(0x1p-14F)));
  // An exponent field of 31 becomes 255.
  const VU special = hn::Add(normal, set_bits(112U << 23));
  const DI di;
  const auto signed_magnitude = hn::BitCast(di, magnitude);
  const auto is_small = hn::Lt(signed_magnitude, hn::Set(di, 0x0400 << 13));
  const auto is_special = hn::Gt(signed_magnitude, hn::Set(di, (0x7C00 << 13) - 1));
  VU value = hn::IfThenElse(hn::RebindMask(DU(), is_small), small, normal);
  value = hn::IfThenElse(hn::RebindMask(DU(), is_special), special, value);
  return hn::Or(value, sign);
}
HWY_INLINE VU from_bfloat(VU half) {
  return hn::ShiftLeft<16>(half);
}

/// \param bytes  2 * count of them, little-endian, at any address
template <typename Convert>
HWY_INLINE void widen(const std::byte* HWY_RESTRICT bytes, std::size_t count,
                      float* HWY_RESTRICT out, Convert convert) {
  const DF d;
  const hn::Rebind<std::uint16_t, DU> halves;
  std::size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  for (; i + lanes <= count; i += lanes) {
    const auto narrow = hn::LoadU(halves, reinterpret_cast<const std::uint16_t*>(bytes + 2 * i));
    hn::StoreU(float_of(convert(hn::PromoteTo(DU(), narrow))), d, out + i);
  }
#endif
  for (; i < count; i += lanes) {
    const std::size_t n = count - i < lanes ? count - i : lanes;
    HWY_ALIGN std::uint16_t narrow[lanes] = {};
    HWY_ALIGN float wide[lanes];
    std::memcpy(narrow, bytes + 2 * i, n * sizeof(std::uint16_t));
    hn::Store(float_of(convert(hn::PromoteTo(DU(), hn::Load(halves, narrow)))), d, wide);
    std::memcpy(out + i, wide, n * sizeof(float));
  }
}

inline void widen_f16(const std::byte* bytes, std::size_t count, float* out) {
  widen(bytes, count, out, [](VU half) LOWBIT_INLINE_LAMBDA { return from_half(half); });
}
inline void widen_bf16(const std::byte* bytes, std::size_t count, float* out) {
  widen(bytes, count, out, [](VU half) LOWBIT_INLINE_LAMBDA { return from_bfloat(half); });
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
