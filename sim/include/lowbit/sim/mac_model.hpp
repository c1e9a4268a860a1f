// SPDX-License-Identifier: MIT
/// \file
/// Bit models of the MAC units: what each must answer to a stream of beats, word for word. The
/// arithmetic is that of docs/mac.md (Arithmetic), computed from the format registry, not from the
/// RTL: `published` in plain IEEE float operations, `exact` in 128-bit integers (proved equal to
/// exact.hpp by a test), `gst` by mma.hpp, the baselines in integers and in std::fma.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lowbit/sim/mac_stream.hpp"

namespace lowbit::sim {

/// A bug that a unit could have, planted in the model: a campaign counts the segments whose result
/// it changes, so that a campaign that could not have seen the bug says so.
enum class MacDefect : std::uint8_t {
  none,
  nan_scale_as_480,         ///< byte 0x7F keeps its significand of 15 instead of reading as 448
  subnormal_scale_zero,     ///< E4M3 subnormals read as 0
  subnormal_scale_doubled,  ///< exponent field 0 taken as one above the right one
  code_8_zero,     ///< code 8 of an integer block reads as 0 instead of -8 (baselines: the most
                   ///< negative code)
  code_8_minus_8,  ///< code 8 of a float block reads as the integer would
  integer_flag_ignored,  ///< integer blocks decoded right but not scaled by 6/7
  two_integers_as_one,   ///< both operands integer: scaled as if one were
  constant_last_place,   ///< 6/7 and 36/49 one unit in the last place too large (exact: 84 as 85)
  top_lane_lost,         ///< the highest lane does not count
  first_ignored,         ///< the accumulator is not cleared when a segment starts
  last_beat_lost,        ///< the last beat of a segment does not count
  tree_in_sequence,      ///< published: lanes summed one after the other instead of in pairs
  sum_not_rounded,   ///< published, block_fp32, bf16_fma, fp8_fp32: sums kept in double, rounded at
                     ///< the end
  fraction_bits_34,  ///< gst: one bit less in the window
  fraction_bits_36,  ///< gst: one bit more
  groups_of_8,       ///< gst: each half of a group truncated by itself
  round_to_nearest,  ///< gst: the result rounded instead of truncated
  product_rounded,   ///< bf16_fma: the product rounded to FP32 before it is added
};
/// The value's name in snake_case, as the command prints it.
[[nodiscard]] std::string_view name_of(MacDefect defect);
/// The defects that have a meaning for a unit and format.
[[nodiscard]] std::vector<MacDefect> defects_of(MacUnit unit, const BlockFormat& format);

/// Result of each segment that ends in the stream, in order. An unfinished one at the end gives
/// none. Beats before the first `first` start a segment, as they do after reset.
[[nodiscard]] std::vector<MacResult> mac_model(const BeatStream& stream,
                                               MacDefect defect = MacDefect::none);

/// The value that the accumulator of `exact` and the FP32 results of `exact` and `block_fp32`
/// count: result * 2^exponent / denominator is the dot product (docs/mac.md, Arithmetic). 0 and 1
/// for the FP32 of `published` and `gst`.
struct MacUnitScale {
  int accumulator_exponent;   ///< value of bit 0 of out_acc_o is 2^this / denominator
  std::uint32_t denominator;  ///< d * d of the format; FP32 results are denominator times too large
};
/// The scale of a unit's results for a format that the unit supports.
[[nodiscard]] MacUnitScale mac_unit_scale(MacUnit unit, const BlockFormat& format);

}  // namespace lowbit::sim
