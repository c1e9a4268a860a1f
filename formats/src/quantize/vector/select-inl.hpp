// SPDX-License-Identifier: MIT
// Kernels with two candidates per block: NVFP4 with 6 or 4, IF4 with float or integer elements.
// Compiled once per target.
#if defined(LOWBIT_SELECT_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_SELECT_INL
#undef LOWBIT_SELECT_INL
#else
#define LOWBIT_SELECT_INL
#endif

#include <bit>

#include "quantize/error_sum.hpp"
#include "quantize/vector/static-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

/// The candidates are compared by the difference of their errors, computed in units of the first
/// one's elements (g = s A / C) and summed as a tree. A dialect computes each error by its own
/// chain of operations and in its own order. Where the difference is larger than the bound below,
/// every such order gives the same sign; the other blocks are done again, one operation after
/// another.
///
/// With u = 2^-24, Y the largest |y| of a served block, and e and f the largest errors of an
/// element of the first and second candidate:
/// - a dialect's value of an element passes at most 7 roundings, y at most 6, and the subtraction
///   one on either side: the two differences are within D = 16 u Y of each other;
/// - n squares: n * 2 * (e + f) * D, and n D^2 for each candidate; the dialect's squares and sums,
///   n roundings of at most n (e^2 + f^2), and this kernel's as many of as much as there are
///   vectors of a block to add, and 11 more;
/// - n magnitudes: 2 n D, and as many roundings of at most n (e + f);
/// - the largest magnitudes: 2 * D, and 2 roundings.
constexpr float undecided_below(ScaleRule rule, std::size_t elements, float y, float e, float f) {
  constexpr float u = 0x1p-24F;
  const float distance = 16 * u * y;
  const auto n = static_cast<float>(elements);
  const float roundings = n + n / static_cast<float>(lanes) + 11;
  switch (rule) {
    case ScaleRule::mse:
      return 2 * n * ((e + f) * distance + distance * distance) +
             roundings * n * u * (e * e + f * f);
    case ScaleRule::mae:
      return 2 * n * distance + roundings * n * u * (e + f);
    default:
      return 2 * distance + 2 * u * (e + f);
  }
}

/// The largest error of an element whose |y| is at most 17/16 of the largest one: half of the
/// widest gap, or what lies above.
template <const ElementFormat& Format>
constexpr float largest_error() {
  const float largest = value_table<Format>[Format.max_code()];
  const float gap = largest - value_table<Format>[Format.max_code() - 1];
  return gap / 2 > largest / 16 ? gap / 2 : largest / 16;
}

/// Both scale bytes of a block of NVFP4, and what the second candidate's errors are multiplied by.
template <const ElementFormat& Scale>
struct FourOverSix {
  using Scales = HWY_NAMESPACE::Scales<Scale>;
  static constexpr BlockChoice first = BlockChoice::six;
  static constexpr BlockChoice second = BlockChoice::four;
  static constexpr const ElementFormat& format = e2m1;
  static constexpr std::uint32_t second_mask = 7;  ///< of the second candidate's code without sign
  static constexpr bool second_is_signed = false;
  static constexpr bool second_has_negative_zero = true;
  static constexpr bool may_exceed = false;
  /// Half a gap from 3 to 4, in a scale that is at most 1.5 * 17/15 larger than the first one.
  static constexpr float second_error = 0.85F;

  explicit FourOverSix(const TensorConstants& t) : ratio(t.second_ratio), decode(t.decode_scale) {}

  struct Prepared {
    VF inverse;  ///< of the second scale
    VF weight;   ///< s4 / s6
    VF scale;
    VU byte;
    hn::Mask<DF> served;
  };
  HWY_INLINE Prepared prepare(VF h, const Scales& s) const {
    const VF h4 = hn::Mul(h, set(ratio));
    const Scales s4(h4);
    return {hn::Div(set(1.0F), hn::Mul(set(decode), s4.scale)), hn::Div(s4.scale, s.scale),
            s4.scale, s4.code, Scales::serves(h4)};
  }
  HWY_INLINE auto rounded(VF magnitude) const { return FloatRounding<e2m1>(magnitude); }
  static HWY_INLINE VU code(VU word) { return FloatRounding<e2m1>::code(word); }
  /// The second candidate of a magnitude: its word, as that of rounded(), and the error.
  struct Element {
    VU word;
    VF error;
  };
  static HWY_INLINE Element element(VF x, VF /*y*/, VF inverse) {
    const VF y = hn::Mul(x, inverse);
    const FloatRounding<e2m1> r(y);
    return {r.word(), hn::Sub(r.value(), y)};
  }
  static HWY_INLINE VF value(VF x, VF /*y*/, VF inverse) {
    return FloatRounding<e2m1>(hn::Mul(x, inverse)).value();
  }
  static HWY_INLINE VF expanded(VF v) { return v; }
  float ratio;
  float decode;
};

