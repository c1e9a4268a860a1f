// SPDX-License-Identifier: MIT
// The block of a rule that selects, decided without the dialect's own errors where that is certain. Host-device.
#pragma once

#include "quantize/block.cuh"

namespace lowbit::gpu::detail {

/// The fast path of the selecting rules: 1D blocks, decided where a cheap error decides for certain.
///
/// Errors are taken in units of the (float, or for NVFP4 the first) candidate's step 1: no element but y is
/// needed, and in the IF formats both candidates share y, so that no unit is needed either.
namespace fast {

/// Below this y (of the block's amax) the fast path applies: nothing has to be clamped, or where a format
/// clamps, its errors are bounded.
template <class F>
inline constexpr float limit = F::clamps ? (F::F::e5m2 ? 30.0F : 8.0F) : F::limit;

/// Errors that differ by no more than this (for NVFP4 in units of candidate 4's step 1) might be ordered otherwise
/// by the dialect's roundings; docs/gpu.md derives it. V: the largest value, D: the largest |d|, in steps of 1.
template <class F, Selection kRule>
LOWBIT_HD constexpr float margin() {
  constexpr double u = 0x1p-24;
  constexpr double v = F::F::max;
  constexpr double d = F::F::e5m2 ? 2.0 : (F::clamps ? 0.5 : 1.0);
  constexpr double scale = F::F::scale;
  // 2 candidates, and a quarter for what is of second order and for the margin's own rounding.
  if (kRule == Selection::mse) return static_cast<float>(2.5 * 16 * (16 * d * v + 54 * d * d) * u * scale * scale);
  if (kRule == Selection::mae) return static_cast<float>(2.5 * 16 * (8 * v + 45 * d) * u * scale);
  return static_cast<float>(2.5 * (8 * v + 10 * d) * u * scale);
}

/// What a scale byte fixes.
template <class F, Selection kRule>
struct Entry {
  float inverse;  ///< inv * 2^-t
};
/// NVFP4: what makes errors of the two candidates comparable; NaN for byte 0, whose blocks are never decided here.
template <Selection kRule>
struct Entry<Nvfp4, kRule> {
  float inverse;
  float weight;
};
/// The dialect's values of the largest code of either candidate, which all clamped elements get.
template <class F>
struct alignas(16) LargestEntry {
  float inverse;
  float largest_float;
  float largest_integer;
};
template <>
struct Entry<If6E2M3, Selection::abs_max> : LargestEntry<If6E2M3> {};
template <>
struct Entry<If6E3M2, Selection::abs_max> : LargestEntry<If6E3M2> {};

template <class F, Selection kRule>
inline constexpr bool compares_largest = F::clamps && kRule == Selection::abs_max;

template <class F, Selection kRule>
LOWBIT_HD Entry<F, kRule> make_entry(const TensorScale& t, std::uint32_t byte) {
  const ScaleEntry both = make_scale_entry<F>(t, byte);
  Entry<F, kRule> e;
  e.inverse = both.inverse;
  if constexpr (F::four_over_six) {
    e.weight = kRule == Selection::mse ? both.unit * both.unit : both.unit;
    if (byte == 0) e.weight = float_of(0x7FC00000U);
  }
  if constexpr (compares_largest<F, kRule>) {
    const float s = e4m3_value(byte);
    e.largest_float = F::F::max * s * t.scaled_amax / t.constant;
    e.largest_integer = F::I::max * s * t.scaled_amax * Ratios<F>::expand / t.constant;
  }
  return e;
}

/// The part of TensorScale that every block needs.
struct Tensor {
  float largest, largest_reciprocal, encode_scale;
};

/// \return byte | byte2 << 8
template <class F>
LOWBIT_HD std::uint32_t scale_bytes(const Tensor& t, float b) {
  const float h = divide_by_constant(b, t.largest, t.largest_reciprocal) * t.encode_scale;
  return to_fp8x2<false>(h, F::four_over_six ? h * 1.5F : 0.0F);
}

/// A candidate's error over 16 elements, unrolled.
template <Selection kRule>
struct Error {
  float all = 0.0F;
  float held[2];  // abs_max: three maxima for four elements

