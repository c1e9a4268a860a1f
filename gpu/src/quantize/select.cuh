// SPDX-License-Identifier: MIT
// The block of a rule that selects, decided without the dialect's own errors where that is certain.
// Host-device.
#pragma once

#include "quantize/block.cuh"

namespace lowbit::gpu::detail {

/// The fast path of the selecting rules: 1D blocks, decided where a cheap error decides for
/// certain.
///
/// Errors are counted in steps of 1 of the float candidate (NVFP4: of the first candidate). Only y
/// is needed for that, not x. In the IF formats both candidates share y, so errors compare without
/// a unit.
namespace fast {

/// Where the y of the block's amax is below this, the fast path applies: no element has to be
/// clamped, or the errors of clamped elements are bounded.
template <class F>
inline constexpr float limit = F::clamps ? (F::F::packs_as_e5m2 ? 30.0F : 8.0F) : F::limit;

/// Where two errors differ by no more than this (NVFP4: in steps of 1 of the second candidate), the
/// dialect's roundings might order them the other way; docs/notes/gpu.md derives the margin. V: the
/// largest value, D: the largest |d|, in steps of 1.
template <class F, Selection kRule>
LOWBIT_HD constexpr float margin() {
  constexpr double u = 0x1p-24;
  constexpr double v = F::F::max;
  constexpr double d = F::F::packs_as_e5m2 ? 2.0 : (F::clamps ? 0.5 : 1.0);
  constexpr double scale = F::F::scale;
  // Two candidates, and a quarter for terms of second order and for the margin's own rounding.
  if (kRule == Selection::mse)
    return static_cast<float>(2.5 * 16 * (16 * d * v + 54 * d * d) * u * scale * scale);
  if (kRule == Selection::mae) return static_cast<float>(2.5 * 16 * (8 * v + 45 * d) * u * scale);
  // Each candidate's own margin and a quarter; `quantize` multiplies by s2 / s. Adding 1 to 2^-6
  // rounds off 64 u.
  if (F::four_over_six) return static_cast<float>(1.25 * (19 * v + 14 * d + 64) * u * scale);
  return static_cast<float>(2.5 * (8 * v + 10 * d) * u * scale);
}

/// What a scale byte fixes.
template <class F, Selection kRule>
struct Entry {
  float inverse;  ///< inv * 2^-t
};
/// NVFP4, weight: makes the errors of the two candidates comparable. Under abs_max: the weight
/// times the other entry's `inverse` is the ratio of the scales.
template <Selection kRule>
struct Entry<Nvfp4, kRule> {
  float inverse;
  float weight;
};
/// The dialect's value of the largest code of each candidate: the value of every clamped element.
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
inline constexpr bool compares_largest = F::clamps&& kRule == Selection::abs_max;

/// The power of two of x' = range x. It goes into S and `inverse`, so that the fast path can take x
/// unchanged; scaling by a power of two commutes with every operation here. NaN where S or
/// `inverse` might leave the normal numbers: then no block is decided.
LOWBIT_HD float range(const TensorScale& t) {
  const float r = t.to_range * t.to_range2;
  return r >= 0x1p-90F && r <= 0x1p90F ? r : float_of(0x7FC00000U);
}

/// Byte 0 of NVFP4 has a NaN, so that a block with one candidate of scale 0 is not decided.
template <class F, Selection kRule>
LOWBIT_HD Entry<F, kRule> make_entry(const TensorScale& t, std::uint32_t byte) {
  const ScaleEntry both = make_scale_entry<F>(t, byte);
  const float r = range(t);
  Entry<F, kRule> e;
  e.inverse = F::four_over_six && byte == 0 ? float_of(0x7FC00000U) : both.inverse * r;
  if constexpr (F::four_over_six && kRule == Selection::abs_max) {
    e.weight = e4m3_value(byte) * t.decode_scale * (1.0F / F::F::scale) / r;
  } else if constexpr (F::four_over_six) {
    e.weight = kRule == Selection::mse ? both.unit * both.unit : both.unit;
  }
  if constexpr (compares_largest<F, kRule>) {
    const float s = e4m3_value(byte);
    e.largest_float = F::F::max * s * t.scaled_amax / t.constant / r;
    e.largest_integer = F::I::max * s * t.scaled_amax * Ratios<F>::expand / t.constant / r;
  }
  return e;
}

/// The part of TensorScale that every block needs.
struct Tensor {
  float largest, largest_reciprocal;
  float encode_scale;  ///< S, or where x has not been brought into range (`make_tensor`) S times
                       ///< `range`
};
LOWBIT_HD Tensor make_tensor(const TensorScale& t) {
  return {t.largest, t.largest_reciprocal, t.encode_scale * range(t)};
}

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
    // abs_max: `quantize` compares clamped elements separately.
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
    // The largest float value times R rounds to the largest integer, so one clamp serves both
    // candidates.
    const float clamped = F::clamps ? smaller(y[i], E::max * E::scale) : y[i];
    z[i] = clamped * Ratios<F>::shrink + magic;
    const float n = z[i] - magic;
    error.add(i, fused(n, Ratios<F>::expand, -(compares_largest<F, kRule> ? clamped : y[i])));
  }
  return error.all;
}

