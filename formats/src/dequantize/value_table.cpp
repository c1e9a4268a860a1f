// SPDX-License-Identifier: MIT
#include "dequantize/value_table.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "dequantize/exact_quotient.hpp"
#include "lowbit/input_type.hpp"

namespace lowbit::detail {
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
  ExactValue(const BlockFormat& format, std::uint8_t scale_byte, float amax, float constant)
      : element_(format.element_of(scale_byte)),
        scale_(decode(*format.scale, format.scale_magnitude(scale_byte))),
        unit_(format.unit_of(scale_byte)),
        a_(parts_of(amax)),
        c_(parts_of(constant)),
        exponent_(scale_.exponent + a_.exponent - c_.exponent + format.element_exponent) {}

  [[nodiscard]] float operator()(std::uint32_t code) const {
    const Number q = decode(element_, code);
    if (q.number_class == NumberClass::nan || scale_.number_class == NumberClass::nan) {
      return std::numeric_limits<float>::quiet_NaN();
    }
    const bool is_zero = q.number_class == NumberClass::zero;
    const bool negative = (q.negative && !(is_zero && element_.is_integer())) != scale_.negative;
    if (q.number_class == NumberClass::infinity || scale_.number_class == NumberClass::infinity) {
      const bool undefined = is_zero || scale_.number_class == NumberClass::zero;
      const float magnitude = undefined ? std::numeric_limits<float>::quiet_NaN()
                                        : std::numeric_limits<float>::infinity();
      return negative ? -magnitude : magnitude;
    }
    // At most 8 + 4 + 24 + 5 bits above and 24 + 6 below.
    return rounded_quotient(negative,
                            std::uint64_t{q.significand} * scale_.significand * a_.significand *
                                static_cast<unsigned>(unit_.numerator),
                            c_.significand * static_cast<unsigned>(unit_.denominator),
                            q.exponent + exponent_);
  }

 private:
  const ElementFormat& element_;
  Number scale_;
  Ratio unit_;
  Parts a_;
  Parts c_;
  int exponent_;
};

/// The chain of fouroversix: the code's value and the scale meet in half precision.
class HalfValue {
 public:
  HalfValue(const BlockFormat& format, std::uint8_t scale_byte, float amax, float constant,
            const Dialect& dialect)
      : format_(format),
        dialect_(dialect),
        element_(format.element_of(scale_byte)),
        unit_(format.unit_of(scale_byte)),
        scale_(half(to_float(*format.scale, format.scale_magnitude(scale_byte)))),
        amax_(amax),
        constant_(constant) {}

  [[nodiscard]] float operator()(std::uint32_t code) const {
    float q = element_ == int3 && dialect_.int3_coding == Int3Coding::sign_magnitude
                  ? static_cast<float>(code & 3) * ((code & 4) != 0 ? -1.0F : 1.0F)
                  : to_float(element_, code);
    if (unit_ != Ratio{}) {
      q = half(q * (static_cast<float>(unit_.numerator) / static_cast<float>(unit_.denominator)));
    }
    // The bits of x86: an E4M3 NaN keeps its widened payload, 0 * infinity is the default NaN.
    if (std::isnan(scale_)) return std::bit_cast<float>(0x7ff00000U);
    if (q == 0.0F && std::isinf(scale_)) return std::bit_cast<float>(0xffc00000U);
    const float h = half(q * scale_);
    if (format_.family() == ScaleFamily::mx) return std::ldexp(h, format_.element_exponent);
    const float scaled = h * amax_;
    return dialect_.constant_division == ConstantDivision::divide ? scaled / constant_
                                                                  : scaled * (1.0F / constant_);
  }

 private:
  static float half(float value) { return round_to_input_type(value, InputType::float16); }

  const BlockFormat& format_;
  const Dialect& dialect_;
  const ElementFormat& element_;
  Ratio unit_;
  float scale_;
  float amax_;
  float constant_;
};

template <typename Value>
void fill_with(const Value& value, std::size_t codes, float* values) {
  for (std::uint32_t code = 0; code < codes; ++code) values[code] = value(code);
}

}  // namespace

ValueTable::ValueTable(const BlockFormat& format, float amax, float encode_constant,
                       const Dialect& dialect)
    : format_(format),
      dialect_(dialect),
      amax_(amax),
      encode_constant_(encode_constant),
      codes_(format.element->code_count()),
      values_(std::size_t{256} * codes_) {}

void ValueTable::fill(std::uint8_t scale_byte, float* values) {
  known_[scale_byte] = true;
  switch (dialect_.dequantization) {
    case Dequantization::exact:
      return fill_with(ExactValue(format_, scale_byte, amax_, encode_constant_), codes_, values);
    case Dequantization::via_half:
      return fill_with(HalfValue(format_, scale_byte, amax_, encode_constant_, dialect_), codes_,
                       values);
  }
}

}  // namespace lowbit::detail
