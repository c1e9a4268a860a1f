// SPDX-License-Identifier: MIT
// Sixteen elements of an NV or IF block from their magnitudes to their codes and scale byte, in the
// operations of the `canonical` dialect. Host-device.
#pragma once

#include "quantize/element.cuh"

namespace lowbit::gpu::detail {

/// What the tensor fixes for every block.
struct TensorScale {
  float amax;         ///< A, as stored
  float scaled_amax;  ///< A'
  float to_range;     ///< 2^-k in two factors (`in_range`); 1 unless A is out of range
  float to_range2;
  float encode_scale;         ///< S
  float decode_scale;         ///< fl(1 / S)
  float constant;             ///< C
  float constant_reciprocal;  ///< fl(1 / C)
  float largest;              ///< Q
  float largest_reciprocal;   ///< fl(1 / Q)
  Selection rule;
};

/// x' of an element x, or of a magnitude
LOWBIT_HD float in_range(const TensorScale& t, float x) {
  return x * t.to_range * t.to_range2;
}

LOWBIT_HD TensorScale make_tensor_scale(float amax, float largest, float constant, Selection rule) {
  TensorScale t;
  t.amax = amax;
  t.scaled_amax = amax;
  t.to_range = 1.0F;
  t.to_range2 = 1.0F;
  t.largest = largest;
  t.largest_reciprocal = 1.0F / largest;
  t.constant = constant;
  t.constant_reciprocal = 1.0F / constant;
  t.rule = rule;
  if (amax > 0 && (amax < 0x1p-32F || amax > 0x1p32F)) {
    const std::uint32_t bits = bits_of(amax);
    int k = static_cast<int>(bits >> 23) - 127;
    if (k == -127) {
      k = -118;  // a subnormal: its highest bit
      for (std::uint32_t b = bits; (b & 0x80000000U) == 0; b <<= 1) --k;
    }
    // 2^-k in two factors: up to 2^149 it is no binary32 number, and scaling up is exact.
    t.to_range = power_of_two(-k > 127 ? 127 : -k);
    t.to_range2 = power_of_two(-k > 127 ? -k - 127 : 0);
    t.scaled_amax = in_range(t, amax);
  }
  t.encode_scale = amax == 0 ? 0.0F : constant / t.scaled_amax;
  t.decode_scale = 1.0F / t.encode_scale;
  return t;
}

/// fl(x / c) as a product and a correction, reciprocal = fl(1 / c); equal to the division for every
/// significand of x and each Q and C in use (tests/gpu/test_gpu_block.cpp tries all of them).
/// Quotients that are subnormal may differ; those of Q give scale 0 all the same, and of C there
/// are none but 0.
LOWBIT_HD float divide_by_constant(float x, float c, float reciprocal) {
  const float q = x * reciprocal;
  const float rest = fused(-c, q, x);
  return fused(rest, reciprocal, q);
}

/// What a scale byte fixes: inv * 2^-t, and g * 2^t with g = fl(fl(s * A') / C), the value of one
/// unit, within two roundings of what the dialect multiplies and divides for each element.
struct ScaleEntry {
  float inverse;
  float unit;
};
template <class F>
LOWBIT_HD ScaleEntry make_scale_entry(const TensorScale& t, std::uint32_t byte) {
  const float s = e4m3_value(byte);
  ScaleEntry e;
  e.inverse = byte == 0 ? 0.0F : (1.0F / (t.decode_scale * s)) * F::F::scale;
  e.unit = s * t.scaled_amax / t.constant * (1.0F / F::F::scale);
  return e;
}

/// The error of a candidate over 16 elements in the dialect's own operations, element by element,
/// continued from e.
template <class F, bool kInteger>
LOWBIT_HD_RARE float exact_error(const float* x, const TensorScale& t, std::uint32_t byte,
                                 float e) {
  const ScaleEntry entry = make_scale_entry<F>(t, byte);
  const float s = e4m3_value(byte);
#ifdef __CUDA_ARCH__
#pragma unroll 1
#endif
  for (int i = 0; i < 16; ++i) {
    float y = x[i] * entry.inverse;
    float value;
    if constexpr (kInteger) {
      constexpr float magic = integer_magic<typename F::F>;
      y = smaller(y * Ratios<F>::shrink, F::I::max * F::F::scale);
      const float q = ((y + magic) - magic) * (1.0F / F::F::scale);
      value = q * s * t.scaled_amax * Ratios<F>::expand / t.constant;
    } else {
      y = smaller(y, F::F::max * F::F::scale);
      const float q = round_element<typename F::F>(y) * (1.0F / F::F::scale);
      value = q * s * t.scaled_amax / t.constant;
    }
    const float d = value - x[i];
    if (t.rule == Selection::mse) {
      const float square = d * d;
      e = e + square;
    } else {
      e = t.rule == Selection::mae ? e + std::fabs(d) : larger(e, std::fabs(d));
    }
  }
  return e;
}

/// One candidate: its error, and what its codes are packed from (q, or z for integers).
/// kExact: the dialect's own error, operation by operation. Otherwise an error that is close enough
/// to decide everything except near ties.
template <class F, bool kInteger, bool kClamp, Selection kRule, bool kExact>
LOWBIT_HD float evaluate(const float (&x)[16], const ScaleEntry& entry, const TensorScale& t,
                         std::uint32_t byte, float (&q)[16]) {
  using E = typename F::F;
  float error = 0.0F;
  const float s = kExact ? e4m3_value(byte) * (1.0F / E::scale) : 0.0F;
  LOWBIT_UNROLL
  for (int i = 0; i < 16; ++i) {
    float y = x[i] * entry.inverse;
    float value;
    if constexpr (kInteger) {
      constexpr float magic = integer_magic<E>;
      if constexpr (Ratios<F>::shrink != 1.0F) y = y * Ratios<F>::shrink;
      if constexpr (kClamp) y = smaller(y, F::I::max * E::scale);
      q[i] = y + magic;
      value = q[i] - magic;
    } else {
      if constexpr (kClamp) y = smaller(y, E::max * E::scale);
      // The conversion that packs the codes rounds these itself.
      constexpr bool converts =
          std::is_same_v<E, E4M3> || std::is_same_v<E, E5M2> ||
          (LOWBIT_HARDWARE_FP4 && kRule == Selection::none && !std::is_same_v<E, E2M0>);
      if constexpr (converts) {
        value = y;
      } else {
        value = round_element<E>(y);
      }
      q[i] = value;
    }
    if constexpr (kRule != Selection::none && kExact) {
      float v = value * s * t.scaled_amax;
      if constexpr (kInteger) v = v * Ratios<F>::expand;
      const float d = divide_by_constant(v, t.constant, t.constant_reciprocal) - x[i];
      if constexpr (kRule == Selection::mse) {
        const float square = d * d;
        error = error + square;
      } else {
        error = kRule == Selection::mae ? error + std::fabs(d) : larger(error, std::fabs(d));
      }
    } else if constexpr (kRule != Selection::none) {
      error = add_error<kRule>(error, fused(value, entry.unit, -x[i]), t.rule);
    }
  }
  return error;
}

/// The choice between two candidates: the first, unless the second's error is smaller (and neither
/// is NaN).
LOWBIT_HD bool second_is_nearer(float error, float error2) {
  return error2 < error;
}

/// Whether two errors are so close that the dialect's roundings could order them the other way.
///
/// docs/notes/gpu.md derives the margins ("The general kernels"). Errors that are not finite, or so
/// small that squares might have been subnormal, count as near.
template <int kElements>
LOWBIT_HD bool is_near_tie(Selection rule, float error1, float error2, float largest_value) {
  constexpr float n = kElements / 16;
  const float sum = error1 + error2;
  float margin;
  if (rule == Selection::mse) {
    margin =
        fused(sum, n > 1 ? 0x1p-14F : 0x1p-16F, largest_value * largest_value * (n * 0x1p-19F));
  } else if (rule == Selection::mae) {
    margin = fused(sum, n > 1 ? 0x1p-14F : 0x1p-18F, largest_value * (n * 0x1p-16F));
  } else {
    margin = largest_value * 0x1p-20F;
  }
  return !(std::fabs(error1 - error2) > margin) || !(sum > 0x1p-90F);
}

/// One lane's own block: nothing to combine.
struct Alone {
  static constexpr int elements = 16;
  LOWBIT_HD float sum(float x, Selection) const { return x; }
  template <class Step>
  LOWBIT_HD float chain(Step&& step) const {
    return step(0.0F);
  }
};

/// A block that the fast path leaves to the dialect's own operations, in memory.
template <class F>
struct ExactBlock {
  float x[16];
  Signs signs;
  std::uint32_t out[F::words];
};

/// The choice between the candidates, and the codes of the chosen one, clamped where they must be.
template <class F, class Group>
LOWBIT_HD_RARE bool choose_exactly(ExactBlock<F>& block, const TensorScale& t, std::uint32_t byte,
                                   std::uint32_t byte2, const Group& group) {
  const float error =
      group.chain([&](float e) { return exact_error<F, false>(block.x, t, byte, e); });
  const float error2 =
      group.chain([&](float e) { return exact_error<F, F::adaptive>(block.x, t, byte2, e); });
  const bool second = second_is_nearer(error, error2);
  float x[16];
  float q[16];
  for (int i = 0; i < 16; ++i) x[i] = block.x[i];
  byte = second ? byte2 : byte;
  const ScaleEntry entry = make_scale_entry<F>(t, byte);
  if constexpr (F::adaptive) {
    if (second) {
      evaluate<F, true, true, Selection::none, false>(x, entry, t, byte, q);
      pack_integer<typename F::I, F>(q, block.signs, block.out);
      return second;
    }
  }
  evaluate<F, false, true, Selection::none, false>(x, entry, t, byte, q);
  pack_float<typename F::F, F>(q, block.signs, block.out);
  return second;
}

/// 16 elements of an NV or IF block whose amax is b (of x'), to codes and the scale byte.
/// The general kernels use this function, with the selecting rule given at run time; the fast
/// kernels use fast::quantize. Group: how the lanes that share a 2D block combine. \return the
/// scale byte, integer flag included
template <class F, Selection kRule, class Group, class Table>
LOWBIT_HD std::uint32_t quantize_nv(const float (&x)[16], const Signs& signs, float b,
                                    const TensorScale& t, const Table& table, const Group& group,
                                    bool force_exact, std::uint32_t (&out)[F::words]) {
  constexpr bool integer_only = std::is_same_v<F, Nvint4>;
  constexpr bool selects = kRule != Selection::none;
  static_assert(!selects || kRule == Selection::at_run_time);
  const float h = divide_by_constant(b, t.largest, t.largest_reciprocal) * t.encode_scale;
  const std::uint32_t bytes = to_fp8x2<false>(h, F::four_over_six && selects ? h * 1.5F : 0.0F);
  const std::uint32_t byte = bytes & 0xFF;
  const ScaleEntry entry = table[byte];
  bool exact = force_exact;
  if constexpr (!F::clamps) exact = exact || !(b * entry.inverse < F::limit * F::F::scale);

  if constexpr (!selects) {
    float q[16];
    if (!exact) {
      evaluate<F, integer_only, F::clamps, kRule, false>(x, entry, t, byte, q);
    } else {
      evaluate<F, integer_only, true, kRule, false>(x, entry, t, byte, q);
    }
    if constexpr (integer_only) {
      pack_integer<typename F::I, F>(q, signs, out);
    } else {
      pack_float<typename F::F, F>(q, signs, out);
    }
    if (byte == 0) {
      for (int w = 0; w < F::words; ++w) out[w] = 0;
    }
    return byte;
  } else {
    constexpr bool adaptive = F::adaptive;
    const std::uint32_t byte2 = adaptive ? byte : bytes >> 8;
    const ScaleEntry entry2 =
        adaptive ? ScaleEntry{entry.inverse, entry.unit * Ratios<F>::expand} : table[byte2];
    // Candidate 4 maps b to 4, and from 5 on to 6.
    if constexpr (!adaptive) exact = exact || !(b * entry2.inverse < 4.9F * F::F::scale);

    std::uint32_t packed[packed_words<F>];
    std::uint32_t packed2[packed_words<F>];
    float error;
    float error2;
    {
      float q[16];
      error = evaluate<F, false, F::clamps, kRule, false>(x, entry, t, byte, q);
      convert<typename F::F, F>(q, packed);
      error2 = evaluate<F, adaptive, F::clamps, kRule, false>(x, entry2, t, byte2, q);
      if constexpr (adaptive) {
        pack_integer<typename F::I, F>(q, signs, out);
      } else {
        convert<typename F::F, F>(q, packed2);
      }
    }
    error = group.sum(error, t.rule);
    error2 = group.sum(error2, t.rule);
    bool second = second_is_nearer(error, error2);
    const float largest_value =
        adaptive ? F::F::max * F::F::scale * entry.unit
                 : larger(6.0F * F::F::scale * entry.unit, 4.0F * F::F::scale * entry2.unit);
    exact = exact || is_near_tie<Group::elements>(t.rule, error, error2, largest_value);
    if constexpr (adaptive) {
      std::uint32_t floats[F::words];
      merge<typename F::F, F>(packed, signs, floats);
      LOWBIT_UNROLL
      for (int w = 0; w < F::words; ++w) out[w] = second ? out[w] : floats[w];
    } else {
      LOWBIT_UNROLL
      for (int w = 0; w < packed_words<F>; ++w) packed[w] = second ? packed2[w] : packed[w];
      merge<typename F::F, F>(packed, signs, out);
    }
    if (exact && b != 0) {
      ExactBlock<F> block;
      for (int i = 0; i < 16; ++i) block.x[i] = x[i];
      block.signs = signs;
      second = choose_exactly(block, t, byte, byte2, group);
      for (int w = 0; w < F::words; ++w) out[w] = block.out[w];
    }
    const std::uint32_t chosen = second ? byte2 : byte;
    if (chosen == 0) {
      LOWBIT_UNROLL
      for (int w = 0; w < F::words; ++w) out[w] = 0;
    }
    return adaptive && second ? chosen | integer_flag : chosen;
  }
}

}  // namespace lowbit::gpu::detail