/// Float or integer elements in the same scale.
template <const ElementFormat& Float, const ElementFormat& Integer>
struct FloatOrInteger {
  using Scales = HWY_NAMESPACE::Scales<e4m3>;
  static constexpr BlockChoice first = BlockChoice::floating;
  static constexpr BlockChoice second = BlockChoice::integer;
  static constexpr const ElementFormat& format = Float;
  static constexpr bool second_is_signed = Integer.coding == Coding::twos_complement;
  static constexpr std::uint32_t second_mask =
      second_is_signed ? Integer.code_mask() : Integer.magnitude_mask();
  static constexpr bool second_has_negative_zero = second_is_signed;
  static constexpr float largest_integer = static_cast<float>(Integer.max_code());
  /// Of IF4 the unit is 6/7; it is the largest float over the largest integer.
  static constexpr float second_error =
      largest_error<Integer>() / largest_integer * value_table<Float>[Float.max_code()];
  /// Of 7 17/16 is below 7.5, and of 3; of 31 it is not.
  static constexpr bool clamps = largest_integer / 16 >= 0.5F;
  static constexpr bool is_e2m0 = Float == e2m0;
  static constexpr int m = Float.mantissa_bits;
  static constexpr float largest = value_table<Float>[Float.max_code()];
  static constexpr float half_gap = (largest - value_table<Float>[Float.max_code() - 1]) / 2;
  /// Of E2M3 the largest |y|, 17/16 of the largest element, may have a larger error than any that
  /// is rounded to an element has, and with both candidates the same one: what is above the range.
  /// No |y| of the range has a larger error with the second candidate than `largest_rounded`.
  static constexpr bool may_exceed = largest / 16 > half_gap;
  static constexpr float largest_rounded = largest / largest_integer / 2;

  /// 2^23, and what makes code() of fl(k + aligner) the integer k. Of E2M0 it is the word itself;
  /// others add word >> (23 - m), which is 150 << m where the sum's bits from there on are 0:
  /// what is missing to a multiple of 2^bits is added. Where k may be negative, 2^20 keeps the sum
  /// above 2^23: with m of 1 or less those bits are still 0. All are even, so ties go to even k.
  static constexpr int missing =
      is_e2m0 ? 0 : static_cast<int>((0U - (150U << m)) & Integer.code_mask());
  static_assert(missing % 2 == 0 && (m <= 1 || !second_is_signed));
  static constexpr float aligner =
      static_cast<float>((1 << 23) + (second_is_signed ? 1 << 20 : 0) + missing);

  explicit FloatOrInteger(const TensorConstants& t)
      : shrink(t.integer_shrink), expand(t.integer_expand), flag(t.format->integer_flag()) {
    // The number below 1.5.
    constexpr float below = 1.5F - 0x1p-23F;
    to_two = t.dialect->e2m0_ties == E2m0Ties::down ? 1.5F : below;
  }

  struct Prepared {
    VF inverse;
    VF weight;
    VF scale;
    VU byte;
    hn::Mask<DF> served;
  };
  HWY_INLINE Prepared prepare(VF h, const Scales& s) const {
    return {set(shrink), set(expand), s.scale, hn::Or(s.code, set_bits(flag)), Scales::serves(h)};
  }
  HWY_INLINE auto rounded(VF magnitude) const {
    if constexpr (is_e2m0) {
      return E2m0Rounding(magnitude, to_two);
    } else {
      return FloatRounding<Float>(magnitude);
    }
  }
  static HWY_INLINE VU code(VU word) {
    if constexpr (is_e2m0) {
      return word;
    } else {
      return FloatRounding<Float>::code(word);
    }
  }
  struct Element {
    VU word;
    VF error;
  };
  static HWY_INLINE VF rounded_integer(VF scaled) {
    if constexpr (clamps) scaled = hn::Min(scaled, set(largest_integer));
    return hn::Add(scaled, set(aligner));
  }
  static HWY_INLINE Element element(VF /*x*/, VF y, VF shrink_factor) {
    const VF scaled = hn::Mul(y, shrink_factor);
    const VF r = rounded_integer(scaled);
    return {bits_of(r), hn::Sub(hn::Sub(r, set(aligner)), scaled)};
  }
  static HWY_INLINE VF value(VF /*x*/, VF y, VF shrink_factor) {
    return hn::Sub(rounded_integer(hn::Mul(y, shrink_factor)), set(aligner));
  }
  HWY_INLINE VF expanded(VF v) const { return hn::Mul(v, set(expand)); }
  float shrink;
  float expand;
  float to_two;
  std::uint32_t flag;
};

