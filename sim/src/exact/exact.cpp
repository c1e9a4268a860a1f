// SPDX-License-Identifier: MIT
#include "lowbit/sim/exact.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "gemm/operand_coding.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

constexpr std::size_t longest_block = 4096;

const OperandCoding& coding_of(const BlockTensor& tensor) {
  if (tensor.format == nullptr) throw Error(ErrorKind::usage, "tensor without a block format");
  return operand_coding(*tensor.format);
}

/// |integer| * multiplier / divisor to 64 bits, the rest jammed into the lowest one.
/// divisor < 2^63.
Exact quotient(const ExactValue& value, UInt128 multiplier, std::uint64_t divisor, int exponent) {
  // The value, times a multiplier of up to two limbs, shifted up so that the quotient has more than
  // 64 bits: three limbs in all on top of the value's.
  constexpr std::size_t count = WideInteger::limb_count + 4;
  std::array<std::uint64_t, count> limbs{};
  const WideInteger magnitude = value.integer.magnitude();
  const int length = magnitude.bit_length();
  if (length == 0 || multiplier == 0) return {};
  const auto used = static_cast<std::size_t>(length + 63) / 64;
  const std::uint64_t factors[2] = {static_cast<std::uint64_t>(multiplier),
                                    static_cast<std::uint64_t>(multiplier >> 64)};
  // Two limbs lie below the product: 2^128 times the numerator.
  constexpr std::size_t below = 2;
  for (std::size_t f = 0; f < 2; ++f) {
    UInt128 carry = 0;
    for (std::size_t i = 0; i < used; ++i) {
      UInt128 sum = static_cast<UInt128>(magnitude.limbs()[i]) * factors[f];
      sum += limbs[below + f + i];
      sum += carry;
      limbs[below + f + i] = static_cast<std::uint64_t>(sum);
      carry = sum >> 64;
    }
    limbs[below + f + used] += static_cast<std::uint64_t>(carry);
  }
  std::uint64_t remainder = 0;
  if (divisor != 1) {
    for (std::size_t i = below + used + 2; i-- > 0;) {
      const UInt128 part = (static_cast<UInt128>(remainder) << 64) | limbs[i];
      limbs[i] = static_cast<std::uint64_t>(part / divisor);
      remainder = static_cast<std::uint64_t>(part % divisor);
    }
  }
  std::size_t top = count - 1;
  while (limbs[top] == 0) --top;  // the quotient exceeds 2^128 / 2^63
  const int width = static_cast<int>(std::bit_width(limbs[top]));
  std::uint64_t significand = limbs[top] << (64 - width);
  std::uint64_t rest = limbs[top - 1];
  if (width < 64) {
    significand |= rest >> width;
    rest <<= 64 - width;
  }
  bool sticky = remainder != 0 || rest != 0;
  for (std::size_t i = 0; i + 1 < top; ++i) sticky = sticky || limbs[i] != 0;
  Exact result;
  result.negative = value.negative;
  result.significand = significand | (sticky ? 1 : 0);
  result.exponent = exponent + 64 * (static_cast<int>(top) - static_cast<int>(below)) + width - 64;
  return result;
}

constexpr ConversionPolicy ieee_policy{Rounding::nearest_even, Overflow::infinity,
                                       NanResult::nan_or_max, true};

std::uint32_t round_with(const ExactValue& value, const ElementFormat& to, UInt128 multiplier,
                         std::uint64_t divisor, int exponent) {
  switch (value.number_class) {
    case NumberClass::nan:
      return from_double(to, std::nan(""), ieee_policy);
    case NumberClass::infinity: {
      if (multiplier == 0) return from_double(to, std::nan(""), ieee_policy);
      const double infinity = std::numeric_limits<double>::infinity();
      return from_double(to, value.negative ? -infinity : infinity, ieee_policy);
    }
    case NumberClass::zero:
      return 0;
    case NumberClass::finite:
      break;
  }
  if (multiplier == 0) return 0;
  return round_pack(to, quotient(value, multiplier, divisor, exponent), ieee_policy);
}

}  // namespace

std::string WideInteger::to_hex() const {
  const Limbs m = magnitude().limbs();
  std::size_t top = limb_count;
  while (top > 1 && m[top - 1] == 0) --top;
  std::string text = fmt::format("{}0x{:x}", is_negative() ? "-" : "", m[top - 1]);
  for (std::size_t i = top - 1; i-- > 0;) text += fmt::format("{:016x}", m[i]);
  return text;
}

