// SPDX-License-Identifier: MIT
// Kernels whose scale is decided by the block's amax alone. Compiled once per target.
#if defined(LOWBIT_STATIC_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_STATIC_INL
#undef LOWBIT_STATIC_INL
#else
#define LOWBIT_STATIC_INL
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "quantize/vector/dialect_scales.hpp"
#include "quantize/vector/elements-inl.hpp"
#include "quantize/vector/groups-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

/// Scales from h, where they are normal and do not saturate.
template <const ElementFormat& Format>
struct Scales {
  static_assert(Format.mantissa_bits == 3 && Format.specials == Specials::nan_all_ones);
  VF scale;
  VU code;
  HWY_INLINE explicit Scales(VF h) {
    // The mantissa rounded to three bits, to nearest even; a carry into the exponent comes out
    // right.
    const VU bits = bits_of(h);
    const VU odd = hn::And(hn::ShiftRight<20>(bits), set_bits(1));
    const VU rounded = hn::Add(hn::Add(bits, set_bits(0x7FFFFU)), odd);
    const VU kept = hn::ShiftRight<20>(rounded);
    scale = float_of(hn::ShiftLeft<20>(kept));
    code = hn::Sub(kept, set_bits((127 - Format.bias) << 3));
  }
  /// From the smallest normal scale to where the largest one ends (E4M3: 464): a scale is then
  /// within 1/16 of h, and an element of the block at most 17/16 of what its largest is mapped
  /// to: 6.375 rounds to 6 in E2M1, and 7 * 17/16 < 7.5 to 7 in INT4.
  static HWY_INLINE auto serves(VF h) {
    constexpr float end =
        largest_finite(Format) + power_of_two(Format.max_exponent() - Format.mantissa_bits - 1);
    return hn::And(hn::Ge(h, set(power_of_two(Format.min_exponent()))), hn::Lt(h, set(end)));
  }
};

/// Codes that take a byte each. \param vector  vector(i): the codes of elements i * lanes and on
/// \param zero  bit k: block k of sixteen has the codes 0
template <std::size_t size, typename Vectors>
HWY_INLINE void store_codes(Vectors vector, std::uint32_t zero, std::uint8_t* HWY_RESTRICT codes) {
  for (std::size_t i = 0; i < group_blocks * size / lanes; ++i) {
    store_bytes(vector(i), codes + i * lanes);
  }
  for (; zero != 0; zero &= zero - 1) {
    std::fill_n(codes + static_cast<std::size_t>(std::countr_zero(zero)) * size, size,
                std::uint8_t{0});
  }
}

/// Codes of four bits. \param vector  vector(i): the codes of elements i * lanes and on
/// \param zero  bit k: block k of sixteen has the codes 0
template <std::size_t size, typename Vectors>
HWY_INLINE void store_nibbles(Vectors vector, std::uint32_t zero,
                              std::uint8_t* HWY_RESTRICT codes) {
  // Of the 128 elements that are packed at a time, so many are of one block, or of one byte mask.
  constexpr std::size_t unit = size < 16 ? size : 16;
  for (std::size_t part = 0; part < group_blocks * size / 128; ++part) {
    std::uint32_t kept = 0;
    if constexpr (size <= 16) {
      kept = ~zero >> (128 / unit * part);
    } else {
      for (std::size_t g = 0; g < 8; ++g) {
        kept |= (~zero >> ((128 * part + 16 * g) / size) & 1) << g;
      }
    }
    pack_nibbles<unit / 2>([&](std::size_t i)
                               LOWBIT_INLINE_LAMBDA { return vector(part * (128 / lanes) + i); },
                           kept, codes + part * 64);
  }
}

/// Of square blocks of a format whose rows have `size` elements: the same kernel, with all rows of
/// a block one after another.
template <template <typename, std::size_t> typename Kernel, typename Elements, std::size_t size>
using SquareOf = std::conditional_t<size <= 32, Kernel<Elements, size * size>, void>;

/// NV formats with one candidate.
template <const ElementFormat& Scale, typename Elements, std::size_t block_elements = nv_size>
class StaticKernel {
  template <typename E, std::size_t n>
  using Sized = StaticKernel<Scale, E, n>;

 public:
  static constexpr std::size_t size = block_elements;
  using Square = SquareOf<Sized, Elements, size>;
  static constexpr std::size_t block_bytes = Elements::is_packed ? size / 2 : size;
  static constexpr BlockChoice first = BlockChoice::only;
  static constexpr BlockChoice second = BlockChoice::only;

