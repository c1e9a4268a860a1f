// SPDX-License-Identifier: MIT
/// \file
/// Which column of K each operand slot of the kernels' instructions takes. Host-device, so that the
/// kernels, the model that replays them and the tests use one definition.
#pragma once

#include "lowbit/gpu/gemm_expand.hpp"

namespace lowbit::gpu {

/// Columns of K that a warp of the decode kernel reads at once.
inline constexpr int decode_super_step = 128;
/// Warps that split K between them: warp w sums super-steps w, w + 16, w + 32, ..., so that together they read rows on.
inline constexpr int decode_splits = 16;
/// mma.sync instructions in a super-step.
inline constexpr int decode_instructions = decode_super_step / 16;

/// The i-th super-step of warp w.
[[nodiscard]] constexpr int decode_step(int w, int i) { return w + i * decode_splits; }
/// How many of the first `super_steps` super-steps are warp w's.
[[nodiscard]] constexpr int decode_step_count(int w, int super_steps) {
  return super_steps <= w ? 0 : (super_steps - w - 1) / decode_splits + 1;
}

/// The column of K that term `slot` (0..15, the instruction's own k index) of instruction j
/// (0..decode_instructions-1) of a super-step takes, relative to the super-step's first column.
/// A lane holds 32 neighbouring columns of one row; the instruction takes four of each of the four
/// lanes of a row. Slot 2t + h is half h of register 0 of lane t, slot 8 + 2t + h of register 1.
[[nodiscard]] constexpr int decode_column(int j, int slot) {
  const int lane = slot % 8 / 2;
  const int reg = (j % 2) * 2 + slot / 8;
  return 32 * lane + 8 * (j / 2) + expanded_column(reg, slot % 2);
}

/// Columns of K that the wgmma kernel treats together: four instructions of 16, a block a lane of a row.
inline constexpr int wgmma_group = 64;

/// The column of K that term `slot` (0..15) of the step-th instruction of the wgmma kernel takes. Of its group, lane t of a
/// row of A holds block t; word j / 2 of the block feeds instruction j: expanded registers 0 and 1 the even ones, 2 and 3 the
/// odd ones, in slots 2t, 2t + 1 and 8 + 2t, 9 + 2t.
[[nodiscard]] constexpr int wgmma_column(int step, int slot) {
  const int block = slot % 8 / 2;
  const int j = step % 4;
  return step / 4 * wgmma_group + 16 * block + 8 * (j / 2) + expanded_column(j % 2 * 2 + slot / 8, slot % 2);
}
/// Instructions that take K columns.
[[nodiscard]] constexpr int wgmma_step_count(int columns) { return (columns + wgmma_group - 1) / wgmma_group * 4; }

}  // namespace lowbit::gpu