ExactUnit exact_unit(const BlockFormat& a, const BlockFormat& b) {
  const OperandCoding& ca = operand_coding(a);
  const OperandCoding& cb = operand_coding(b);
  return {ca.element_exponent + ca.scale_exponent + cb.element_exponent + cb.scale_exponent,
          ca.denominator * cb.denominator};
}

ExactAccumulator::ExactAccumulator(const BlockFormat& a, const BlockFormat& b, NanScale nan_scale)
    : a_(&operand_coding(a)),
      b_(&operand_coding(b)),
      unit_(exact_unit(a, b)),
      nan_scale_(nan_scale) {
  const auto bound = static_cast<UInt128>(a_->largest_value) *
                     static_cast<UInt128>(b_->largest_value) * longest_block;
  narrow_ = bound < static_cast<UInt128>(std::numeric_limits<std::int64_t>::max());
}

void ExactAccumulator::add_block(std::uint8_t scale_a, std::span<const std::uint8_t> codes_a,
                                 std::uint8_t scale_b, std::span<const std::uint8_t> codes_b) {
  if (codes_a.size() != codes_b.size() || codes_a.size() > longest_block) {
    throw Error(ErrorKind::usage,
                fmt::format("a block of {} and {} codes: give equally many, at most {}",
                            codes_a.size(), codes_b.size(), longest_block));
  }
  if (codes_a.empty()) return;
  if (a_->scale_is_nan[scale_a] || b_->scale_is_nan[scale_b]) {
    if (nan_scale_ == NanScale::error) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("NaN scale byte (0x{:02x}, 0x{:02x}); ask for nan or 448 instead",
                              scale_a, scale_b));
    }
    if (nan_scale_ == NanScale::nan) nan_ = true;
  }
  const auto kind_a = a_->block_kind[scale_a];
  const auto kind_b = b_->block_kind[scale_b];
  const auto& raw_a = a_->raw[kind_a];
  const auto& raw_b = b_->raw[kind_b];
  const std::int32_t significand_a = a_->scale_significand[scale_a];
  const std::int32_t significand_b = b_->scale_significand[scale_b];
  Int128 sum = 0;
  if (narrow_) {
    std::int64_t narrow_sum = 0;
    for (std::size_t i = 0; i < codes_a.size(); ++i) {
      narrow_sum += raw_a[codes_a[i]] * raw_b[codes_b[i]];
    }
    sum = narrow_sum;
  } else {
    for (std::size_t i = 0; i < codes_a.size(); ++i) {
      sum += static_cast<Int128>(raw_a[codes_a[i]]) * raw_b[codes_b[i]];
    }
  }
  const auto weight = static_cast<std::int64_t>(a_->factor[kind_a]) * b_->factor[kind_b];
  const auto scale = static_cast<std::int64_t>(significand_a) * significand_b;
  sum_.add_shifted(sum * weight * scale, a_->scale_shift[scale_a] + b_->scale_shift[scale_b]);

  if (!a_->has_specials && !b_->has_specials) return;
  for (std::size_t i = 0; i < codes_a.size(); ++i) {
    const NumberClass class_a = a_->element_class[codes_a[i]];
    const NumberClass class_b = b_->element_class[codes_b[i]];
    if (class_a == NumberClass::finite && class_b == NumberClass::finite) continue;
    // A finite factor is nonzero where both the element and its block scale are nonzero.
    const bool zero_a = class_a == NumberClass::finite ? raw_a[codes_a[i]] * significand_a == 0
                                                       : significand_a == 0;
    const bool zero_b = class_b == NumberClass::finite ? raw_b[codes_b[i]] * significand_b == 0
                                                       : significand_b == 0;
    if (class_a == NumberClass::nan || class_b == NumberClass::nan || zero_a || zero_b) {
      nan_ = true;
      continue;
    }
    const auto sign = [](const OperandCoding& c, std::size_t kind, std::uint8_t code) {
      if (kind == 1) return c.raw[1][code] < 0;
      return (code & c.format->element->sign_mask()) != 0;
    };
    (sign(*a_, kind_a, codes_a[i]) != sign(*b_, kind_b, codes_b[i]) ? negative_infinity_
                                                                    : positive_infinity_) = true;
  }
}

void ExactAccumulator::clear() {
  sum_ = {};
  nan_ = positive_infinity_ = negative_infinity_ = false;
}

ExactValue ExactAccumulator::value() const {
  ExactValue v;
  v.exponent = unit_.exponent;
  v.denominator = unit_.denominator;
  if (nan_ || (positive_infinity_ && negative_infinity_)) {
    v.number_class = NumberClass::nan;
  } else if (positive_infinity_ || negative_infinity_) {
    v.number_class = NumberClass::infinity;
    v.negative = negative_infinity_;
  } else if (!sum_.is_zero()) {
    v.number_class = NumberClass::finite;
    v.negative = sum_.is_negative();
    v.integer = sum_;
  }
  return v;
}