  LOWBIT_HD void add(int i, float d) {
    if constexpr (kRule != Selection::abs_max) {
      all = add_error<kRule>(all, d, kRule);
    } else {
      float& pair = held[i / 2 % 2];
      pair = i % 2 == 0 ? d : larger(std::fabs(pair), std::fabs(d));
      if (i % 4 == 3) all = largest_of(all, held[0], held[1]);
    }
  }
};

/// Float candidate: y to packed codes; its error.
template <class F, Selection kRule>
LOWBIT_HD float evaluate_float(const float (&y)[16], std::uint32_t (&packed)[packed_words<F>]) {
  using E = typename F::F;
  float q[16];
  Error<kRule> error;
LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) {
    const float clamped = F::clamps ? smaller(y[i], E::max * E::scale) : y[i];
    q[i] = round_element<E>(clamped);
    // abs_max: elements that are clamped are compared by themselves (quantize).
    error.add(i, q[i] - (compares_largest<F, kRule> ? clamped : y[i]));
  }
  convert<E, F>(q, packed);
  return error.all;
}

/// Integer candidate: z as pack_integer takes it; its error.
template <class F, Selection kRule>
LOWBIT_HD float evaluate_integer(const float (&y)[16], float (&z)[16]) {
  using E = typename F::F;
  constexpr float magic = integer_magic<E>;
  Error<kRule> error;
LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) {
    // The largest float value times R rounds to the largest integer, so this clamps either.
    const float clamped = F::clamps ? smaller(y[i], E::max * E::scale) : y[i];
    z[i] = clamped * Ratios<F>::shrink + magic;
    const float n = z[i] - magic;
    error.add(i, fused(n, Ratios<F>::expand, -(compares_largest<F, kRule> ? clamped : y[i])));
  }
  return error.all;
}

/// One block.
/// x: its elements (signs are ignored), b: their largest magnitude, table: an Entry a scale byte.
/// \return whether it was decided; else `out` and `byte` are not what they should be, or (elements all finite and none
/// to be clamped, errors too near) the first candidate's
template <class F, Selection kRule, class Table>
LOWBIT_HD bool quantize(const float (&x)[16], const Signs& signs, float b, const Tensor& t, const Table& table,
                        std::uint32_t (&out)[F::words], std::uint32_t& byte) {
  using E = typename F::F;
  const std::uint32_t bytes = scale_bytes<F>(t, b);
  const std::uint32_t first = bytes & 0xFF;
  const Entry<F, kRule> entry = table[first];
  const float top = b * entry.inverse;
  bool decided = top < limit<F> * E::scale;
  bool second;
  float y[16];
LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) y[i] = std::fabs(x[i]) * entry.inverse;
  std::uint32_t packed[packed_words<F>];
  if constexpr (F::four_over_six) {
    const float error = evaluate_float<F, kRule>(y, packed);
    const std::uint32_t other = bytes >> 8;
    const Entry<F, kRule> entry2 = table[other];
LOWBIT_UNROLL
    for (int i = 0; i < 16; ++i) y[i] = std::fabs(x[i]) * entry2.inverse;
    std::uint32_t packed2[packed_words<F>];
    const float error2 = evaluate_float<F, kRule>(y, packed2) * entry2.weight;
    const float difference = fused(error, entry.weight, -error2);
    const float near = margin<F, kRule>() * entry2.weight;
    decided = (decided && std::fabs(difference) > near) || bytes == 0;
    second = difference > near;  // a tie is the first's, and most of what is near is one
LOWBIT_UNROLL
    for (int w = 0; w < packed_words<F>; ++w) packed[w] = second ? packed2[w] : packed[w];
    merge<E, F>(packed, signs, out);
    byte = second ? other : first;
  } else {
    float z[16];
    const float error2 = evaluate_integer<F, kRule>(y, z);
    pack_integer<typename F::I, F>(z, signs, out);
    const float error = evaluate_float<F, kRule>(y, packed);
    float difference = error - error2;
    constexpr float near = margin<F, kRule>();
    bool certain = std::fabs(difference) > near;
    second = difference > 0.0F;
    if constexpr (compares_largest<F, kRule>) {
      // Elements clamped to the largest code err by b less its value, and b itself by most. Where that exceeds the
      // others' errors under both candidates, both errors are known exactly.
      const float excess = top - E::max * E::scale;
      const float worst = larger(error, excess);
      const float worst2 = larger(error2, excess);
      difference = worst - worst2;
      const bool clamped_decide = excess > larger(error, error2) + near;
      certain = std::fabs(difference) > near || clamped_decide;
      const float exact = std::fabs(entry.largest_float - b) - std::fabs(entry.largest_integer - b);
      second = (clamped_decide ? exact : difference) > 0.0F;
    }
    decided = (decided && certain) || first == 0;
    second = second && first != 0;
    std::uint32_t floats[F::words];
    merge<E, F>(packed, signs, floats);
LOWBIT_UNROLL
    for (int w = 0; w < F::words; ++w) out[w] = second ? out[w] : floats[w];
    byte = first;
  }
  if (byte == 0) {
LOWBIT_UNROLL
    for (int w = 0; w < F::words; ++w) out[w] = 0;
  }
  if (F::adaptive && second) byte |= 0x80;
  return decided;
}