  explicit StaticKernel(const TensorConstants& t)
      : t_(t),
        has_chain_(has_vector_chain(t)),
        clears_empty_(clears_empty_blocks(*t.dialect)),
        largest_(t.largest_element),
        encode_(t.encode_scale),
        decode_(t.decode_scale) {}

  struct Prepared {
    HWY_ALIGN float inverse[group_blocks];
    std::uint32_t zero;
    std::uint32_t served;
  };

  HWY_INLINE bool prepare(const float* HWY_RESTRICT x, std::uint8_t* HWY_RESTRICT scales,
                          Prepared& out) const {
    const DF d;
    HWY_ALIGN float amax[group_blocks];
    const bool may_be_nonfinite = block_maxima<size>(x, amax);
    out.zero = 0;
    out.served = 0;
    if (HWY_UNLIKELY(!has_chain_)) {
      out.served = nv_scales(t_, amax, group_blocks, Elements::reach, {out.inverse, scales});
      return may_be_nonfinite;
    }
    HWY_UNROLL(1)
    for (std::size_t k = 0; k < group_blocks; k += lanes) {
      const VF b = hn::Load(d, amax + k);
      const VF h = hn::Mul(hn::Div(b, set(largest_)), set(encode_));
      const Scales<Scale> s(h);
      const auto empty = hn::Eq(b, hn::Zero(d));
      const VF inv = hn::Div(set(1.0F), hn::Mul(set(decode_), s.scale));
      hn::Store(hn::IfThenZeroElse(empty, inv), d, out.inverse + k);
      store_bytes(hn::IfThenZeroElse(hn::RebindMask(DU(), empty), s.code), scales + k);
      out.zero |= mask_bits(empty) << k;
      out.served |= mask_bits(s.serves(h)) << k;
    }
    return may_be_nonfinite;
  }

  HWY_INLINE GroupResult encode(const float* HWY_RESTRICT x, const Prepared& prepared,
                                std::uint8_t* HWY_RESTRICT codes,
                                std::uint8_t* HWY_RESTRICT /*scales*/) const {
    const DF d;
    const auto vector = [&](std::size_t i) LOWBIT_INLINE_LAMBDA {
      const std::size_t at = i * lanes;
      return Elements::codes(hn::LoadU(d, x + at), of_blocks<size>(prepared.inverse, at));
    };
    if constexpr (Elements::is_packed) {
      store_nibbles<size>(vector, prepared.zero, codes);
    } else {
      store_codes<size>(vector, prepared.zero, codes);
    }
    const std::uint32_t done = prepared.served | (clears_empty_ ? prepared.zero : 0U);
    return {~done & 0xFFFFU, 0};
  }

 private:
  const TensorConstants& t_;
  bool has_chain_;
  bool clears_empty_;
  float largest_;
  float encode_;
  float decode_;
};

/// MX formats: the exponent of the block's amax less that of the largest element, rounded up as the
/// rule says. Integer elements count in units of 2^-6, so their largest one is below 2: scales near
/// both ends of the range are done again by the scalar engine.
template <typename Elements, std::size_t block_elements = 32>
class MxKernel {
 public:
  static constexpr std::size_t size = block_elements;
  using Square = SquareOf<MxKernel, Elements, size>;
  static constexpr std::size_t block_bytes = Elements::is_packed ? size / 2 : size;
  static constexpr BlockChoice first = BlockChoice::only;
  static constexpr BlockChoice second = BlockChoice::only;

  explicit MxKernel(const TensorConstants& t)
      : t_(t),
        has_scale_(has_vector_mx_scale(t)),
        round_up_(round_up(t)),
        lowered_(lowered(t)),
        quotient_(t.dialect->mx_scale != MxScale::exact),
        clears_byte_0_(t.dialect->mx_element_scale == MxElementScale::zero_where_byte_is_zero),
        divisor_(std::ldexp(t.largest_element, unit_exponent)),
        divides_(t.dialect->mx_scale == MxScale::divided) {}

  struct Prepared {
    HWY_ALIGN float inverse[group_blocks];
    std::uint32_t zero;
    std::uint32_t redo;
  };

