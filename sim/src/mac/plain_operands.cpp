// SPDX-License-Identifier: MIT
// Operands of the baselines: matrices of plain numbers as codes and as beats.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "lowbit/conversion.hpp"
#include "lowbit/sim/mac_model.hpp"
#include "lowbit/sim/mac_operands.hpp"

namespace lowbit::sim {
namespace {

/// The number that a code of a row without a scale stands for.
double number_of(const BlockFormat& format, unsigned code, bool weights) {
  if (!format.element->is_integer())
    return static_cast<double>(finite_value(*format.element, code));
  const int bits = weights ? weight_bits(format) : format.element->bits;
  const int value = static_cast<int>(code & ((1U << bits) - 1));
  return value >= 1 << (bits - 1) ? value - (1 << bits) : value;
}

std::string packed(const PlainTensor& t, std::size_t row, std::size_t column, std::size_t lanes) {
  const auto bits = static_cast<std::size_t>(t.format->element->bits);
  std::string digits;
  for (std::size_t i = lanes; i-- > 0;) {
    const unsigned code = column + i < t.columns ? t.codes[row * t.columns + column + i] : 0U;
    digits += fmt::format("{:0{}x}", code, bits / 4);
  }
  return digits;
}

}  // namespace

PlainTensor encode_plain(std::span<const float> values, std::size_t rows, std::size_t columns,
                         const BlockFormat& format, bool weights) {
  const ElementFormat& e = *format.element;
  PlainTensor t{&format, rows, columns, {}, {}};
  t.codes.reserve(values.size());
  t.values.reserve(values.size());
  const int bits = weights ? weight_bits(format) : e.bits;
  // Two's complement of one bit has the values 0 and -1; of more bits the magnitudes are symmetric.
  const double largest = e == bf16        ? 0.0
                         : e.is_integer() ? std::max(1.0, std::ldexp(1.0, bits - 1) - 1)
                                          : static_cast<double>(largest_finite(e));
  for (std::size_t row = 0; row < rows; ++row) {
    const auto of_row = values.subspan(row * columns, columns);
    double amax = 0;
    for (const float x : of_row) amax = std::max(amax, std::fabs(static_cast<double>(x)));
    const double scale = largest == 0 || amax == 0 ? 1.0 : amax / largest;
    for (const float x : of_row) {
      unsigned code = 0;
      if (e.is_integer()) {
        const double low = -std::ldexp(1.0, bits - 1);
        const double high = std::ldexp(1.0, bits - 1) - 1;
        const auto integer = static_cast<int>(std::clamp(std::nearbyint(x / scale), low, high));
        code = static_cast<unsigned>(integer) & ((1U << bits) - 1);
      } else {
        code = from_double(e, x / scale);
      }
      t.codes.push_back(static_cast<std::uint16_t>(code));
      t.values.push_back(number_of(format, code, weights) * scale);
    }
  }
  return t;
}

std::string operand_beats(const PlainTensor& a, const PlainTensor& w, int lanes,
                          std::size_t beats) {
  const auto step = static_cast<std::size_t>(lanes);
  std::string text;
  std::size_t written = 0;
  for (std::size_t output = 0; written < beats; ++output) {
    const std::size_t row = output % a.rows, column = output / a.rows % w.rows;
    for (std::size_t k = 0; k < a.columns && written < beats; k += step, ++written) {
      text += fmt::format("{} {} 00 00 {} {}\n", k == 0 ? 1 : 0, k + step >= a.columns ? 1 : 0,
                          packed(a, row, k, step), packed(w, column, k, step));
    }
  }
  return text;
}

AccumulatorError accumulator_error(const MacShape& shape, const PlainTensor& a,
                                   const PlainTensor& w, std::size_t rows) {
  AccumulatorError error;
  long double squares = 0;
  long double energy = 0;
  const auto step = static_cast<std::size_t>(shape.lanes);
  for (std::size_t row = 0; row < std::min(rows, a.rows); ++row) {
    BeatStream stream(shape);
    std::vector<long double> exact;
    for (std::size_t n = 0; n < w.rows; ++n) {
      long double sum = 0;
      for (std::size_t k = 0; k < a.columns; ++k) {
        if (k % step == 0) stream.push(k == 0, k + step >= a.columns, 0, 0);
        const unsigned x = a.codes[row * a.columns + k];
        const unsigned y = w.codes[n * w.columns + k];
        stream.set_a(static_cast<int>(k % step), x);
        stream.set_w(static_cast<int>(k % step), y);
        sum += static_cast<long double>(number_of(*a.format, x, false)) *
               number_of(*w.format, y, true);
      }
      exact.push_back(sum);
    }
    const std::vector<MacResult> results = mac_model(stream);
    for (std::size_t n = 0; n < results.size(); ++n) {
      const long double got = shape.has_accumulator()
                                  ? static_cast<long double>(results[n].acc)
                                  : static_cast<long double>(std::bit_cast<float>(results[n].fp32));
      ++error.outputs;
      error.inexact += got != exact[n] ? 1 : 0;
      squares += (got - exact[n]) * (got - exact[n]);
      energy += exact[n] * exact[n];
    }
  }
  if (squares > 0) error.relative_rmse = static_cast<double>(std::sqrt(squares / energy));
  return error;
}

}  // namespace lowbit::sim
