// SPDX-License-Identifier: MIT
/// \file
/// The tile, the copies and the shared memory of the portable FP16 kernel (gemm_mma_f16.cu), and
/// its schedule. Host-device, so that a CPU test fills a stage and gathers fragments through the
/// functions that the kernel uses.
///
/// A CTA of four warps computes 128 x 128 outputs, each warp 64 x 64 of them, in super-steps of 128
/// columns of K. A stage of shared memory holds codes and scale bytes of one super-step as they
/// are: 128 rows of A, then 128 rows of B. A lane of a warp expands blocks 2t and 2t + 1 (t = lane
/// % 4) of each row r with r % 8 = lane / 4, one block at a time.
#pragma once

#include <cstdint>

#include "lowbit/gpu/gemm_layout.hpp"

namespace lowbit::gpu {

/// Bytes of an operand to a stage. Fewer source bytes than the copy's size: the rest becomes zeros.
struct StageCopy {
  std::uint32_t source = 0;       ///< from the tile's first row; 0 where no byte is read
  std::uint32_t destination = 0;  ///< from the operand's part of the stage
  int bytes = 0;                  ///< of the source
};

/// Tiles, shared-memory layout and copies of the portable kernel (gemm_{nvfp4,if4,if3}_mma_f16).
struct MmaF16 {
  static constexpr int tile = 128,      ///< rows and columns of D per CTA
      warp_tile = 64,                   ///< rows and columns of D per warp
      warps_across = tile / warp_tile;  ///< warps along one side of the tile
  static constexpr int threads = 32 * warps_across * warps_across;  ///< of a CTA
  static constexpr int step = 128,                                  ///< columns of K per super-step
      step_blocks = step / gemm_block;                              ///< blocks of them per row
  static constexpr int row_groups = warp_tile / 8;  ///< of eight rows, for each operand of a warp
  static constexpr int step_instructions = step / 16;  ///< m16n8k16 in a super-step
  static constexpr int block_instructions = 4;         ///< of them on a lane's block
  static constexpr int ring = 2;  ///< stages; a step takes longer than any latency

  /// Codes: blocks 0, 2, 4, 6 of every row, then blocks 1, 3, 5, 7, so that the eight bytes which
  /// the lanes of a half warp read are 128 neighbouring ones. Scales: 16 bytes per row.
  static constexpr int plane_bytes = tile * step_blocks / 2 * 8;
  static constexpr int scales_at = 2 * plane_bytes,  ///< offset of the scale bytes
      scale_pitch = 16;                              ///< bytes from row to row of them
  /// Of one operand in a stage
  static constexpr int operand_bytes = scales_at + tile * scale_pitch;
  static constexpr int stage_bytes = 2 * operand_bytes;  ///< of both operands
  static_assert(2 * (ring * stage_bytes + 1024) <= 100 * 1024,
                "two CTAs on a multiprocessor of sm_120");

  /// First of the eight code bytes of (row, block), in the operand's part of a stage.
  [[nodiscard]] static constexpr std::uint32_t code_offset(int row, int block) {
    return static_cast<std::uint32_t>((block & 1) * plane_bytes + row * 32 + (block >> 1) * 8);
  }
  /// Rows of scale bytes start anywhere in memory, and copies move aligned words: three words hold
  /// a row's eight bytes, from byte scale_shift of the first on.
  [[nodiscard]] static constexpr int scale_shift(int row, int k_blocks) {
    return row * k_blocks & 3;
  }
  /// Scale byte of (row, block), in the operand's part of a stage.
  [[nodiscard]] static constexpr std::uint32_t scale_offset(int row, int shift, int block) {
    return static_cast<std::uint32_t>(scales_at + row * scale_pitch + shift + block);
  }

  /// Each thread copies code_copies blocks of eight bytes and scale_copies words of each operand.
  static constexpr int code_copies = tile * step_blocks / threads;
  /// Words of scale bytes that each thread copies per operand
  static constexpr int scale_copies = tile * 4 / threads;

  /// The i-th block of codes of a thread; `rows` rows of the operand exist from the tile's first
  /// on.
  [[nodiscard]] static constexpr StageCopy code_copy(int thread, int i, int super_step, int rows,
                                                     int k_blocks) {
    const int row = thread / step_blocks + i * (threads / step_blocks);
    const int block = thread % step_blocks;
    const int column_block = super_step * step_blocks + block;
    const bool inside = row < rows && column_block < k_blocks;
    return {inside ? static_cast<std::uint32_t>(row * k_blocks + column_block) * 8 : 0,
            code_offset(row, block), inside ? 8 : 0};
  }
  /// The i-th word of scale bytes. Bytes past the end of K count as none, as the next row's bytes
  /// (a NaN among them, perhaps) must not meet the zero codes there; the fourth word is never used.
  [[nodiscard]] static constexpr StageCopy scale_copy(int thread, int i, int super_step, int rows,
                                                      int k_blocks) {
    const int row = thread / 4 + i * (threads / 4);
    const int word = thread % 4;
    const int shift = scale_shift(row, k_blocks);
    const int first = super_step * step_blocks + 4 * word;  // from the aligned start of the row
    const int left = k_blocks + shift - first;
    const int bytes = row >= rows || word == 3 || left < 0 ? 0 : left < 4 ? left : 4;
    return {bytes != 0 ? static_cast<std::uint32_t>(row * k_blocks - shift + first) : 0,
            static_cast<std::uint32_t>(scales_at + row * scale_pitch + 4 * word), bytes};
  }

  /// First row of A and first row of B of a warp, and where a lane's accumulators [i][j][r] belong.
  [[nodiscard]] static constexpr int warp_row_a(int warp) {
    return warp / warps_across * warp_tile;
  }
  /// First row of B of a warp.
  [[nodiscard]] static constexpr int warp_row_b(int warp) {
    return warp % warps_across * warp_tile;
  }
  /// Row of D, within the tile, of accumulator [i][.][r] of a lane.
  [[nodiscard]] static constexpr int d_row(int warp, int lane, int i, int r) {
    return warp_row_a(warp) + 16 * i + lane / 4 + 8 * (r / 2);
  }
  /// Column of D, within the tile, of accumulator [.][j][r] of a lane.
  [[nodiscard]] static constexpr int d_column(int warp, int lane, int j, int r) {
    return warp_row_b(warp) + 8 * j + 2 * (lane % 4) + r % 2;
  }
};

/// The schedule: one accumulator an output, from +0, instruction after instruction. The column of K
/// that term `slot` of instruction i takes: super-steps ascending, a quarter of one per lane.
[[nodiscard]] constexpr int mma_f16_column(int i, int slot) {
  return i / MmaF16::step_instructions * MmaF16::step +
         fragment_column(MmaF16::step / 4, i % MmaF16::step_instructions, slot);
}
/// Instructions on each output.
[[nodiscard]] constexpr int mma_f16_instructions(int k_blocks) {
  return (k_blocks + MmaF16::step_blocks - 1) / MmaF16::step_blocks * MmaF16::step_instructions;
}

}  // namespace lowbit::gpu
