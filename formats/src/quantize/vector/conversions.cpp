// SPDX-License-Identifier: MIT
// Values to and from binary32, and the largest of them.
// This file is compiled once per instruction set, by including itself (hwy/foreach_target.h).
#include "quantize/vector/vector_engine.hpp"

#include "quantize/vector/targets.hpp"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantize/vector/conversions.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "quantize/vector/expand-inl.hpp"
#include "quantize/vector/top_magnitude-inl.hpp"
#include "quantize/vector/widen-inl.hpp"

#if HWY_ONCE
namespace lowbit::detail {
namespace {
HWY_EXPORT(expand_bytes);
HWY_EXPORT(expand_codes);
HWY_EXPORT(top_bits);
HWY_EXPORT(widen_bf16);
HWY_EXPORT(widen_f16);
}  // namespace

std::uint32_t top_magnitude(const float* x, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(top_bits)(x, count);
}

void widen_f16(const std::byte* bytes, std::size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(widen_f16)(bytes, count, out);
}

void widen_bf16(const std::byte* bytes, std::size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(widen_bf16)(bytes, count, out);
}

bool can_expand(const BlockFormat& format) {
  if (format.has_levels()) return false;
  const int bits = format.element->bits;
  return format.block_size % 16 == 0 || (format.block_size == 8 && (bits == 3 || bits == 4));
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

}  // namespace lowbit::detail
#endif
