// SPDX-License-Identifier: MIT
// Sixteen elements of an MX block: the scale byte by each rule, and the codes. Host-device.
#pragma once

#include "quantize/block.cuh"

namespace lowbit::gpu::detail {

enum class MxRule : int { floor = 0, rceil = 1, ceil = 2, even = 3, rceil_4 = 4 };

/// The E8M0 byte of a block with amax b, 0 for b = 0.
template <class F>
LOWBIT_HD std::uint32_t mx_scale_byte(float b, MxRule rule) {
  using E = typename F::F;
  const std::uint32_t bits = bits_of(b);
  if (bits == 0) return 0;
  int exponent = static_cast<int>(bits >> 23) - 127;
  std::uint32_t significand = (bits & 0x7FFFFFU) | 0x800000U;
  if (exponent == -127) {
    exponent = -126;
    significand = bits;
    while (significand < 0x800000U) {
      significand <<= 1;
      --exponent;
    }
  }
  int e = exponent - E::max_exponent;
  if (rule == MxRule::ceil) e += significand != 0x800000U;
  if (rule == MxRule::rceil) e += significand > (E::max_significand << (23 - E::mantissa_bits));
  if (rule == MxRule::rceil_4) e += significand > 0x800000U;  // MXFP4: 4 = 2^emax
  if (rule == MxRule::even) {
    e = static_cast<int>((bits + (1U << (22 - E::mantissa_bits))) >> 23) - 127 - E::max_exponent;
  }
  e = e < -127 ? -127 : (e > 127 ? 127 : e);
  return static_cast<std::uint32_t>(e + 127);
}

/// 16 elements of an MX block with that scale byte.
template <class F>
LOWBIT_HD void quantize_mx(const float (&x)[16], const Signs& signs, std::uint32_t byte,
                           std::uint32_t (&out)[F::words]) {
  const float multiplier = power_of_two(127 - static_cast<int>(byte)) * F::F::scale;
  float q[16];
  evaluate<F, false, true, Selection::none, false>(x, {multiplier, 0.0F}, TensorScale{}, 0, q);
  pack_float<typename F::F, F>(q, signs, out);
}

}  // namespace lowbit::gpu::detail
