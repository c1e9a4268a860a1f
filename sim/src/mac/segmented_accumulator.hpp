// SPDX-License-Identifier: MIT
// The accumulator of the exact unit as its register holds it (mac_rtl/lowbit_accumulate.sv). Its
// value is the sum modulo 2^width. The flag of overflow is raised on the register's sign, which
// carries between segments reach one beat later: within one unit of the top segment of the range's
// end the flag may come where the sum just fits, or not come where it is back in range one beat
// later.
#pragma once

#include <cstdint>

#include "lowbit/sim/wide_integer.hpp"

namespace lowbit::sim {

class SegmentedAccumulator {
 public:
  explicit SegmentedAccumulator(int width) : width_(width) {
    const int segments = width > segment ? width / segment : 1;
    for (int k = 1; k < segments; ++k) starts_ |= UInt128{1} << (k * segment);
    mask_ = ~UInt128{0} >> (128 - width);
  }

  void clear() { held_ = waiting_ = 0; }

  /// Adds one beat's value, which fits the width. \return whether the register overflows
  bool add(Int128 value) {
    const UInt128 x = static_cast<UInt128>(value) & mask_;
    UInt128 sum = 0;
    UInt128 leaving = 0;
    UInt128 rest = starts_;
    for (UInt128 low = 1; low != 0;) {
      const UInt128 above = rest & (~rest + 1);  // the next segment's lowest bit; 0 in the last
      const UInt128 part = above != 0 ? above - low : mask_ & ~(low - 1);
      const UInt128 segment_sum = (x & part) + (held_ & part) + (waiting_ & low);
      sum |= segment_sum & part;
      leaving |= segment_sum & above;
      rest &= rest - 1;
      low = above;
    }
    const bool overflow = negative(x) == negative(held_) && negative(sum) != negative(x);
    held_ = sum;
    waiting_ = leaving;
    return overflow;
  }

  /// The sum modulo 2^width, as a signed number.
  [[nodiscard]] Int128 value() const {
    const UInt128 sum = (held_ + waiting_) & mask_;
    return static_cast<Int128>(sum << (128 - width_)) >> (128 - width_);
  }
  /// Whether the waiting carries turn the sign from positive to negative.
  [[nodiscard]] bool late_overflow() const { return !negative(held_) && value() < 0; }

 private:
  static constexpr int segment = 12;  // parameter SEGMENT of lowbit_mac_exact_core

  [[nodiscard]] bool negative(UInt128 word) const { return (word >> (width_ - 1) & 1) != 0; }

  int width_;
  UInt128 mask_ = 0;
  UInt128 starts_ = 0;   // lowest bits of all segments but the first
  UInt128 held_ = 0;     // the register
  UInt128 waiting_ = 0;  // carries, at the lowest bits of the segments that they enter
};

}  // namespace lowbit::sim
