// SPDX-License-Identifier: MIT
// The inner loops of the batched models: one row of A against 16 columns of B, one lane per column.
#pragma once

#include <cstdint>
#include <span>

namespace lowbit::sim::detail {

inline constexpr int lane_count = 16;
inline constexpr int max_terms = 32;

/// One aligned step. B is [k][lane].
struct AlignedLanes {
  const std::int16_t* a_significands;
  const std::int16_t* a_exponents;
  const std::int16_t* b_significands;
  const std::int16_t* b_exponents;
  const std::uint8_t* order;  // which k the products take: `count` of them
  int count;                  // at most max_terms
  int up;                     // fraction bits of a term minus those of a product, >= 0
  int exponent_of_zero;
  const std::int32_t* scale_exponents;  // [lane], added to every product's
  std::int32_t* largest;                // [lane]: exponent of C on entry, of the window on return
  std::int64_t* sums;  // [lane]: of the products, in units of the window's last place
};

/// One grouped step of four groups of 16. Elements are in halves; nonzero masks have one bit per
/// element; B is [k][lane], its scales and masks [group][lane].
struct GroupedLanes {
  const std::int16_t* a_halves;
  const std::int16_t* b_halves;
  const std::uint16_t* a_nonzero;
  const std::uint16_t* b_nonzero;
  const std::int16_t* a_scale_significands;
  const std::int16_t* a_scale_exponents;
  const std::int16_t* b_scale_significands;
  const std::int16_t* b_scale_exponents;
  int up;  // fraction bits of a term minus those of a group sum times its scales, >= 0
  int exponent_of_zero;
  std::int32_t* largest;
  std::int64_t* sums;
};

struct LaneKernels {
  const char* target;
  void (*aligned)(const AlignedLanes&);
  void (*grouped)(const GroupedLanes&);
};

/// The kernels that this processor can run, those for the widest vectors first. All give the same
/// words; the first set is used.
[[nodiscard]] std::span<const LaneKernels> lane_kernels();

}  // namespace lowbit::sim::detail
