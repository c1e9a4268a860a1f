// SPDX-License-Identifier: MIT
// The largest magnitude of a row. Compiled once per target.
#if defined(LOWBIT_TOP_MAGNITUDE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_TOP_MAGNITUDE_INL
#undef LOWBIT_TOP_MAGNITUDE_INL
#else
#define LOWBIT_TOP_MAGNITUDE_INL
#endif

#include <algorithm>
#include <bit>

#include "quantize/vector/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

/// Bits without their sign are in the order of the magnitudes, NaN and infinities above the others.
inline std::uint32_t top_bits(const float* HWY_RESTRICT x, std::size_t count) {
  const DU d;
  const DI di;
  constexpr std::size_t step = 4 * lanes;
  const auto* const bits = reinterpret_cast<const std::uint32_t*>(x);
  const auto magnitude = [&](std::size_t i) LOWBIT_INLINE_LAMBDA {
    return hn::BitCast(di, hn::And(hn::LoadU(d, bits + i), set_bits(0x7FFFFFFFU)));
  };
  auto a = hn::Zero(di), b = a, c = a, e = a;
  std::size_t i = 0;
  for (; i + step <= count; i += step) {
    a = hn::Max(a, magnitude(i));
    b = hn::Max(b, magnitude(i + lanes));
    c = hn::Max(c, magnitude(i + 2 * lanes));
    e = hn::Max(e, magnitude(i + 3 * lanes));
  }
  HWY_ALIGN std::int32_t best[lanes];
  hn::Store(hn::Max(hn::Max(a, b), hn::Max(c, e)), di, best);
  std::int32_t top = 0;
  for (const std::int32_t v : best) top = std::max(top, v);
  for (; i < count; ++i) top = std::max(top, std::bit_cast<std::int32_t>(x[i]) & 0x7FFFFFFF);
  return static_cast<std::uint32_t>(top);
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
