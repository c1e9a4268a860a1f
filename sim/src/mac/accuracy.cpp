// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_accuracy.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "lowbit/detail/parallel.hpp"
#include "lowbit/sim/exact.hpp"
#include "lowbit/sim/mac_model.hpp"
#include "lowbit/sim/mac_stimulus.hpp"

namespace lowbit::sim {
namespace {

/// Nearest long double but for the limbs far below the top: 2^-64 relative, far finer than FP32.
long double approximate(const WideInteger& integer) {
  const WideInteger magnitude = integer.magnitude();
  long double sum = 0;
  for (std::size_t i = WideInteger::limb_count; i-- > 0;) {
    sum = sum * 0x1p64L + static_cast<long double>(magnitude.limbs()[i]);
  }
  return integer.is_negative() ? -sum : sum;
}

/// What a result stands for, before any tensor scale.
long double value_of(const MacResult& result, MacUnit unit, const MacUnitScale& scale) {
  const long double count =
      unit == MacUnit::exact
          ? std::ldexp(approximate(WideInteger(result.acc)), scale.accumulator_exponent)
          : static_cast<long double>(std::bit_cast<float>(result.fp32));
  return count / scale.denominator;
}

}  // namespace

AccumulatorError accumulator_error(const MacShape& shape, const BlockTensor& a,
                                   const BlockTensor& w, std::size_t rows) {
  rows = std::min(rows, a.rows);
  const MacUnitScale scale = mac_unit_scale(shape.unit, *shape.format);
  AccumulatorError error;
  long double squares = 0;
  long double energy = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::vector<MacResult> results = mac_model(product_stream(shape, a, w, row, row + 1));
    for (std::size_t n = 0; n < results.size(); ++n) {
      const ExactValue exact = exact_dot(a, row, w, n, NanScale::largest);
      const long double wanted =
          std::ldexp(approximate(exact.integer), exact.exponent) / exact.denominator;
      const long double got = value_of(results[n], shape.unit, scale);
      ++error.outputs;
      error.inexact += got != wanted ? 1 : 0;
      squares += (got - wanted) * (got - wanted);
      energy += wanted * wanted;
    }
  }
  if (squares > 0) error.relative_rmse = static_cast<double>(std::sqrt(squares / energy));
  return error;
}

std::vector<float> unit_outputs(const MacShape& shape, const BlockTensor& a, const BlockTensor& w,
                                unsigned threads, const Watch& watch) {
  constexpr std::size_t rows_at_once = 8;
  const MacUnitScale scale = mac_unit_scale(shape.unit, *shape.format);
  const long double tensor_scale = static_cast<long double>(a.amax) / a.encode_constant *
                                   static_cast<long double>(w.amax) / w.encode_constant;
  std::vector<float> out(a.rows * w.rows);
  for (std::size_t first = 0; first < a.rows; first += rows_at_once) {
    if (watch.stopped()) {
      out.resize(first * w.rows);
      break;
    }
    const std::size_t count = std::min(rows_at_once, a.rows - first);
    lowbit::detail::parallel_chunks(count, 1, threads, [&](std::size_t begin, std::size_t end) {
      const std::vector<MacResult> results =
          mac_model(product_stream(shape, a, w, first + begin, first + end));
      for (std::size_t i = 0; i < results.size(); ++i) {
        out[(first + begin) * w.rows + i] =
            static_cast<float>(value_of(results[i], shape.unit, scale) * tensor_scale);
      }
    });
    watch.tell("rows", first + count, a.rows);
  }
  return out;
}

}  // namespace lowbit::sim