template <typename Pair, ScaleRule rule, std::size_t block_elements = nv_size>
class SelectKernel {
 public:
  static constexpr std::size_t size = block_elements;
  using Square = std::conditional_t<size == nv_size, SelectKernel<Pair, rule, size * size>, void>;
  static constexpr bool is_packed = Pair::format.bits == 4;
  static constexpr std::size_t block_bytes = is_packed ? size / 2 : size;
  static constexpr BlockChoice first = Pair::first;
  static constexpr BlockChoice second = Pair::second;
  static constexpr bool decides_by_top = rule == ScaleRule::abs_max && Pair::may_exceed;

  explicit SelectKernel(const TensorConstants& t)
      : t_(t),
        largest_(t.largest_element),
        encode_(t.encode_scale),
        decode_(t.decode_scale),
        drops_zero_sign_(t.dialect->negative_zero == NegativeZero::dropped),
        clears_empty_(clears_empty_blocks(*t.dialect)),
        pair_(t) {}

  /// Index 0: of the first candidate, 1: of the second.
  struct Prepared {
    HWY_ALIGN float inverse[2][group_blocks];
    HWY_ALIGN float scale[2][group_blocks];
    HWY_ALIGN float weight[group_blocks];
    HWY_ALIGN float top[decides_by_top ? group_blocks : lanes];
    HWY_ALIGN std::uint32_t byte[2][group_blocks];
    std::uint32_t zero;
    std::uint32_t served;
  };

  HWY_INLINE bool prepare(const float* HWY_RESTRICT x, std::uint8_t* /*scales*/,
                          Prepared& out) const {
    const DF d;
    const DU du;
    HWY_ALIGN float amax[group_blocks];
    const bool may_be_nonfinite = block_maxima<size>(x, amax);
    out.zero = 0;
    out.served = 0;
    HWY_UNROLL(1)
    for (std::size_t k = 0; k < group_blocks; k += lanes) {
      const VF b = hn::Load(d, amax + k);
      const VF h = hn::Mul(hn::Div(b, set(largest_)), set(encode_));
      const typename Pair::Scales s(h);
      const auto empty = hn::Eq(b, hn::Zero(d));
      const auto empty_bits = hn::RebindMask(du, empty);
      const VF inv = hn::Div(set(1.0F), hn::Mul(set(decode_), s.scale));
      const auto other = pair_.prepare(h, s);
      hn::Store(hn::IfThenZeroElse(empty, inv), d, out.inverse[0] + k);
      hn::Store(hn::IfThenZeroElse(empty, other.inverse), d, out.inverse[1] + k);
      if constexpr (decides_by_top) hn::Store(b, d, out.top + k);
      hn::Store(s.scale, d, out.scale[0] + k);
      hn::Store(other.scale, d, out.scale[1] + k);
      hn::Store(rule == ScaleRule::mse ? hn::Mul(other.weight, other.weight) : other.weight, d,
                out.weight + k);
      hn::Store(hn::IfThenZeroElse(empty_bits, s.code), du, out.byte[0] + k);
      hn::Store(hn::IfThenZeroElse(empty_bits, other.byte), du, out.byte[1] + k);
      out.zero |= mask_bits(empty) << k;
      out.served |= mask_bits(hn::And(s.serves(h), other.served)) << k;
    }
    return may_be_nonfinite;
  }