/// Whether blocks that `quantize` leaves undecided are mostly exact ties (NVFP4 abs_max: 3 % of a normal tensor's blocks).
template <class F, Selection kRule>
inline constexpr bool ties = F::four_over_six && kRule == Selection::abs_max;

/// Whether an undecided block of such a rule is the first candidate's for certain, as `quantize` left it.
///
/// An element that code times scale makes the same number under both candidates (6 s and 4 (1.5 s) say; the product is
/// exact) errs by the same in the dialect, operation by operation. So the second candidate can only win by an element that
/// is no such one, and whose error under the first candidate exceeds all errors under the second.
template <class F, Selection kRule, class Table>
LOWBIT_HD bool is_first(const float (&x)[16], float b, const Tensor& t, const Table& table) {
  using E = typename F::F;
  const std::uint32_t bytes = scale_bytes<F>(t, b);
  const Entry<F, kRule> entry = table[bytes & 0xFF];
  const Entry<F, kRule> entry2 = table[bytes >> 8];
  const float s = e4m3_value(bytes & 0xFF);
  const float s2 = e4m3_value(bytes >> 8);
  Error<kRule> error;  // of the elements that differ
  Error<kRule> error2;
LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) {
    const float y = std::fabs(x[i]) * entry.inverse;
    const float y2 = std::fabs(x[i]) * entry2.inverse;
    const float q = round_element<E>(y);
    const float q2 = round_element<E>(y2);
    error.add(i, q * s == q2 * s2 ? 0.0F : q - y);
    error2.add(i, q2 - y2);
  }
  const float difference = fused(error.all, entry.weight, -(error2.all * entry2.weight));
  return b * entry.inverse < limit<F> * E::scale && difference < -(margin<F, kRule>() * entry2.weight);
}

/// The same block in the dialect's own operations, whatever it is. x: magnitudes.
template <class F, Selection kRule>
LOWBIT_HD std::uint32_t quantize_exactly(const float (&x)[16], const Signs& signs, float b, const TensorScale& t,
                                         std::uint32_t (&out)[F::words]) {
  using E = typename F::F;
  const std::uint32_t bytes = scale_bytes<F>({t.largest, t.largest_reciprocal, t.encode_scale}, b);
  std::uint32_t byte = bytes & 0xFF;
  const std::uint32_t byte2 = F::adaptive ? byte : bytes >> 8;
  ScaleEntry entry = make_scale_entry<F>(t, byte);
  const ScaleEntry entry2 = F::adaptive ? entry : make_scale_entry<F>(t, byte2);
  float q[16];
  const float error = evaluate<F, false, true, kRule, true>(x, entry, t, byte, q);
  const float error2 = evaluate<F, F::adaptive, true, kRule, true>(x, entry2, t, byte2, q);
  const bool second = error2 < error;
  if constexpr (F::adaptive) {
    pack_integer<typename F::I, F>(q, signs, out);
  } else {
    byte = second ? byte2 : byte;
    entry = second ? entry2 : entry;
  }
  if (!F::adaptive || !second) {
    evaluate<F, false, true, Selection::none, false>(x, entry, t, byte, q);
    pack_float<E, F>(q, signs, out);
  }
  if (byte == 0) {
    for (int w = 0; w < F::words; ++w) out[w] = 0;
  }
  return F::adaptive && second ? byte | 0x80 : byte;
}

}  // namespace fast

}  // namespace lowbit::gpu::detail