/// NVFP4 under abs_max: the codes and errors of both candidates. The first candidate's error is
/// taken only over the elements whose value (code times scale) differs between the candidates; 6 s
/// and 4 (1.5 s), for example, are the same value. The error is below 0 if no element differs.
///
/// An element with the same value under both candidates has the same error in the dialect,
/// operation by operation. The second candidate therefore wins only if some element that differs
/// has a larger error under the first candidate than every element has under the second. Without
/// this, most near ties would be exact ties: 3 % of the blocks of a normal tensor. Errors are in
/// steps of the first candidate. ratio: s2 / s, within 4 u. The two values differ by 0, computed
/// within 26 u, or by at least 1 / 30 (s and s2 >= s are up to fifteen times a power of two, the
/// second no finer). A step is 2^-6 here, so 2^16 times the difference saturates to nearly 0 or
/// to 1. That number is added to the error, which is at most 2^-6, and so decides which errors the
/// maximum sees.
template <class F, class Entry>
LOWBIT_HD float evaluate_differing(const float (&x)[16], const Entry& entry, const Entry& entry2,
                                   float ratio, std::uint32_t (&packed)[packed_words<F>],
                                   std::uint32_t (&packed2)[packed_words<F>], float& error2) {
  using E = typename F::F;
  float q[16];
  float q2[16];
  float worst = 0.0F;
  float held = 0.0F;
  Error<Selection::abs_max> all2;
  LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) {
    const float m = std::fabs(x[i]);
    const float y = m * entry.inverse;
    q[i] = round_element<E>(y);
    q2[i] = round_element<E>(m * entry2.inverse);
    const float d = q[i] - y;
    const float d2 = fused(q2[i], ratio, -y);
    const float marked = std::fabs(d) + saturated(std::fabs(d - d2) * 0x1p16F);
    worst = i % 2 == 0 ? worst : largest_of(worst, held, marked);
    held = marked;
    all2.add(i, d2);
  }
  convert<E, F>(q, packed);
  convert<E, F>(q2, packed2);
  error2 = all2.all;
  return worst - 1.0F;
}