  HWY_INLINE GroupResult encode(const float* HWY_RESTRICT x, const Prepared& prepared,
                                std::uint8_t* HWY_RESTRICT codes,
                                std::uint8_t* HWY_RESTRICT scales) const {
    const DF d;
    const DU du;
    constexpr std::size_t elements = group_blocks * size;
    HWY_ALIGN std::uint32_t words[2][elements];
    // The errors' difference, of a block as many numbers as it has in a vector.
    HWY_ALIGN float difference[group_blocks * row_lanes<size>];
    HWY_ALIGN float
        second_error[rule == ScaleRule::abs_max ? group_blocks * row_lanes<size> : lanes];
    HWY_UNROLL(4)
    for (std::size_t k = 0; k < group_blocks; k += together) {
      const VF inv = of_blocks<size>(prepared.inverse[0], k * size);
      const VF inv2 = of_blocks<size>(prepared.inverse[1], k * size);
      const VF w = of_blocks<size>(prepared.weight, k * size);
      VF sum = hn::Zero(d), sum2 = hn::Zero(d);
      for (std::size_t i = 0; i < size; i += lanes) {
        const std::size_t at = k * size + i;
        const VF value = hn::LoadU(d, x + at);
        VF y, magnitude, source;
        if constexpr (Pair::second_is_signed) {
          y = hn::Mul(value, inv);
          magnitude = hn::Abs(y);
          source = value;
        } else {
          source = hn::Abs(value);
          y = hn::Mul(source, inv);
          magnitude = y;
        }
        const auto r = pair_.rounded(magnitude);
        VF error;
        if constexpr (decides_by_top) {
          static_assert(FloatRounding<Pair::format>::clamps);
          // 0 above the range: what is there is the largest element, or has a smaller error.
          error = hn::Sub(r.value(), r.magnitude);
        } else {
          error = hn::Sub(r.value(), magnitude);
        }
        const auto other = Pair::element(source, y, inv2);
        hn::Store(r.word(), du, words[0] + at);
        hn::Store(other.word, du, words[1] + at);
        if constexpr (rule == ScaleRule::mse) {
          const VF square = hn::Mul(other.error, other.error);
          const VF part = hn::MulSub(square, w, hn::Mul(error, error));
          sum = lanes >= size ? part : hn::Add(sum, part);
        } else if constexpr (rule == ScaleRule::mae) {
          const VF part = hn::MulSub(hn::Abs(other.error), w, hn::Abs(error));
          sum = lanes >= size ? part : hn::Add(sum, part);
        } else {
          sum = hn::Max(sum, hn::Abs(error));
          sum2 = hn::Max(sum2, hn::Abs(other.error));
        }
      }
      hn::Store(sum, d, difference + k * row_lanes<size>);
      if constexpr (rule == ScaleRule::abs_max) {
        hn::Store(sum2, d, second_error + k * row_lanes<size>);
      }
    }
    HWY_ALIGN float total[group_blocks];
    HWY_ALIGN float total2[group_blocks];
    if constexpr (rule == ScaleRule::abs_max) {
      reduce_stored_rows<size>(d, Larger(), difference, total);
      reduce_stored_rows<size>(d, Larger(), second_error, total2);
    } else {
      reduce_stored_rows<size>(d, Sum(), difference, total);
    }

    std::uint32_t chosen = 0, undecided = 0;
    HWY_UNROLL(1)
    for (std::size_t k = 0; k < group_blocks; k += lanes) {
      VF less = hn::Load(d, total + k);
      if constexpr (decides_by_top) less = hn::Max(less, exceeding(prepared, k));
      if constexpr (rule == ScaleRule::abs_max) {
        less = hn::MulSub(hn::Load(d, total2 + k), hn::Load(d, prepared.weight + k), less);
      }
      const auto is_second = hn::Lt(less, hn::Zero(d));
      chosen |= mask_bits(is_second) << k;
      undecided |= mask_bits(hn::Not(hn::Gt(hn::Abs(less), set(bound)))) << k;
    }
    chosen &= ~prepared.zero;
    const std::uint32_t served = prepared.served & ~prepared.zero;
    undecided &= served;
    std::uint32_t redo = ~(prepared.served | prepared.zero) & 0xFFFFU;
    if (HWY_UNLIKELY(undecided != 0)) {
      if constexpr (decides_by_top) {
        if (repeats_dialect()) decide_by_top(prepared, total, chosen, undecided);
      }
      if (!repeats_dialect()) redo |= undecided;
      for (; undecided != 0; undecided &= undecided - 1) {
        const auto k = static_cast<std::size_t>(std::countr_zero(undecided));
        chosen &= ~(1U << k);
        chosen |= std::uint32_t{second_is_better(x, prepared, k)} << k;
      }
    }
    HWY_UNROLL(1)
    for (std::size_t k = 0; k < group_blocks; k += lanes) {
      const auto pick = mask_of(chosen >> k);
      store_bytes(hn::IfThenElse(pick, hn::Load(du, prepared.byte[1] + k),
                                 hn::Load(du, prepared.byte[0] + k)),
                  scales + k);
    }

    const auto vector = [&](std::size_t i) LOWBIT_INLINE_LAMBDA {
      return chosen_codes(x, prepared, chosen, words[0], words[1], i * lanes);
    };
    if constexpr (is_packed) {
      store_nibbles<size>(vector, prepared.zero, codes);
    } else {
      store_codes<size>(vector, prepared.zero, codes);
    }
    if (!clears_empty_) redo |= prepared.zero;
    return {redo, chosen};
  }

