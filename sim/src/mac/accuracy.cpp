// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_accuracy.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

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
      const long double got =
          shape.unit == MacUnit::exact
              ? std::ldexp(approximate(WideInteger(results[n].acc)), scale.accumulator_exponent) /
                    scale.denominator
              : static_cast<long double>(std::bit_cast<float>(results[n].fp32)) / scale.denominator;
      ++error.outputs;
      error.inexact += got != wanted ? 1 : 0;
      squares += (got - wanted) * (got - wanted);
      energy += wanted * wanted;
    }
  }
  if (squares > 0) error.relative_rmse = static_cast<double>(std::sqrt(squares / energy));
  return error;
}

}  // namespace lowbit::sim
