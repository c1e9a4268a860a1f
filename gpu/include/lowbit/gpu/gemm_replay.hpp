// SPDX-License-Identifier: MIT
/// \file
/// The arithmetic of the GEMM kernels' schedules, one output at a time, integers only: what a
/// kernel's word must be. Host-device: a campaign runs it with a thread per output, and compares it
/// with the library's instruction model on a subset.
#pragma once

#include "lowbit/gpu/gemm_layout.hpp"

namespace lowbit::gpu {

/// The aligned truncating dot product of Hopper's FP16 instructions and, for campaigns, its
/// mutants.
struct ReplayRule {
  int terms = 16;            ///< products of one step
  int fraction_bits = 25;    ///< kept below the largest exponent
  bool nearest = false;      ///< final rounding to nearest even instead of toward zero
  bool fma_chain = false;    ///< a fused multiply-add a product: no tensor core does this
  bool swap_scales = false;  ///< each pair of neighbouring blocks of B exchange scale bytes
  bool reverse_order =
      false;  ///< k descending (wgmma) or partial sums added from the last (decode)
};

namespace detail {

/// S * 2^q to FP32 toward zero or to nearest even; S != 0, no overflow in these schedules.
LOWBIT_HD std::uint32_t pack_f32(std::int64_t s, int q, bool nearest) {
  const std::uint32_t sign = s < 0 ? 0x80000000U : 0;
  std::uint64_t m = static_cast<std::uint64_t>(s < 0 ? -s : s);
  int top = 63;
  while ((m >> top & 1) == 0) --top;
  int unit = top + q - 23;
  if (unit < -149) unit = -149;
  const int shift = unit - q;
  std::uint64_t kept = 0;
  if (shift <= 0) {
    kept = m << -shift;
  } else if (shift < 64) {
    kept = m >> shift;
    if (nearest) {
      const std::uint64_t rest = m & ((std::uint64_t{1} << shift) - 1);
      const std::uint64_t half = std::uint64_t{1} << (shift - 1);
      if (rest > half || (rest == half && (kept & 1) != 0)) ++kept;
    }
  }
  return sign | static_cast<std::uint32_t>(kept + (static_cast<std::uint64_t>(unit + 149) << 23));
}

/// One step on FP16 words (finite or NaN) and an FP32 word.
LOWBIT_HD std::uint32_t fdpa_f16(const std::uint32_t* a, const std::uint32_t* b, int terms,
                                 std::uint32_t c, int fraction_bits, bool nearest) {
  constexpr int zero_exponent = -133;
  constexpr int mantissa = f16.mantissa_bits;
  constexpr int top_field = (1 << f16.exponent_bits) - 1;  // infinity and NaN
  constexpr std::uint32_t magnitude_mask = f16.magnitude_mask();
  constexpr std::uint32_t f16_sign = f16.sign_mask();
  constexpr std::uint32_t hidden = 1U << mantissa;
  constexpr int biases = 2 * f16.bias;
  const int c_field = static_cast<int>(c >> 23 & 0xFF);
  const std::uint32_t c_sig = (c & 0x7FFFFF) | (c_field != 0 ? 0x800000U : 0U);
  if (c_field == 0xFF) return 0x7FFFFFFF;
  const int c_exponent = c_sig == 0 ? zero_exponent : (c_field != 0 ? c_field : 1) - 127;
  int largest = c_exponent;
  bool nan = false;
  for (int i = 0; i < terms; ++i) {
    const int fa = static_cast<int>(a[i] >> mantissa & top_field);
    const int fb = static_cast<int>(b[i] >> mantissa & top_field);
    nan = nan || fa == top_field || fb == top_field;
    const bool zero = (a[i] & magnitude_mask) == 0 || (b[i] & magnitude_mask) == 0;
    const int e = zero ? zero_exponent : (fa != 0 ? fa : 1) + (fb != 0 ? fb : 1) - biases;
    largest = e > largest ? e : largest;
  }
  if (nan) return 0x7FFFFFFF;
  const int q = largest - fraction_bits;
  // Sign-magnitude truncation of significand * 2^(exponent - bits) to a multiple of 2^q.
  const auto aligned = [q](std::uint64_t significand, int exponent, bool negative) {
    const int shift = exponent - q;
    std::uint64_t v = 0;
    if (shift >= 0) {
      v = significand << shift;
    } else if (shift > -64) {
      v = significand >> -shift;
    }
    return negative ? -static_cast<std::int64_t>(v) : static_cast<std::int64_t>(v);
  };
  std::int64_t sum = c_sig == 0 ? 0 : aligned(c_sig, c_exponent - 23, (c >> 31) != 0);
  for (int i = 0; i < terms; ++i) {
    const int fa = static_cast<int>(a[i] >> mantissa & top_field);
    const int fb = static_cast<int>(b[i] >> mantissa & top_field);
    const std::uint32_t sa = (a[i] & (hidden - 1)) | (fa != 0 ? hidden : 0U);
    const std::uint32_t sb = (b[i] & (hidden - 1)) | (fb != 0 ? hidden : 0U);
    if (sa == 0 || sb == 0) continue;
    const int e = (fa != 0 ? fa : 1) + (fb != 0 ? fb : 1) - biases;
    sum += aligned(static_cast<std::uint64_t>(sa) * sb, e - 2 * mantissa,
                   ((a[i] ^ b[i]) & f16_sign) != 0);
  }
  return sum == 0 ? 0 : pack_f32(sum, q, nearest);
}

}  // namespace detail
}  // namespace lowbit::gpu
