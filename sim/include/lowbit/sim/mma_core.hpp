// SPDX-License-Identifier: MIT
/// \file
/// The arithmetic of one instruction on one output, term by term: the readable, constexpr form that
/// host and CUDA device code share (compile the latter with --expt-relaxed-constexpr). It runs any
/// MmaParameters, mutants included. mma.hpp is the interface; its batched path must agree with
/// this.
///
/// Notation: a term is (-1)^s * significand * 2^(exponent - fraction bits), where exponent is the
/// code's field exponent (a subnormal keeps its leading zeros), so a product of two terms lies in
/// [0, 4) * 2^(sum of exponents) and is not renormalised.
#pragma once

#include <bit>
#include <cstdint>

#include "lowbit/conversion.hpp"
#include "lowbit/element_format.hpp"
#include "lowbit/sim/instruction.hpp"

namespace lowbit::sim {

/// A decoded element or scale.
struct MmaTerm {
  std::int16_t significand = 0;  ///< signed, as stored: hidden bit included, not normalised
  std::int16_t exponent = 0;     ///< field exponent; 1 - bias for subnormals
  NumberClass number_class = NumberClass::zero;  ///< zero, finite, infinity or NaN
  bool negative = false;                         ///< the sign
};

/// What the core needs to know of an instruction: plain numbers, so that it can go to a device.
struct MmaShape {
  MmaParameters parameters;        ///< the arithmetic
  int k = 16;                      ///< products per output
  int block = 0;                   ///< elements a scale covers; 0 without scales
  int product_fraction_bits = 20;  ///< mantissa bits of A plus those of B, as the core sees them
  int scale_fraction_bits = 0;     ///< likewise of the two scales
  bool half = false;               ///< D, and C as the core sees it, are FP16
};

/// The result format of Hopper's and Ada's FP8: FP32 with 13 mantissa bits.
inline constexpr ElementFormat e8m13{"e8m13",         22, 8, 13, 127, true, Specials::ieee,
                                     Coding::floating};

/// The element of a code, as a tensor core decodes it.
constexpr MmaTerm decode_term(const ElementFormat& format, std::uint32_t code) {
  const Number n = decode(format, code);
  MmaTerm term;
  term.significand = static_cast<std::int16_t>(n.negative ? -static_cast<int>(n.significand)
                                                          : static_cast<int>(n.significand));
  term.exponent = static_cast<std::int16_t>(n.exponent + format.mantissa_bits);
  term.number_class = n.number_class;
  term.negative = n.negative;
  return term;
}

/// An element as the instruction's datapath sees it. TF32 drops the low 13 bits of its FP32
/// container before anything is classified; an emulated FP8 instruction converts to FP16 first
/// (exactly, but FP8 subnormals become normal numbers with their own exponent).
constexpr MmaTerm decode_element(const ElementFormat& format, MmaRule rule, std::uint32_t code) {
  if (format.bits == 19) return decode_term(format, code >> 13);
  const MmaTerm term = decode_term(format, code);
  if (rule != MmaRule::emulated || term.number_class != NumberClass::finite) return term;
  const Exact value{
      term.negative,
      static_cast<std::uint64_t>(term.negative ? -term.significand : term.significand),
      term.exponent - format.mantissa_bits};
  constexpr ElementFormat half_format = f16;
  return decode_term(half_format, round_pack(half_format, value));
}

namespace detail {

// Device code cannot refer to a namespace-scope record, only to its value: hence the local copies.
constexpr Number decode_addend(bool half, std::uint32_t c) {
  constexpr ElementFormat half_format = f16;
  constexpr ElementFormat single_format = f32;
  return half ? decode(half_format, c) : decode(single_format, c);
}

constexpr std::uint32_t round_result(bool half, const Exact& value,
                                     const ConversionPolicy& policy) {
  constexpr ElementFormat half_format = f16;
  constexpr ElementFormat single_format = f32;
  return half ? round_pack(half_format, value, policy) : round_pack(single_format, value, policy);
}

using lowbit::detail::top_bit;

/// value * 2^shift, truncated.
constexpr std::uint64_t shifted(std::uint64_t value, int shift) {
  if (shift >= 0) return shift < 64 ? value << shift : 0;
  return shift > -64 ? value >> -shift : 0;
}

constexpr std::int64_t truncated(std::int64_t value, int shift) {
  return value < 0 ? -static_cast<std::int64_t>(shifted(static_cast<std::uint64_t>(-value), shift))
                   : static_cast<std::int64_t>(shifted(static_cast<std::uint64_t>(value), shift));
}

/// NaN and infinity among products and addend decide the result before any arithmetic.
struct SpecialScan {
  bool nan = false;
  bool positive = false;
  bool negative = false;

