// SPDX-License-Identifier: MIT
#include "lowbit/dequantize_as.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {
namespace {

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

  [[nodiscard]] double numerator(std::uint8_t scale_byte, std::uint32_t code) const {
    const double q = to_double(format_.element_of(scale_byte), code);
    const double s = to_double(*format_.scale, format_.scale_magnitude(scale_byte));
    const int unit = format_.unit_of(scale_byte).numerator;
    return std::ldexp(q * s * unit * static_cast<double>(tensor_.amax), format_.element_exponent);
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
                   std::span<float> out) {
  if (!(dtype == dtype_f32 || dtype == dtype_f16 || dtype == dtype_bf16)) {
    throw Error(ErrorKind::usage,
                fmt::format("no dequantization to {}; there are F32, F16, BF16", dtype.name));
  }
  dequantize(tensor, out, &dialect);
  if (dtype == dtype_f32) return;
  const ElementFormat& half = dtype == dtype_f16 ? f16 : bf16;
  const ConversionPolicy policy{.overflow = Overflow::infinity};
  if (dialect.dequantization != Dequantization::exact) {
    for (float& value : out) value = to_float(half, from_float(half, value, policy));
    return;
  }
  const Factors factors(tensor);
  const auto size = static_cast<std::size_t>(tensor.format->block_size);
  for (std::size_t r = 0; r < tensor.rows; ++r) {
    for (std::size_t c = 0; c < tensor.columns; ++c) {
      const std::uint8_t scale_byte = tensor.scale(r, c / size);
      const double n = factors.numerator(scale_byte, tensor.code(r, c));
      const double value =
          std::isfinite(n) ? quotient_to_odd(n, factors.denominator(scale_byte)) : n;
      out[r * tensor.columns + c] = to_float(half, from_double(half, value, policy));
    }
  }
}

}  // namespace lowbit
