// SPDX-License-Identifier: MIT
// The error sums of one block: the only place that adds them up.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "lowbit/metrics.hpp"

namespace lowbit::detail {

/// The sums over elements in binary64, in sixteen lanes: element i of a block's row goes to lane
/// i % 16, and the lanes are added at the end, always in the same order. A vector holds the lanes
/// as they are, so every engine adds in this order and gives the same sums.
struct LaneSums {
  static constexpr std::size_t count = 16;
  using Lanes = std::array<double, count>;
  Lanes squared_error{};
  Lanes squared_value{};
  Lanes squared_result{};
  Lanes product{};
  Lanes max_abs_error{};

  void add_to(ErrorStatistics& sums) const {
    sums.squared_error += total(squared_error);
    sums.squared_value += total(squared_value);
    sums.squared_result += total(squared_result);
    sums.product += total(product);
    for (const double m : max_abs_error) keep_larger(sums.max_abs_error, m);
  }
  /// NaN stays.
  static void keep_larger(double& kept, double value) {
    if (!(value <= kept) && !std::isnan(kept)) kept = value;
  }

 private:
  /// Halves onto each other: lane i and i + 8, then i + 4, 2, 1.
  static double total(Lanes lanes) {
    for (std::size_t n = count / 2; n > 0; n /= 2) {
      for (std::size_t i = 0; i < n; ++i) lanes[i] += lanes[i + n];
    }
    return lanes[0];
  }
};

/// One element: what is added up to a lane, what is counted to `sums`.
/// \param limit  the largest magnitude that the element could have kept
inline void add_element(double x, double q, double limit, std::size_t lane, LaneSums& lanes,
                        ErrorStatistics& sums) {
  const double error = q - x;
  lanes.squared_error[lane] += error * error;
  lanes.squared_value[lane] += x * x;
  lanes.squared_result[lane] += q * q;
  lanes.product[lane] += x * q;
  LaneSums::keep_larger(lanes.max_abs_error[lane], std::fabs(error));
  sums.clipped += std::fabs(x) > limit ? 1 : 0;
  sums.nonzero += x != 0.0 ? 1 : 0;
  sums.zeroed += x != 0.0 && q == 0.0 ? 1 : 0;
}

/// Elements of which no limit is known: nothing counts as clipped. Lanes go on from one part of the
/// tensor to the next: the first element of x is number sums.elements of it.
inline void add_errors(std::span<const float> x, std::span<const float> q, LaneSums& lanes,
                       ErrorStatistics& sums) {
  const std::size_t first = sums.elements;
  sums.elements += x.size();
  for (std::size_t i = 0; i < x.size(); ++i) {
    add_element(x[i], q[i], std::numeric_limits<double>::infinity(), (first + i) % LaneSums::count,
                lanes, sums);
  }
}

class BlockErrors {
 public:
  /// \param amax, encode_constant  as in BlockTensor
  BlockErrors(const BlockFormat& format, float amax, float encode_constant) : format_(format) {
    const double scale = std::ldexp(static_cast<double>(amax), format.element_exponent);
    const double constant = encode_constant;
    float_numerator_ = format.largest_element() * format.largest_level() * scale;
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
    sums.four_or_int += second ? rows : 0;
    count_blocks(rows, sums);
  }
  /// Counts blocks and their bits, not their choices.
  void count_blocks(std::size_t blocks, ErrorStatistics& sums) const {
    sums.blocks += blocks;
    sums.bits += blocks * static_cast<std::uint64_t>(format_.block_size * format_.element->bits +
                                                     format_.scale->bits + format_.level_bits());
  }

  /// Adds one row of a block: what is added up to the lanes, what is counted to `sums`.
  /// \param x, q  originals and dequantized values, without padding
  void add(std::span<const float> x, std::span<const float> q, std::uint8_t scale_byte,
           LaneSums& lanes, ErrorStatistics& sums) const {
    const double limit = limit_of(scale_byte);
    sums.elements += x.size();
    for (std::size_t i = 0; i < x.size(); ++i) {
      add_element(x[i], q[i], limit, i % LaneSums::count, lanes, sums);
    }
  }
  /// The largest binary32 number that the block can hold.
  [[nodiscard]] float largest_held(std::uint8_t scale_byte) const {
    const double limit = limit_of(scale_byte);
    const auto nearest = static_cast<float>(limit);
    return nearest > limit ? std::nextafter(nearest, 0.0F) : nearest;
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