/// One block.
/// x: its elements (signs are ignored), b: their largest magnitude, table: an Entry a scale byte.
/// \return whether the block was decided; if not, `out` and `byte` are not valid
template <class F, Selection kRule, class Table>
LOWBIT_HD bool quantize(const float (&x)[16], const Signs& signs, float b, const Tensor& t,
                        const Table& table, std::uint32_t (&out)[F::words], std::uint32_t& byte) {
  using E = typename F::F;
  const std::uint32_t bytes = scale_bytes<F>(t, b);
  const std::uint32_t first = bytes & 0xFF;
  const Entry<F, kRule> entry = table[first];
  const float top = b * entry.inverse;
  bool decided = top < limit<F> * E::scale;
  bool second;
  std::uint32_t packed[packed_words<F>];
  if constexpr (F::four_over_six) {
    const std::uint32_t other = bytes >> 8;
    const Entry<F, kRule> entry2 = table[other];
    std::uint32_t packed2[packed_words<F>];
    float difference;
    float near;
    if constexpr (kRule == Selection::abs_max) {
      float error2;
      const float ratio = entry2.weight * entry.inverse;
      const float error = evaluate_differing<F>(x, entry, entry2, ratio, packed, packed2, error2);
      difference = error - error2;
      near = margin<F, kRule>() * ratio;
    } else {
      float y[16];
      LOWBIT_UNROLL
      for (int i = 0; i < 16; ++i) y[i] = std::fabs(x[i]) * entry.inverse;
      const float error = evaluate_float<F, kRule>(y, packed);
      LOWBIT_UNROLL
      for (int i = 0; i < 16; ++i) y[i] = std::fabs(x[i]) * entry2.inverse;
      const float error2 = evaluate_float<F, kRule>(y, packed2) * entry2.weight;
      difference = fused(error, entry.weight, -error2);
      near = margin<F, kRule>() * entry2.weight;
    }
    decided = (decided && std::fabs(difference) > near) || bytes == 0;
    second = difference > near;
    LOWBIT_UNROLL
    for (int w = 0; w < packed_words<F>; ++w) packed[w] = second ? packed2[w] : packed[w];
    merge<E, F>(packed, signs, out);
    byte = second ? other : first;
  } else {
    float y[16];
    LOWBIT_UNROLL
    for (int i = 0; i < 16; ++i) y[i] = std::fabs(x[i]) * entry.inverse;
    float z[16];
    const float error2 = evaluate_integer<F, kRule>(y, z);
    pack_integer<typename F::I, F>(z, signs, out);
    const float error = evaluate_float<F, kRule>(y, packed);
    float difference = error - error2;
    constexpr float near = margin<F, kRule>();
    bool certain = std::fabs(difference) > near;
    second = difference > 0.0F;
    if constexpr (compares_largest<F, kRule>) {
      // An element clamped to the largest code has an error of its magnitude less that code's
      // value; b has the largest. Where that error exceeds all others under both candidates, both
      // errors are known exactly.
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
  if (F::adaptive && second) byte |= integer_flag;
  return decided;
}

/// The codes of one candidate of any block, in the dialect's own operations. x: magnitudes of x'.
/// \return the candidate's error
template <class F, Selection kRule, bool kInteger>
LOWBIT_HD float candidate_exactly(const float (&x)[16], const Signs& signs, const TensorScale& t,
                                  std::uint32_t byte, std::uint32_t (&out)[F::words]) {
  float q[16];
  const float error =
      evaluate<F, kInteger, true, kRule, true>(x, make_scale_entry<F>(t, byte), t, byte, q);
  if constexpr (kInteger) {
    pack_integer<typename F::I, F>(q, signs, out);
  } else {
    pack_float<typename F::F, F>(q, signs, out);
  }
  if (byte == 0) {
    LOWBIT_UNROLL
    for (int w = 0; w < F::words; ++w) out[w] = 0;
  }
  return error;
}

/// \return byte | byte2 << 8, those of the two candidates
template <class F>
LOWBIT_HD std::uint32_t scale_bytes(const TensorScale& t, float b) {
  return scale_bytes<F>(Tensor{t.largest, t.largest_reciprocal, t.encode_scale}, b);
}

/// Both candidates in the dialect's own operations, and the choice between them.
/// \return the scale byte, integer flag included
template <class F, Selection kRule>
LOWBIT_HD std::uint32_t quantize_exactly(const float (&x)[16], const Signs& signs, float b,
                                         const TensorScale& t, std::uint32_t (&out)[F::words]) {
  const std::uint32_t bytes = scale_bytes<F>(t, b);
  const std::uint32_t byte = bytes & 0xFF;
  const std::uint32_t byte2 = F::adaptive ? byte : bytes >> 8;
  std::uint32_t out2[F::words];
  const float error = candidate_exactly<F, kRule, false>(x, signs, t, byte, out);
  const float error2 = candidate_exactly<F, kRule, F::adaptive>(x, signs, t, byte2, out2);
  if (!second_is_nearer(error, error2)) return byte;
  LOWBIT_UNROLL
  for (int w = 0; w < F::words; ++w) out[w] = out2[w];
  return F::adaptive ? byte | integer_flag : byte2;
}

}  // namespace fast

}  // namespace lowbit::gpu::detail
