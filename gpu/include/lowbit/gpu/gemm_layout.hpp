// SPDX-License-Identifier: MIT
/// \file
/// Which column of K each operand slot of the kernels' instructions takes. Host-device, so that the
/// kernels, the model that replays them and the tests use one definition.
#pragma once

#include "lowbit/gpu/gemm_expand.hpp"

namespace lowbit::gpu {

/// The column of K that term `slot` (0..15, the instruction's own k index) of instruction j takes
/// where a lane holds `lane_columns` neighbouring columns of one row, relative to the first lane's
/// first column. Word j / 2 of each lane (eight columns) feeds instruction j: expanded registers 0
/// and 1 the even ones, 2 and 3 the odd ones, in slots 2t, 2t + 1 and 8 + 2t, 9 + 2t for lane t of
/// the row's four.
[[nodiscard]] constexpr int fragment_column(int lane_columns, int j, int slot) {
  return lane_columns * (slot % 8 / 2) + 8 * (j / 2) +
         expanded_column(j % 2 * 2 + slot / 8, slot % 2);
}

/// Columns of K that four warps of the decode kernel, each with its own rows of B, take at once: 64
/// a lane.
inline constexpr int decode_super_step = 256;
/// Groups of warps that split K between them: group w sums super-steps w, w + 4, w + 8, ..., so
/// that together they read rows on.
inline constexpr int decode_splits = 4;
/// Instructions (m64n16k16) in a super-step.
inline constexpr int decode_instructions = decode_super_step / 16;

/// The i-th super-step of group w.
[[nodiscard]] constexpr int decode_step(int w, int i) {
  return w + i * decode_splits;
}
/// How many of the first `super_steps` super-steps are group w's.
[[nodiscard]] constexpr int decode_step_count(int w, int super_steps) {
  return super_steps <= w ? 0 : (super_steps - w - 1) / decode_splits + 1;
}
/// The column of K that term `slot` of instruction j (0..decode_instructions-1) of a super-step
/// takes, relative to the super-step's first column.
[[nodiscard]] constexpr int decode_column(int j, int slot) {
  return fragment_column(decode_super_step / 4, j, slot);
}

/// Where the decode kernel keeps FP16 of A for term `slot` of instruction j, row 0..15, in shared
/// memory: byte of a slot. A tile an instruction; in it atoms of eight rows by eight terms, 16
/// bytes per row, rows 0 to 7, rows 8 to 15, then the other eight terms. Offsets add up.
[[nodiscard]] constexpr int decode_a_offset(int j, int row, int slot) {
  return j * 512 + slot / 8 * 256 + row / 8 * 128 + row % 8 * 16 + slot % 8 * 2;
}
/// Bytes of A for a super-step.
inline constexpr int decode_a_bytes = decode_a_offset(decode_instructions, 0, 0);

/// A feeding warp, of two, expands for each lane one block of 16 columns of each of the four parts
/// of 64 columns of a row: the row, and which block of a part, of lane l of warp w. Expanded
/// register r of the four parts' words i of those blocks are 16 neighbouring bytes: slots 8 (r % 2)
/// on of instruction 4 block + 2 i + r / 2.
[[nodiscard]] constexpr int decode_a_row(int l) {
  return l % 16;
}
/// Block of a super-step whose codes lane l of warp w reads.
[[nodiscard]] constexpr int decode_a_block(int l, int w) {
  return l / 16 * 2 + w;
}

/// Columns of K that the wgmma kernel treats together: four instructions of 16, a block a lane of a
/// row.
inline constexpr int wgmma_group = 64;

/// The column of K that term `slot` (0..15) of the step-th instruction of the wgmma kernel takes.
[[nodiscard]] constexpr int wgmma_column(int step, int slot) {
  return step / 4 * wgmma_group + fragment_column(wgmma_group / 4, step % 4, slot);
}
/// Instructions that take K columns.
[[nodiscard]] constexpr int wgmma_step_count(int columns) {
  return (columns + wgmma_group - 1) / wgmma_group * 4;
}

}  // namespace lowbit::gpu
