// SPDX-License-Identifier: MIT
#include "dequantize/value_table.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "dequantize/exact_quotient.hpp"
#include "lowbit/approximate.hpp"
#include "lowbit/input_type.hpp"
#include "quantize/tensor_constants.hpp"

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

/// q * s * A / C, times E where the block is an integer one, doubled as the level says, rounded
/// once.
class ExactValue {
 public:
  ExactValue(const BlockFormat& format, std::uint8_t scale_byte, float amax, float constant)
      : element_(format.element_of(scale_byte)),
        scale_(decode(*format.scale, format.scale_magnitude(scale_byte))),
        unit_(format.unit_of(scale_byte)),
        a_(parts_of(amax)),
        c_(parts_of(constant)),
        exponent_(scale_.exponent + a_.exponent - c_.exponent + format.element_exponent) {}

  [[nodiscard]] float operator()(std::uint32_t index) const {
    const Number q = decode(element_, index);
    const int level = static_cast<int>(index >> element_.bits);
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
                            q.exponent + level + exponent_);
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

/// The chains of libraries that bring the two scales together first, or divide by one at the end.
class ScaledValue {
 public:
  ScaledValue(const BlockFormat& format, std::uint8_t scale_byte, float amax, float constant,
              const Dialect& dialect, InputType input_type)
      : element_(format.element_of(scale_byte)), dialect_(dialect) {
    float s = to_float(*format.scale, format.scale_magnitude(scale_byte));
    if (format.family() == ScaleFamily::mx) {
      // gguf's half scale of byte 255 is 2^127; MLX's scale is infinite.
      if (dialect.mx_range == MxRange::wrapped && std::isnan(s)) {
        s = dialect.mx_element_scale == MxElementScale::unclamped
                ? std::numeric_limits<float>::infinity()
                : 0x1p127F;
      }
      if (dialect.mx_element_scale == MxElementScale::cuda_exp2 && scale_byte == 0) {
        s = 0x1p-127F - 0x1p-149F;
      }
      if (dialect.mx_range == MxRange::one_to_254 && scale_byte == 0) s = 0.0F;
      if (dialect.mx_element_scale == MxElementScale::four_thirds) {
        s = s < 0x1p-126F ? 0.0F : s / 0.75F;
      }
      scale_ = s;
      return;
    }
    const TensorScales t = tensor_scales(dialect, constant, amax, input_type);
    switch (dialect.dequantization) {
      case Dequantization::decode_product:
        scale_ = s * t.decode;
        break;
      case Dequantization::decode_product_or_one:
        scale_ = s * t.decode;
        if (!(scale_ >= 1e-5F)) scale_ = 1.0F;
        break;
      case Dequantization::decode_product_finite:
        scale_ = s * t.decode;
        if (!std::isfinite(scale_)) scale_ = 1.0F;
        break;
      case Dequantization::amax_product:
        scale_ = dialect.tensor_scale == TensorScale::one ? s : s * (amax / constant);
        break;
      case Dequantization::full_scale_quotient:
        scale_ = div_full(s, t.encode);
        break;
      case Dequantization::bf16_full_division:
        scale_ = s;
        divisor_ = t.encode;
        break;
      default:
        scale_ = s / t.encode;
        break;
    }
  }

  [[nodiscard]] float operator()(std::uint32_t code) const {
    float value = to_float(element_, code) * scale_;
    if (divisor_ != 1.0F) value = div_full(value, divisor_);
    const Dequantization d = dialect_.dequantization;
    if (d == Dequantization::bf16_scale_quotient || d == Dequantization::bf16_full_division) {
      value = round_to_input_type(value, InputType::bfloat16);
    }
    return dialect_.dequantized_zero == DequantizedZero::positive && value == 0.0F ? 0.0F : value;
  }

 private:
  const ElementFormat& element_;
  const Dialect& dialect_;
  float scale_ = 1.0F;
  float divisor_ = 1.0F;
};

template <typename Value>
void fill_with(const Value& value, std::size_t codes, float* values) {
  for (std::uint32_t code = 0; code < codes; ++code) values[code] = value(code);
}

/// \param values  of 256 codes
RowShape shape_of(const ElementFormat& element, const float* values) {
  const auto bits_of = [](float v) { return std::bit_cast<std::uint32_t>(v); };
  const float unit = values[unit_code(element)];
  if (!std::isfinite(unit)) return RowShape::any;
  for (std::uint32_t code = 0; code < 256; ++code) {
    const float number = element.is_integer() ? static_cast<float>(static_cast<std::int8_t>(code))
                                              : to_float(element, code);
    const float product = std::isnan(number) ? values[0x7F] : number * unit;
    if (bits_of(values[code]) != bits_of(product)) return RowShape::any;
  }
  return RowShape::multiples;
}

}  // namespace

ValueTable::ValueTable(const BlockFormat& format, float amax, float encode_constant,
                       const Dialect& dialect, InputType input_type)
    : format_(format),
      dialect_(dialect),
      input_type_(input_type),
      amax_(amax),
      encode_constant_(encode_constant),
      codes_(row_size(format)),
      values_(std::size_t{256} * codes_) {}

ValueTable::ValueTable(const BlockFormat& format, Value value)
    : value_(std::move(value)),
      format_(format),
      codes_(row_size(format)),
      values_(std::size_t{256} * codes_) {}

void ValueTable::fill(std::uint8_t scale_byte, float* values) {
  known_[scale_byte] = true;
  compute(scale_byte, values);
  if (format_.element->bits == 8) shapes_[scale_byte] = shape_of(*format_.element, values);
}

void ValueTable::compute(std::uint8_t scale_byte, float* values) const {
  if (value_) {
    return fill_with([&](std::uint32_t code) { return value_(scale_byte, code); }, codes_, values);
  }
  switch (dialect_.dequantization) {
    case Dequantization::exact:
      return fill_with(ExactValue(format_, scale_byte, amax_, encode_constant_), codes_, values);
    case Dequantization::via_half:
      return fill_with(HalfValue(format_, scale_byte, amax_, encode_constant_, dialect_), codes_,
                       values);
    default:
      return fill_with(
          ScaledValue(format_, scale_byte, amax_, encode_constant_, dialect_, input_type_), codes_,
          values);
  }
}

}  // namespace lowbit::detail