 private:
  static constexpr float largest_y = value_table<Pair::format>[Pair::format.max_code()] * 17 / 16;
  static constexpr float bound =
      undecided_below(rule, size, largest_y, largest_error<Pair::format>(), Pair::second_error);
  /// Blocks in a vector, or 1.
  static constexpr std::size_t together = size < lanes ? lanes / size : 1;

  /// The codes of elements `at` and on. \param chosen  bit k: of block k the second candidate
  HWY_INLINE VU chosen_codes(const float* HWY_RESTRICT x, const Prepared& prepared,
                             std::uint32_t chosen, const std::uint32_t* HWY_RESTRICT first_words,
                             const std::uint32_t* HWY_RESTRICT second_words, std::size_t at) const {
    const DU du;
    constexpr int bits = Pair::format.bits;
    constexpr std::uint32_t masks[2] = {Pair::format.magnitude_mask(), Pair::second_mask};
    const std::size_t k = at / size;
    VF value = hn::LoadU(DF(), x + at);
    if constexpr (together == 1) {
      const std::uint32_t which = chosen >> k & 1;
      const VU code = Pair::code(hn::Load(du, (which != 0 ? second_words : first_words) + at));
      if (drops_zero_sign_) {
        value = sign_source<false>(value, hn::Mul(value, set(prepared.inverse[which][k])));
      }
      const VU with = with_sign<bits>(code, value, set_bits(masks[which]));
      if constexpr (Pair::second_has_negative_zero) {
        return with;
      } else {
        return which != 0 ? without_negative_zero<bits>(with) : with;
      }
    } else {
      static_assert(together == 2);
      constexpr std::uint32_t halves[4] = {0, 0x00FF, 0xFF00, 0xFFFF};
      const auto pick = mask_of(halves[chosen >> k & 3]);
      const VU code = Pair::code(
          hn::IfThenElse(pick, hn::Load(du, second_words + at), hn::Load(du, first_words + at)));
      if (drops_zero_sign_) {
        const VF inverse =
            hn::IfThenElse(hn::RebindMask(DF(), pick), of_blocks<size>(prepared.inverse[1], at),
                           of_blocks<size>(prepared.inverse[0], at));
        value = sign_source<false>(value, hn::Mul(value, inverse));
      }
      const VU with = with_sign<bits>(code, value,
                                      hn::IfThenElse(pick, set_bits(masks[1]), set_bits(masks[0])));
      if constexpr (Pair::second_has_negative_zero) {
        return with;
      } else {
        return hn::IfThenElse(pick, without_negative_zero<bits>(with), with);
      }
    }
  }

  /// What the largest |y| of a block is above the range; negative where it is not.
  HWY_INLINE VF exceeding(const Prepared& prepared, std::size_t k) const {
    const DF d;
    const VF y = hn::Mul(hn::Load(d, prepared.top + k), hn::Load(d, prepared.inverse[0] + k));
    return hn::Sub(y, set(Pair::largest));
  }

