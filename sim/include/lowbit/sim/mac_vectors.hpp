// SPDX-License-Identifier: MIT
/// \file
/// Test vectors of MAC units as files: JSON (beats and one FP32 word per segment) and $readmemh
/// memories for Verilog testbenches. docs/mac.md, Vectors, shows both.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "lowbit/sim/mac_stream.hpp"

namespace lowbit::sim {

/// Beats with the results that another program expects.
struct MacVectors {
  BeatStream stream;                    ///< the beats
  std::vector<std::uint32_t> expected;  ///< FP32 bit pattern of each finished segment
};

/// Reads {"lanes": L, "beats": [{"first", "a_sf", "w_sf", "a", "w"[, "last"]}...],
/// \param path  the JSON file
/// "expected_acc_fp32_hex": [...]}. "a" and "w" hold one hex digit per lane (two for elements of
/// more than 4 bits), lane 0 first; a_sf and w_sf are a byte, or for `gst` a list of four. Where no
/// beat has "last", the beat before each "first" ends its segment; beats after the last expected
/// result (the flush beat of the published vectors) make no result and are left out. \param shape
/// unit and format; its lane count is replaced by the file's. \throws Error(invalid_input) naming
/// the file and the beat.
[[nodiscard]] MacVectors read_mac_vectors(const std::filesystem::path& path, MacShape shape);
/// The same form, "last" included.
void write_mac_vectors(const std::filesystem::path& path, const MacVectors& vectors);

/// Writes two memories for $readmemh. PREFIX.beats.hex: one beat per line, from the high digits
/// down: a digit of control (bit 0 first, bit 1 last), the scale bytes of A, of W, the codes of A
/// (highest lane first), of W, codes of each padded to whole digits. PREFIX.expected.hex: FP32
/// words.
void write_readmemh(const std::filesystem::path& prefix, const MacVectors& vectors);
/// Reads them back. \throws Error(invalid_input) naming file and line.
[[nodiscard]] MacVectors read_readmemh(const std::filesystem::path& prefix, const MacShape& shape);

}  // namespace lowbit::sim