  constexpr void addend(NumberClass number_class, bool is_negative) {
    if (number_class == NumberClass::nan) nan = true;
    if (number_class == NumberClass::infinity) (is_negative ? negative : positive) = true;
  }
  constexpr void product(const MmaTerm& a, const MmaTerm& b) {
    if (a.number_class == NumberClass::nan || b.number_class == NumberClass::nan) nan = true;
    const bool infinite =
        a.number_class == NumberClass::infinity || b.number_class == NumberClass::infinity;
    if (!infinite) return;
    if (a.number_class == NumberClass::zero || b.number_class == NumberClass::zero) nan = true;
    addend(NumberClass::infinity, a.negative != b.negative);
  }
  [[nodiscard]] constexpr bool any() const { return nan || positive || negative; }
  [[nodiscard]] constexpr std::uint32_t word(bool half) const {
    if (nan || (positive && negative)) return half ? 0x7FFFU : 0x7FFFFFFFU;
    if (half) return negative ? 0xFC00U : 0x7C00U;
    return negative ? 0xFF800000U : 0x7F800000U;
  }
};

/// sum * 2^q to the word of D: the one rounding of a step. Truncation to FP32 still overflows to
/// infinity, unlike IEEE's.
/// \param all_negative  every term was zero and negative; addend_negative: C was -0.
constexpr std::uint32_t finish(const MmaParameters& p, bool half, std::int64_t sum, int q,
                               bool all_negative, bool addend_negative) {
  const std::uint32_t minus_zero = half ? 0x8000U : 0x80000000U;
  if (sum == 0) {
    const bool minus = (p.zero_sum == ZeroSum::negative_if_all_negative && all_negative) ||
                       (p.zero_sum == ZeroSum::negative_if_addend_negative && addend_negative);
    return minus ? minus_zero : 0;
  }
  const Exact value{sum < 0, static_cast<std::uint64_t>(sum < 0 ? -sum : sum), q};
  ConversionPolicy policy;
  policy.overflow = Overflow::infinity;
  std::uint32_t word = 0;
  const bool nearest = p.rounding == FinalRounding::f16_nearest_even ||
                       p.rounding == FinalRounding::f32_nearest_even ||
                       p.rounding == FinalRounding::e8m13_nearest_even;
  policy.rounding = nearest ? Rounding::nearest_even : Rounding::toward_zero;
  if (!half && !nearest && top_bit(value.significand) + q > 127) {
    word = (value.negative ? minus_zero : 0) | 0x7F800000U;
  } else if (p.rounding == FinalRounding::e8m13_toward_zero ||
             p.rounding == FinalRounding::e8m13_nearest_even) {
    constexpr ElementFormat thirteen_bits = e8m13;
    word = round_pack(thirteen_bits, value, policy) << 10;
  } else {
    word = round_result(half, value, policy);
  }
  return word == minus_zero && !p.underflow_keeps_sign ? 0 : word;
}

constexpr int addend_fraction_bits(bool half) {
  return half ? 10 : 23;
}

/// x + y with two bits and a sticky one below any format's last place (conversion.hpp, Exact).
constexpr Exact jammed_sum(const Exact& x, const Exact& y) {
  if (x.significand == 0) return y;
  if (y.significand == 0) return x;
  const bool x_larger = top_bit(x.significand) + x.exponent >= top_bit(y.significand) + y.exponent;
  const Exact& large = x_larger ? x : y;
  const Exact& small = x_larger ? y : x;
  // The larger one's top bit goes to bit 61. Both have at most 48 significant bits, so the smaller
  // is shifted right only when it lies so far below that one sticky bit stands for the rest.
  const int up = 61 - top_bit(large.significand);
  const std::uint64_t high = large.significand << up;
  const int exponent = large.exponent - up;
  const int shift = small.exponent - exponent;
  std::uint64_t low = shifted(small.significand, shift);
  if (shift < 0 && shifted(low, -shift) != small.significand) low |= 1;
  if (large.negative == small.negative) return {large.negative, high + low, exponent};
  if (high >= low) return {large.negative, high - low, exponent};
  return {small.negative, low - high, exponent};
}

/// IEEE addition of two words, rounded to nearest even; NaN is the datapath's canonical one.
constexpr std::uint32_t add_nearest(bool half, std::uint32_t x, std::uint32_t y) {
  const Number a = decode_addend(half, x);
  const Number b = decode_addend(half, y);
  SpecialScan scan;
  scan.addend(a.number_class, a.negative);
  scan.addend(b.number_class, b.negative);
  if (scan.any()) return scan.word(half);
  const Exact sum =
      jammed_sum({a.negative, a.significand, a.exponent}, {b.negative, b.significand, b.exponent});
  if (sum.significand == 0) {
    return a.negative && b.negative ? (half ? 0x8000U : 0x80000000U) : 0;
  }
  ConversionPolicy policy;
  policy.overflow = Overflow::infinity;
  return round_result(half, sum, policy);
}

/// One aligned step of `count` products; scale_exponent is added to every product's exponent.
constexpr std::uint32_t aligned_step(const MmaShape& s, const MmaTerm* a, const MmaTerm* b,
                                     int count, int scale_exponent, std::uint32_t c) {
  const MmaParameters& p = s.parameters;
  const Number addend = decode_addend(s.half, c);
  SpecialScan scan;
  scan.addend(addend.number_class, addend.negative);
  const int addend_exponent = addend.exponent + addend_fraction_bits(s.half);
  int largest = addend.significand == 0 ? p.exponent_of_zero : addend_exponent;
  bool all_negative = addend.negative;
  for (int i = 0; i < count; ++i) {
    scan.product(a[i], b[i]);
    const bool zero = a[i].significand == 0 || b[i].significand == 0;
    const int e = zero ? p.exponent_of_zero : a[i].exponent + b[i].exponent + scale_exponent;
    if (e > largest) largest = e;
    all_negative = all_negative && a[i].negative != b[i].negative;
  }
  if (scan.any()) return scan.word(s.half);
  std::int64_t sum = truncated(
      addend.negative ? -static_cast<std::int64_t>(addend.significand) : addend.significand,
      p.fraction_bits - addend_fraction_bits(s.half) - (largest - addend_exponent));
  for (int i = 0; i < count; ++i) {
    const std::int64_t product = static_cast<std::int64_t>(a[i].significand) * b[i].significand;
    const int e = a[i].exponent + b[i].exponent + scale_exponent;
    sum += truncated(product, p.fraction_bits - s.product_fraction_bits - (largest - e));
  }
  return finish(p, s.half, sum, largest - p.fraction_bits, all_negative,
                addend.negative && addend.significand == 0);
}

/// One grouped step. Elements are E2M1, so products are multiples of 1/4; scales have
/// scale_fraction_bits together, and their exponents alone decide the window.
constexpr std::uint32_t grouped_step(const MmaShape& s, const MmaTerm* a, const MmaTerm* b,
                                     const MmaTerm* scale_a, const MmaTerm* scale_b, int count,
                                     std::uint32_t c) {
  const MmaParameters& p = s.parameters;
  const Number addend = decode_addend(s.half, c);
  SpecialScan scan;
  scan.addend(addend.number_class, addend.negative);
  const int blocks = (count + s.block - 1) / s.block;
  for (int i = 0; i < blocks; ++i) {
    scan.addend(scale_a[i].number_class, false);
    scan.addend(scale_b[i].number_class, false);
  }
  if (scan.any()) return scan.word(s.half);

  // exponent - mantissa bits of an E2M1 element is never below -1, so this is in quarters.
  const auto quarters = [&](int i) {
    return (static_cast<std::int64_t>(a[i].significand) * b[i].significand)
           << (a[i].exponent + b[i].exponent);
  };
  const auto scale_significand = [&](int i) {
    return static_cast<std::int64_t>(scale_a[i / s.block].significand) *
           scale_b[i / s.block].significand;
  };
  const auto scale_exponent = [&](int i) {
    return scale_a[i / s.block].exponent + scale_b[i / s.block].exponent;
  };

  const int addend_exponent = addend.exponent + addend_fraction_bits(s.half);
  const int none = -100000;
  const int c_exponent = addend.significand == 0 ? none : addend_exponent;
  int group = p.group;
  int window = 0;  // exponent of the last kept place
  bool by_products = p.window == GroupWindow::products;
  if (by_products) {
    int products = none;
    int scales = none;
    for (int i = 0; i < count; ++i) {
      if (quarters(i) == 0 || scale_significand(i) == 0) continue;
      const int e = scale_exponent(i);
      if (e > scales) scales = e;
      if (e + a[i].exponent + b[i].exponent > products)
        products = e + a[i].exponent + b[i].exponent;
    }
    by_products = products > c_exponent;
    if (by_products) {
      group = 4;
      const int largest = products > c_exponent ? products : c_exponent;
      window = largest - 39 > scales - 35 ? largest - 39 : scales - 35;
    }
  }
  if (!by_products) {
    int largest = c_exponent == none ? p.exponent_of_zero : c_exponent;
    for (int first = 0; first < count; first += group) {
      int e = none;
      for (int i = first; i < first + group && i < count; ++i) {
        if (quarters(i) != 0 && scale_significand(i) != 0 && scale_exponent(i) > e)
          e = scale_exponent(i);
      }
      if (e == none) e = p.exponent_of_zero;
      if (e > largest) largest = e;
    }
    window = largest - p.fraction_bits;
  }

  std::int64_t sum = truncated(
      addend.negative ? -static_cast<std::int64_t>(addend.significand) : addend.significand,
      addend.exponent - window);
  bool all_negative = addend.negative;
  for (int first = 0; first < count; first += group) {
    // A group wider than a scale block (a mutant) is summed exactly in units of its smallest scale.
    int lowest = scale_exponent(first);
    for (int i = first; i < first + group && i < count; ++i) {
      if (scale_exponent(i) < lowest) lowest = scale_exponent(i);
    }
    std::int64_t units = 0;
    for (int i = first; i < first + group && i < count; ++i) {
      units += (quarters(i) * scale_significand(i)) << (scale_exponent(i) - lowest);
      all_negative = all_negative && a[i].negative != b[i].negative;
    }
    sum += truncated(units, lowest - 2 - s.scale_fraction_bits - window);
  }
  return finish(p, s.half, sum, window, all_negative, addend.negative && addend.significand == 0);
}

constexpr std::uint32_t emulated_step(const MmaShape& s, const MmaTerm* a, const MmaTerm* b,
                                      int count, std::uint32_t c) {
  // Runs of parameters.group products go to the two F16 steps in turn; the first starts from +0.
  std::uint32_t d = 0;
  for (int half = 0; half < 2; ++half) {
    MmaTerm as[16];
    MmaTerm bs[16];
    int taken = 0;
    for (int i = 0; i < count; ++i) {
      if ((i / s.parameters.group) % 2 != half) continue;
      as[taken] = a[i];
      bs[taken++] = b[i];
    }
    for (int first = 0; first < taken; first += s.parameters.terms) {
      const int left = taken - first;
      d = aligned_step(s, as + first, bs + first,
                       left < s.parameters.terms ? left : s.parameters.terms, 0, d);
    }
  }
  d = add_nearest(s.half, d, c);
  const std::uint32_t minus_zero = s.half ? 0x8000U : 0x80000000U;
  const bool minus =
      s.parameters.zero_sum == ZeroSum::negative_if_addend_negative && c == minus_zero;
  return d == 0 && minus ? minus_zero : d;
}

constexpr std::uint32_t fma_chain(const MmaShape& s, const MmaTerm* a, const MmaTerm* b,
                                  const MmaTerm* scale_a, const MmaTerm* scale_b, int count,
                                  std::uint32_t c) {
  ConversionPolicy policy;
  policy.overflow = Overflow::infinity;
  for (int i = 0; i < count; ++i) {
    SpecialScan scan;
    const Number addend = decode_addend(s.half, c);
    scan.addend(addend.number_class, addend.negative);
    scan.product(a[i], b[i]);
    std::int64_t product = static_cast<std::int64_t>(a[i].significand) * b[i].significand;
    int exponent = a[i].exponent + b[i].exponent - s.product_fraction_bits;
    if (s.block != 0) {
      const MmaTerm& x = scale_a[i / s.block];
      const MmaTerm& y = scale_b[i / s.block];
      scan.addend(x.number_class, false);
      scan.addend(y.number_class, false);
      product *= x.significand * y.significand;
      exponent += x.exponent + y.exponent - s.scale_fraction_bits;
    }
    if (scan.any()) {
      c = scan.word(s.half);
      continue;
    }
    const bool minus = a[i].negative != b[i].negative;
    const Exact sum =
        jammed_sum({minus, static_cast<std::uint64_t>(product < 0 ? -product : product), exponent},
                   {addend.negative, addend.significand, addend.exponent});
    if (sum.significand == 0) {
      c = minus && addend.negative ? (s.half ? 0x8000U : 0x80000000U) : 0;
    } else {
      c = round_result(s.half, sum, policy);
    }
  }
  return c;
}

}  // namespace detail

/// One instruction on one output: s.k products and one addend.
/// \param s  the instruction
/// \param a  s.k terms of A
/// \param b  s.k terms of B
/// \param scale_a, scale_b  s.k / s.block terms each; unused where s.block is 0.
/// \param c  a word of D's format.
constexpr std::uint32_t instruction_dot(const MmaShape& s, const MmaTerm* a, const MmaTerm* b,
                                        const MmaTerm* scale_a, const MmaTerm* scale_b,
                                        std::uint32_t c) {
  const MmaParameters& p = s.parameters;
  if (p.rule == MmaRule::emulated) return detail::emulated_step(s, a, b, s.k, c);
  if (p.rule == MmaRule::fma_chain) return detail::fma_chain(s, a, b, scale_a, scale_b, s.k, c);
  for (int first = 0; first < s.k; first += p.terms) {
    const int count = s.k - first < p.terms ? s.k - first : p.terms;
    if (p.rule == MmaRule::grouped) {
      const int block = first / s.block;
      c = detail::grouped_step(s, a + first, b + first, scale_a + block, scale_b + block, count, c);
      continue;
    }
    int scale_exponent = 0;
    if (p.rule == MmaRule::scaled) {
      const MmaTerm& x = scale_a[first / s.block];
      const MmaTerm& y = scale_b[first / s.block];
      if (x.number_class == NumberClass::nan || y.number_class == NumberClass::nan) {
        return s.half ? 0x7FFFU : 0x7FFFFFFFU;
      }
      scale_exponent = x.exponent + y.exponent;
    }
    c = detail::aligned_step(s, a + first, b + first, count, scale_exponent, c);
  }
  return c;
}

}  // namespace lowbit::sim
