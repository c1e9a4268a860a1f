// SPDX-License-Identifier: MIT
// Operands of the tensor-core models as the loops read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lowbit/sim/mma.hpp"
#include "lowbit/sim/mma_core.hpp"
#include "tensor_core/lanes.hpp"

namespace lowbit::sim {

using detail::lane_count;

/// Elements and scales of all vectors, in the layout that the lane loops read: A is [vector][k], B
/// is [panel of 16 vectors][k][lane], both zero-padded.
struct MmaDecoded {
  MmaSide side = MmaSide::a;
  MmaRule rule = MmaRule::aligned;
  const ElementFormat* format = nullptr;
  const ElementFormat* scale = nullptr;
  int k = 0;
  std::size_t padded = 0;  // elements of a vector
  std::size_t blocks = 0;  // scales of a vector
  std::size_t runs = 0;    // runs of 16 elements of a vector
  std::size_t steps = 0;
  std::vector<std::int16_t> significands;  // grouped rules: the values in halves
  std::vector<std::int16_t> exponents;
  std::vector<std::uint8_t> classes;             // NumberClass, and `minus` where negative
  std::vector<std::int16_t> scale_significands;  // scale_nan where NaN
  std::vector<std::int16_t> scale_exponents;
  std::vector<std::uint16_t> nonzero;  // a bit an element, for grouped rules
  std::vector<std::uint8_t> special;   // a step of this vector holds NaN or infinity

  static constexpr std::uint8_t minus = 4;
  static constexpr std::int16_t scale_nan = -1;

  [[nodiscard]] std::size_t index(std::size_t vector, std::size_t i, std::size_t count) const {
    if (side == MmaSide::a) return vector * count + i;
    return ((vector / lane_count) * count + i) * lane_count + vector % lane_count;
  }
  [[nodiscard]] NumberClass element_class(std::size_t at) const {
    return static_cast<NumberClass>(classes[at] & 3U);
  }
  [[nodiscard]] MmaTerm element(std::size_t vector, std::size_t i) const {
    const std::size_t at = index(vector, i, padded);
    // Grouped rules hold halves, which the exponent scales back.
    const int significand = runs != 0 ? significands[at] / (1 << exponents[at]) : significands[at];
    return {static_cast<std::int16_t>(significand), exponents[at], element_class(at),
            (classes[at] & minus) != 0};
  }
  [[nodiscard]] MmaTerm scale_term(std::size_t vector, std::size_t i) const {
    const std::size_t at = index(vector, i, blocks);
    if (scale_significands[at] == scale_nan) return {0, 0, NumberClass::nan, false};
    return {scale_significands[at], scale_exponents[at],
            scale_significands[at] == 0 ? NumberClass::zero : NumberClass::finite, false};
  }
};

}  // namespace lowbit::sim