  HWY_INLINE bool prepare(const float* HWY_RESTRICT x, std::uint8_t* HWY_RESTRICT scales,
                          Prepared& out) const {
    const DF d;
    HWY_ALIGN float amax[group_blocks];
    const bool may_be_nonfinite = block_maxima<size>(x, amax);
    out.zero = 0;
    out.redo = 0;
    if (HWY_UNLIKELY(!has_scale_)) {
      out.redo =
          0xFFFFU & ~mx_scales(t_, amax, group_blocks, Elements::reach, {out.inverse, scales});
      return may_be_nonfinite;
    }
    HWY_UNROLL(1)
    for (std::size_t k = 0; k < group_blocks; k += lanes) {
      const VF top = hn::Load(d, amax + k);
      VF b = top;
      if (quotient_) b = divides_ ? hn::Div(b, set(divisor_)) : hn::Mul(b, set(1.0F / divisor_));
      const VU field = hn::ShiftRight<23>(hn::Add(bits_of(b), set_bits(round_up_)));
      const VU byte = hn::Sub(hn::Max(field, set_bits(lowered_)), set_bits(lowered_));
      const auto empty = hn::Eq(clears_byte_0_ ? float_of(byte) : top, hn::Zero(d));
      const auto empty_bits = hn::RebindMask(DU(), empty);
      // 2^(127 - byte), in units of the elements; its exponent field is at least 1: byte is at most
      // 254 - 1 where elements are above 2, or 254.
      const VU inv = hn::ShiftLeft<23>(hn::Sub(set_bits(254 - unit_exponent), byte));
      if constexpr (unit_exponent != 0) {
        const auto served =
            hn::And(hn::Gt(byte, set_bits(-unit_exponent)), hn::Lt(byte, set_bits(254)));
        out.redo |= mask_bits(hn::RebindMask(d, hn::Not(served))) << k;
      }
      hn::Store(float_of(hn::IfThenZeroElse(empty_bits, inv)), d, out.inverse + k);
      store_bytes(hn::IfThenZeroElse(empty_bits, byte), scales + k);
      out.zero |= mask_bits(empty) << k;
    }
    return may_be_nonfinite;
  }

  HWY_INLINE GroupResult encode(const float* HWY_RESTRICT x, const Prepared& prepared,
                                std::uint8_t* HWY_RESTRICT codes,
                                std::uint8_t* HWY_RESTRICT /*scales*/) const {
    const DF d;
    const auto vector = [&](std::size_t i) LOWBIT_INLINE_LAMBDA {
      const std::size_t at = i * lanes;
      return Elements::codes(hn::LoadU(d, x + at), of_blocks<size>(prepared.inverse, at));
    };
    if constexpr (Elements::is_packed) {
      store_nibbles<size>(vector, prepared.zero, codes);
    } else {
      store_codes<size>(vector, prepared.zero, codes);
    }
    return {prepared.redo & ~prepared.zero, 0};
  }

 private:
  static constexpr bool is_integer = Elements::format.is_integer();
  static constexpr int unit_exponent = is_integer ? -6 : 0;
  static constexpr int fraction_bits = is_integer ? 6 : Elements::format.mantissa_bits;
  static constexpr float largest =
      value_table<Elements::format>[Elements::format.max_code()] * power_of_two(unit_exponent);
  /// What carries into the exponent field of b: nothing; any mantissa but 0 (b above 2^n); a
  /// mantissa above that of the largest element; one that rounds up to 2 in the element's bits.
  static std::uint32_t round_up(const TensorConstants& t) {
    if (t.dialect->mx_scale != MxScale::exact) return 0x7FFFFFU;
    switch (t.rule) {
      case ScaleRule::ceil:
      case ScaleRule::static_4:
        return 0x7FFFFFU;
      case ScaleRule::rceil:
      case ScaleRule::static_6:
        return 0x7FFFFFU - (std::bit_cast<std::uint32_t>(largest) & 0x7FFFFFU);
      case ScaleRule::even:
        return std::uint32_t{1} << (22 - fraction_bits);
      default:
        return 0;
    }
  }
  static std::uint32_t lowered(const TensorConstants& t) {
    return t.dialect->mx_scale == MxScale::exact
               ? std::bit_cast<std::uint32_t>(largest) / 0x800000U - 127
               : 0;
  }

  const TensorConstants& t_;
  bool has_scale_;
  std::uint32_t round_up_;
  std::uint32_t lowered_;
  bool quotient_;
  bool clears_byte_0_;
  float divisor_;
  bool divides_;
};

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
