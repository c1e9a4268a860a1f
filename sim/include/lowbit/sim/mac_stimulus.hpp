// SPDX-License-Identifier: MIT
/// \file
/// Streams of beats to run a MAC unit on: quantized tensors, random and directed patterns, and
/// exhaustive sweeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lowbit/block_tensor.hpp"
#include "lowbit/sim/mac_stream.hpp"

namespace lowbit::sim {

/// What a random segment stresses.
enum class MacPattern : std::uint8_t {
  uniform,           ///< any code, any scale byte (0x7F and 0xFF among them)
  ordinary,          ///< scales near 1, as quantized tensors have them
  cancellation,      ///< each beat followed by its negative but for one lane
  zero_blocks,       ///< all codes zero or -0, or a zero scale, in most beats
  subnormal_scales,  ///< E4M3 exponent field 0 (E8M0: near the bottom of the window)
  largest_scales,    ///< exponent field at the top
  wide_scales,       ///< one operand's scale at the bottom, the next beat's at the top
  code_8,            ///< nearly every code the sign bit alone
  maximal,           ///< largest magnitudes of one sign
};
/// How many patterns there are.
inline constexpr std::size_t mac_pattern_count = 9;
/// The value's name in snake_case, as the command prints it.
[[nodiscard]] std::string_view name_of(MacPattern pattern);

/// At least `beats` beats in whole segments (of 1 to 24 beats, a quarter of one beat, now and then
/// 200), the patterns in turn; the same seed gives the same stream.
[[nodiscard]] BeatStream random_stream(const MacShape& shape, std::size_t beats,
                                       std::uint64_t seed);
/// The same of one pattern.
[[nodiscard]] BeatStream random_stream(const MacShape& shape, std::size_t beats, std::uint64_t seed,
                                       MacPattern pattern);

/// One-beat segments, every pair of element codes on every lane in turn, under every combination of
/// integer flags, with scale 1. 4- and 3-bit formats; wider ones on lane 0 and the highest.
[[nodiscard]] BeatStream every_lane_product(const MacShape& shape);
/// One-beat segments: every pair of scale bytes with first_byte <= a byte < last_byte, one code
/// pair in all lanes.
[[nodiscard]] BeatStream every_scale_pair(const MacShape& shape, unsigned a_code, unsigned w_code,
                                          unsigned first_byte = 0, unsigned last_byte = 256);

/// Segments in which a block, or a group of 16 lanes of `gst`, cancels under the largest scales
/// while everything else has small ones: what a unit makes of the exponent of a sum that is zero.
[[nodiscard]] BeatStream cancelled_groups(const MacShape& shape, std::size_t segments,
                                          std::uint64_t seed);
/// Segments of float blocks whose sums are nearly the largest, under scales of odd significands:
/// only these have more bits than FP32 holds in a block of IF4.
[[nodiscard]] BeatStream longest_blocks(const MacShape& shape, std::size_t segments,
                                        std::uint64_t seed);

/// Rows [first_row, last_row) of A times every row of W, both with blocks along K: one segment an
/// output, in row-major order of the outputs.
/// \throws Error(usage) where formats or columns differ or the unit lacks the format.
[[nodiscard]] BeatStream product_stream(const MacShape& shape, const BlockTensor& a,
                                        const BlockTensor& w, std::size_t first_row,
                                        std::size_t last_row);

}  // namespace lowbit::sim