ExactValue exact_segment(const BlockFormat& format_a, const BlockFormat& format_w,
                         std::span<const Beat> beats, NanScale nan_scale) {
  ExactAccumulator accumulator(format_a, format_w, nan_scale);
  for (const Beat& beat : beats) accumulator.add_block(beat.scale_a, beat.a, beat.scale_w, beat.w);
  return accumulator.value();
}

std::uint32_t round_exact(const ExactValue& value, const ElementFormat& to) {
  return round_with(value, to, 1, value.denominator, value.exponent);
}

std::uint32_t round_exact_scaled(const ExactValue& value, const ElementFormat& to, float amax_a,
                                 float constant_a, float amax_b, float constant_b) {
  const auto number = [](float x) { return decode(f32, std::bit_cast<std::uint32_t>(x)); };
  const Number na = number(amax_a);
  const Number nb = number(amax_b);
  const Number ca = number(constant_a);
  const Number cb = number(constant_b);
  for (const Number& n : {na, nb, ca, cb}) {
    if (n.number_class == NumberClass::nan || n.number_class == NumberClass::infinity ||
        (n.negative && n.number_class != NumberClass::zero)) {
      throw Error(ErrorKind::invalid_input, "tensor scale that is negative or not finite");
    }
  }
  if (ca.significand == 0 || cb.significand == 0) {
    throw Error(ErrorKind::invalid_input, "tensor scale with a zero encode constant");
  }
  // 48 bits above; 10 bits of d_A * d_B and 48 bits below: one 64-bit divisor.
  const auto multiplier = static_cast<UInt128>(na.significand) * nb.significand;
  const std::uint64_t divisor = static_cast<std::uint64_t>(value.denominator) *
                                static_cast<std::uint64_t>(ca.significand) * cb.significand;
  return round_with(value, to, multiplier, divisor,
                    value.exponent + na.exponent + nb.exponent - ca.exponent - cb.exponent);
}

float round_to_float(const ExactValue& value) {
  return std::bit_cast<float>(round_exact(value, f32));
}

ExactValue exact_dot(const BlockTensor& a, std::size_t row_a, const BlockTensor& b,
                     std::size_t row_b, NanScale nan_scale) {
  const OperandCoding& ca = coding_of(a);
  const OperandCoding& cb = coding_of(b);
  if (a.columns != b.columns) {
    throw Error(ErrorKind::usage,
                fmt::format("A has {} columns and B {}: both need K", a.columns, b.columns));
  }
  if (row_a >= a.rows || row_b >= b.rows) {
    throw Error(ErrorKind::usage,
                fmt::format("no row {} of {} and {} of {}", row_a, a.rows, row_b, b.rows));
  }
  ExactAccumulator accumulator(*a.format, *b.format, nan_scale);
  const auto size_a = static_cast<std::size_t>(a.format->block_size);
  const auto size_b = static_cast<std::size_t>(b.format->block_size);
  const std::size_t step = std::min(size_a, size_b);  // sizes are powers of two
  std::array<std::uint8_t, 64> codes_a{};
  std::array<std::uint8_t, 64> codes_b{};
  for (std::size_t k = 0; k < a.columns; k += step) {
    const std::size_t count = std::min(step, a.columns - k);
    for (std::size_t i = 0; i < count; ++i) {
      codes_a[i] = a.code(row_a, k + i);
      codes_b[i] = b.code(row_b, k + i);
    }
    const std::uint8_t scale_a = a.scale(row_a, k / size_a);
    const std::uint8_t scale_b = b.scale(row_b, k / size_b);
    if (nan_scale == NanScale::error) {
      if (ca.scale_is_nan[scale_a]) {
        throw Error(ErrorKind::invalid_input,
                    fmt::format("A: NaN scale byte 0x{:02x} at row {}, block {}; choose what it "
                                "means (--nan-scale nan or 448)",
                                scale_a, row_a, k / size_a));
      }
      if (cb.scale_is_nan[scale_b]) {
        throw Error(ErrorKind::invalid_input,
                    fmt::format("B: NaN scale byte 0x{:02x} at row {}, block {}; choose what it "
                                "means (--nan-scale nan or 448)",
                                scale_b, row_b, k / size_b));
      }
    }
    accumulator.add_block(scale_a, std::span(codes_a).first(count), scale_b,
                          std::span(codes_b).first(count));
  }
  return accumulator.value();
}

}  // namespace lowbit::sim
