// SPDX-License-Identifier: MIT
#include "lowbit/dequantize_as.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <memory>

#include "dequantize/dequantize_with.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {
namespace {

constexpr ConversionPolicy policy{.overflow = Overflow::infinity};

/// n / d rounded to odd: the quotient itself where it is a double, else the neighbour whose last
/// bit is set. Rounding that to a format of at most 51 significant bits gives what rounding the
/// exact quotient would (Boldo and Melquiond, 2008). n and d are exact, d > 0, and nothing here is
/// near binary64's range: |n / d| lies between 2^-320 and 2^270, n - v * d is exact in one fma.
double quotient_to_odd(double n, double d) {
  const double v = n / d;
  const double rest = std::fma(-v, d, n);
  auto bits = std::bit_cast<std::uint64_t>(v);
  if (rest == 0.0 || (bits & 1) != 0) return v;
  const bool too_small = (rest > 0.0) == (n > 0.0);
  return std::bit_cast<double>(too_small ? bits + 1 : bits - 1);
}

/// The factors of one element's value: q * s * A * (numerator of E) over C * (denominator of E).
class Factors {
 public:
  explicit Factors(const BlockTensor& tensor) : format_(*tensor.format), tensor_(tensor) {}

  /// \param index  of a code and its level, as in ValueTable::row()
  [[nodiscard]] double numerator(std::uint8_t scale_byte, std::uint32_t index) const {
    const double q = to_double(format_.element_of(scale_byte), index);
    const int level = static_cast<int>(index >> format_.element->bits);
    const double s = to_double(*format_.scale, format_.scale_magnitude(scale_byte));
    const int unit = format_.unit_of(scale_byte).numerator;
    return std::ldexp(q * s * unit * static_cast<double>(tensor_.amax),
                      format_.element_exponent + level);
  }
  [[nodiscard]] double denominator(std::uint8_t scale_byte) const {
    return static_cast<double>(tensor_.encode_constant) * format_.unit_of(scale_byte).denominator;
  }

 private:
  const BlockFormat& format_;
  const BlockTensor& tensor_;
};

}  // namespace

void dequantize_as(const Dtype& dtype, const BlockTensor& tensor, const Dialect& dialect,
                   std::span<float> out, unsigned threads) {
  if (!(dtype == dtype_f32 || dtype == dtype_f16 || dtype == dtype_bf16)) {
    throw Error(ErrorKind::usage,
                fmt::format("no dequantization to {}; there are F32, F16, BF16", dtype.name));
  }
  if (dtype == dtype_f32) return dequantize(tensor, out, &dialect, threads);
  const ElementFormat& half = dtype == dtype_f16 ? f16 : bf16;
  detail::dequantize_with(tensor, out, threads, [&]() -> detail::ValueTable {
    const BlockFormat& format = *tensor.format;
    if (dialect.dequantization == Dequantization::exact) {
      return {format,
              [&half, factors = Factors(tensor)](std::uint8_t scale_byte, std::uint32_t code) {
                const double n = factors.numerator(scale_byte, code);
                const double value =
                    std::isfinite(n) ? quotient_to_odd(n, factors.denominator(scale_byte)) : n;
                return to_float(half, from_double(half, value, policy));
              }};
    }
    auto values =
        std::make_shared<detail::ValueTable>(format, tensor.amax, tensor.encode_constant, dialect);
    return {format, [&half, values](std::uint8_t scale_byte, std::uint32_t code) {
              return to_float(half, from_float(half, values->row(scale_byte)[code], policy));
            }};
  });
}

}  // namespace lowbit
