// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "dequantize/exact_quotient.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {
namespace {

/// significand * 2^exponent of a positive finite float.
struct Parts {
  std::uint64_t significand;
  int exponent;
};

Parts parts_of(float value) {
  const Number n = decode(f32, std::bit_cast<std::uint32_t>(value));
  // Odd significands keep the products of the quotient short.
  const int shift = n.significand == 0 ? 0 : std::countr_zero(n.significand);
  return {n.significand >> shift, n.exponent + shift};
}

/// q * s * A / C, times E where the block is an integer one, rounded once.
class ExactValue {
 public:
  explicit ExactValue(const BlockTensor& tensor)
      : format_(*tensor.format), a_(parts_of(tensor.amax)), c_(parts_of(tensor.encode_constant)) {}

  [[nodiscard]] float operator()(std::uint8_t scale_byte, std::uint32_t code) const {
    const bool integer = format_.is_adaptive() && (scale_byte & 0x80) != 0;
    const Number q = decode(integer ? *format_.integer : *format_.element, code);
    const Number s =
        decode(format_.scale(), format_.is_adaptive() ? scale_byte & 0x7F : scale_byte);
    if (q.number_class == NumberClass::nan || s.number_class == NumberClass::nan) {
      return std::numeric_limits<float>::quiet_NaN();
    }
    const ElementFormat& element = integer ? *format_.integer : *format_.element;
    const bool is_zero = q.number_class == NumberClass::zero;
    const bool negative = (q.negative && !(is_zero && element.is_integer())) != s.negative;
    const float sign = negative ? -1.0F : 1.0F;
    if (q.number_class == NumberClass::infinity)
      return sign * std::numeric_limits<float>::infinity();
    const Ratio unit = integer ? format_.integer_unit() : Ratio{1, 1};
    const int e = format_.element_exponent;
    // At most 8 + 4 + 24 + 5 bits above and 24 + 6 below.
    return detail::rounded_quotient(negative,
                                    std::uint64_t{q.significand} * s.significand * a_.significand *
                                        static_cast<unsigned>(unit.numerator),
                                    c_.significand * static_cast<unsigned>(unit.denominator),
                                    q.exponent + s.exponent + a_.exponent - c_.exponent + e);
  }

 private:
  const BlockFormat& format_;
  Parts a_;
  Parts c_;
};

void check(const BlockTensor& t, std::size_t out_size) {
  if (t.format == nullptr) throw Error(ErrorKind::usage, "the block tensor has no format");
  if (out_size != t.rows * t.columns) {
    throw Error(ErrorKind::usage, fmt::format("{} values are to be written for a matrix of {} x {}",
                                              out_size, t.rows, t.columns));
  }
  if (t.values.size() != t.rows * t.value_bytes_per_row() ||
      t.scales.size() != t.rows * t.blocks_per_row()) {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("a {} x {} tensor of {} has {} value bytes and {} scale bytes, not {} and {}",
                    t.rows, t.columns, t.format->name, t.rows * t.value_bytes_per_row(),
                    t.rows * t.blocks_per_row(), t.values.size(), t.scales.size()));
  }
  if (!(t.amax >= 0.0F && std::isfinite(t.amax))) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("the tensor's amax is {}; it must be finite and not negative", t.amax));
  }
  if (!(t.encode_constant > 0.0F && std::isfinite(t.encode_constant))) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("the tensor's encode constant is {}; it must be finite and positive",
                            t.encode_constant));
  }
}

/// The chain of fouroversix: the code's value and the scale meet in half precision.
class HalfValue {
 public:
  HalfValue(const BlockTensor& tensor, const Dialect& dialect)
      : format_(*tensor.format),
        dialect_(dialect),
        amax_(tensor.amax),
        constant_(tensor.encode_constant) {}

  [[nodiscard]] float operator()(std::uint8_t scale_byte, std::uint32_t code) const {
    const bool integer = format_.is_adaptive() && (scale_byte & 0x80) != 0;
    const ElementFormat& element = integer ? *format_.integer : *format_.element;
    const Ratio unit = format_.integer_unit();
    float q = element == int3 && dialect_.int3_coding == Int3Coding::sign_magnitude
                  ? static_cast<float>(code & 3) * ((code & 4) != 0 ? -1.0F : 1.0F)
                  : to_float(element, code);
    if (integer)
      q = half(q * (static_cast<float>(unit.numerator) / static_cast<float>(unit.denominator)));
    const float s =
        half(to_float(format_.scale(), format_.is_adaptive() ? scale_byte & 0x7F : scale_byte));
    // The bits of x86: an E4M3 NaN keeps its widened payload, 0 * infinity is the default NaN.
    if (std::isnan(s)) return std::bit_cast<float>(0x7ff00000U);
    if (q == 0.0F && std::isinf(s)) return std::bit_cast<float>(0xffc00000U);
    const float h = half(q * s);
    if (format_.family == ScaleFamily::mx) return std::ldexp(h, format_.element_exponent);
    const float scaled = h * amax_;
    return dialect_.constant_division == ConstantDivision::divide ? scaled / constant_
                                                                  : scaled * (1.0F / constant_);
  }

 private:
  static float half(float value) { return round_to_input_type(value, InputType::float16); }

  const BlockFormat& format_;
  const Dialect& dialect_;
  float amax_;
  float constant_;
};

template <typename Value>
void dequantize_with(const Value& value, const BlockTensor& tensor, std::span<float> out) {
  const std::size_t codes = tensor.format->element->code_count();
  // A value depends on the scale byte and the code alone: each row of the table is computed when
  // its scale byte is first seen.
  std::vector<float> table(std::size_t{256} * codes);
  std::array<bool, 256> known{};
  const auto size = static_cast<std::size_t>(tensor.format->block_size);
  for (std::size_t r = 0; r < tensor.rows; ++r) {
    for (std::size_t k = 0; k < tensor.blocks_per_row(); ++k) {
      const std::uint8_t scale = tensor.scale(r, k);
      float* const values = table.data() + scale * codes;
      if (!known[scale]) {
        known[scale] = true;
        for (std::uint32_t code = 0; code < codes; ++code) values[code] = value(scale, code);
      }
      const std::size_t end = std::min((k + 1) * size, tensor.columns);
      for (std::size_t c = k * size; c < end; ++c) {
        out[r * tensor.columns + c] = values[tensor.code(r, c) & (codes - 1)];
      }
    }
  }
}

}  // namespace

void dequantize(const BlockTensor& tensor, std::span<float> out, const Dialect* dialect) {
  check(tensor, out.size());
  const Dialect& d = dialect != nullptr ? *dialect : canonical;
  switch (d.dequantization) {
    case Dequantization::exact:
      return dequantize_with(ExactValue(tensor), tensor, out);
    case Dequantization::via_half:
      return dequantize_with(HalfValue(tensor, d), tensor, out);
  }
}

}  // namespace lowbit
