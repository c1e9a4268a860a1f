// SPDX-License-Identifier: MIT
// How the elements and scales of a block format become integers: docs/exact.md, Units.
#pragma once

#include <array>
#include <cstdint>

#include "lowbit/block_format.hpp"
#include "lowbit/sim/wide_integer.hpp"

namespace lowbit::sim {

/// Tables of one format, indexed by code or scale byte.
struct OperandCoding {
  const BlockFormat* format = nullptr;
  /// Every element times 2^-element_exponent * denominator is the integer in the tables.
  int element_exponent = 0;
  std::uint32_t denominator = 1;
  /// What a raw element counts in float blocks [0] and integer blocks [1] of an IF format: IF4 7
  /// and 12, IF3 3 and 4, IF6 31 and 60 or 448; 1 elsewhere.
  std::array<std::int32_t, 2> factor{1, 1};
  /// Raw elements, without the factor, of float [0] and integer [1] blocks.
  std::array<std::array<std::int64_t, 256>, 2> raw{};
  std::array<NumberClass, 256> element_class{};  ///< infinity and NaN of FP8; finite otherwise
  bool has_specials = false;
  std::int64_t largest_raw = 0;    ///< magnitude over both tables
  std::int64_t largest_value = 0;  ///< magnitude of raw * factor over both tables

  /// A scale byte is scale_significand * 2^(scale_shift + scale_exponent).
  int scale_exponent = 0;
  bool has_shifts = false;  ///< whether some scale_shift is not 0
  std::array<std::int32_t, 256> scale_significand{};
  std::array<std::int16_t, 256> scale_shift{};
  std::array<bool, 256> scale_is_nan{};  ///< the three above then hold the largest finite scale
  std::array<std::uint8_t, 256> block_kind{};  ///< 1: integer block
  std::int64_t largest_significand = 0;
};

/// The tables of a registry format. Built once.
[[nodiscard]] const OperandCoding& operand_coding(const BlockFormat& format);

}  // namespace lowbit::sim
