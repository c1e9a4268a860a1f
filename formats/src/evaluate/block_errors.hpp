// SPDX-License-Identifier: MIT
// The error sums of one block: the only place that adds them up.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "lowbit/metrics.hpp"

namespace lowbit::detail {

/// \param limit  the largest magnitude that the element could have kept
inline void add_element(double x, double q, double limit, ErrorStatistics& sums) {
  const double error = q - x;
  sums.squared_error += error * error;
  sums.squared_value += x * x;
  sums.squared_result += q * q;
  sums.product += x * q;
  const double magnitude = std::fabs(error);
  if (!(magnitude <= sums.max_abs_error) && !std::isnan(sums.max_abs_error)) {
    sums.max_abs_error = magnitude;
  }
  sums.clipped += std::fabs(x) > limit ? 1 : 0;
  sums.nonzero += x != 0.0 ? 1 : 0;
  sums.zeroed += x != 0.0 && q == 0.0 ? 1 : 0;
}

/// Elements of which no limit is known: nothing counts as clipped.
inline void add_errors(std::span<const float> x, std::span<const float> q, ErrorStatistics& sums) {
  sums.elements += x.size();
  for (std::size_t i = 0; i < x.size(); ++i) {
    add_element(x[i], q[i], std::numeric_limits<double>::infinity(), sums);
  }
}

class BlockErrors {
 public:
  /// \param amax, encode_constant  as in BlockTensor
  BlockErrors(const BlockFormat& format, float amax, float encode_constant) : format_(format) {
    const double scale = std::ldexp(static_cast<double>(amax), format.element_exponent);
    const double constant = encode_constant;
    float_numerator_ = format.largest_element() * scale;
    float_denominator_ = constant;
    if (format.is_adaptive()) {
      const Ratio unit = format.integer_unit();
      integer_numerator_ = largest_finite(*format.integer) * scale * unit.numerator;
      integer_denominator_ = constant * unit.denominator;
    }
  }

  /// Counts a block. \param rows  of it that are not padding: each has a scale byte of its own in
  /// memory and counts as a block.
  void begin_block(BlockChoice choice, std::size_t rows, ErrorStatistics& sums) const {
    const bool second = choice == BlockChoice::four || choice == BlockChoice::integer;
    sums.blocks += rows;
    sums.four_or_int += second ? rows : 0;
    sums.bits += rows * static_cast<std::uint64_t>(format_.block_size * format_.element->bits +
                                                   format_.scale->bits);
  }

  /// Adds one row of a block, element after element.
  /// \param x, q  originals and dequantized values, without padding
  void add(std::span<const float> x, std::span<const float> q, std::uint8_t scale_byte,
           ErrorStatistics& sums) const {
    const double limit = limit_of(scale_byte);
    sums.elements += x.size();
    for (std::size_t i = 0; i < x.size(); ++i) add_element(x[i], q[i], limit, sums);
  }

 private:
  /// The largest magnitude that the block can hold; one division rounds.
  [[nodiscard]] double limit_of(std::uint8_t scale_byte) const {
    const double scale = to_double(*format_.scale, format_.scale_magnitude(scale_byte));
    if (scale == 0.0) return std::numeric_limits<double>::infinity();
    return format_.is_integer_block(scale_byte) ? integer_numerator_ * scale / integer_denominator_
                                                : float_numerator_ * scale / float_denominator_;
  }

  const BlockFormat& format_;
  double float_numerator_ = 0.0;
  double float_denominator_ = 1.0;
  double integer_numerator_ = 0.0;
  double integer_denominator_ = 1.0;
};

}  // namespace lowbit::detail