  /// Blocks whose largest element has the largest error of both candidates: the dialect's own
  /// operations for this element alone, of all blocks side by side. Its error is larger than others
  /// by far more than the D of undecided_below(), which each of them may be off.
  /// \param rounded  the largest error, with the first candidate, of what is in the range
  HWY_INLINE void decide_by_top(const Prepared& prepared, const float* HWY_RESTRICT rounded,
                                std::uint32_t& chosen, std::uint32_t& undecided) const {
    const DF d;
    std::uint32_t decided = 0, is_second = 0;
    HWY_UNROLL(1)
    for (std::size_t k = 0; k < group_blocks; k += lanes) {
      const VF top = hn::Load(d, prepared.top + k);
      const VF value = scaled(set(Pair::largest), hn::Load(d, prepared.scale[0] + k));
      const VF value2 =
          pair_.expanded(scaled(set(Pair::largest_integer), hn::Load(d, prepared.scale[1] + k)));
      const VF rest = hn::Max(hn::Load(d, rounded + k), set(Pair::largest_rounded));
      decided |= mask_bits(hn::Gt(exceeding(prepared, k), hn::Add(rest, set(0x1p-12F)))) << k;
      is_second |= mask_bits(hn::Lt(error(value2, top), error(value, top))) << k;
    }
    decided &= undecided;
    undecided &= ~decided;
    chosen = (chosen & ~decided) | (is_second & decided);
  }

  /// Whether the dialect's own operations, one after another, give the second candidate the smaller
  /// error. All of them round magnitudes as they round numbers with a sign.
  HWY_INLINE bool second_is_better(const float* HWY_RESTRICT x, const Prepared& prepared,
                                   std::size_t k) const {
    const DF d;
    // A vector may have another block too, before this one or after it.
    const std::size_t first_block = k / together * together;
    const std::size_t mine = (k - first_block) * size;
    constexpr bool takes_maximum = rule == ScaleRule::abs_max && together == 1;
    HWY_ALIGN float e[2][takes_maximum ? lanes : together * size];
    VF top = hn::Zero(d), top2 = hn::Zero(d);
    for (std::size_t i = 0; i < together * size; i += lanes) {
      const std::size_t at = first_block * size + i;
      const VF magnitude = hn::Abs(hn::LoadU(d, x + at));
      const VF y = hn::Mul(magnitude, of_blocks<size>(prepared.inverse[0], at));
      const VF q = pair_.rounded(y).value();
      const VF q2 = Pair::value(magnitude, y, of_blocks<size>(prepared.inverse[1], at));
      const VF value = scaled(q, of_blocks<size>(prepared.scale[0], at));
      const VF value2 = pair_.expanded(scaled(q2, of_blocks<size>(prepared.scale[1], at)));
      if constexpr (takes_maximum) {
        top = hn::Max(top, error(value, magnitude));
        top2 = hn::Max(top2, error(value2, magnitude));
      } else {
        hn::Store(error(value, magnitude), d, e[0] + i);
        hn::Store(error(value2, magnitude), d, e[1] + i);
      }
    }
    if constexpr (takes_maximum) {
      return hn::GetLane(hn::MaxOfLanes(d, top2)) < hn::GetLane(hn::MaxOfLanes(d, top));
    } else {
      return total(e[1] + mine) < total(e[0] + mine);
    }
  }
  HWY_INLINE VF scaled(VF q, VF scale) const {
    return hn::Mul(hn::Mul(q, scale), set(t_.scaled_amax));
  }
  HWY_INLINE VF error(VF value, VF magnitude) const {
    VF difference;
    if (!t_.multiplies_reciprocal) {
      difference = hn::Sub(hn::Div(value, set(t_.error_constant)), magnitude);
    } else if (t_.dialect->error_fusion == ErrorFusion::difference) {
      difference = hn::MulSub(value, set(t_.error_reciprocal), magnitude);
    } else {
      difference = hn::Sub(hn::Mul(value, set(t_.error_reciprocal)), magnitude);
    }
    return rule == ScaleRule::mse ? hn::Mul(difference, difference) : hn::Abs(difference);
  }
  [[nodiscard]] float total(const float* e) const {
    constexpr int count = static_cast<int>(size);
    if constexpr (rule == ScaleRule::abs_max) return *std::max_element(e, e + count);
    return ordered_sum(t_.dialect->error_order, t_.input_type, e, count, t_.format->block_size);
  }
  /// Whether error() does the operations that the dialect does.
  [[nodiscard]] bool repeats_dialect() const {
    const Dialect& d = *t_.dialect;
    if (d.error_value != ErrorValue::amax_over_constant) return false;
    if (d.error_fusion == ErrorFusion::square) return false;
    return HWY_NATIVE_FMA != 0 || !t_.multiplies_reciprocal ||
           d.error_fusion != ErrorFusion::difference;
  }

  const TensorConstants& t_;
  float largest_;
  float encode_;
  float decode_;
  bool drops_zero_sign_;
  bool clears_empty_;
  Pair pair_;
};

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
