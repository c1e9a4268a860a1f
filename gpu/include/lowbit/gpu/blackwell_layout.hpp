// SPDX-License-Identifier: MIT
/// \file
/// Where the operands of Blackwell's block-scaled FP4 instructions lie: register fragments of
/// mma.sync m16n8k64 (sm_120a), shared-memory tiles, descriptors and tensor-memory scales of
/// tcgen05.mma (sm_100a). Host-device, so that a CPU test gathers whole tiles through the functions
/// that the kernels use. The kernels have not run on hardware.
/// Source: PTX ISA 9.0, "Warp-level block scaling" and "tcgen05".
#pragma once

#include <cstdint>

namespace lowbit::gpu {

/// One m16n8k64 step of mma.sync kind::mxf4nvf4.
struct Sm120Mma {
  static constexpr int m = 16,  ///< rows of D
      n = 8,                    ///< columns of D
      k = 64,                   ///< columns of K
      a_registers = 4,          ///< per lane, of A
      b_registers = 2,          ///< per lane, of B
      d_registers = 4;          ///< per lane, of D
  /// Row of A in register r of a lane, and the first of the eight columns of K it holds.
  [[nodiscard]] static constexpr int a_row(int lane, int r) { return (lane >> 2) + 8 * (r & 1); }
  /// First of the eight columns of K in register r of a lane.
  [[nodiscard]] static constexpr int a_column(int lane, int r) {
    return 8 * (lane & 3) + 32 * (r >> 1);
  }
  /// Row of B (column of D) and the first of the eight columns of K in register r.
  [[nodiscard]] static constexpr int b_row(int lane) { return lane >> 2; }
  /// First of the eight columns of K in register r of a lane.
  [[nodiscard]] static constexpr int b_column(int lane, int r) { return 8 * (lane & 3) + 32 * r; }
  /// Row of D in register r of a lane.
  [[nodiscard]] static constexpr int d_row(int lane, int r) { return (lane >> 2) + 8 * (r >> 1); }
  /// Column of D in register r of a lane.
  [[nodiscard]] static constexpr int d_column(int lane, int r) { return 2 * (lane & 3) + (r & 1); }
  /// The row of A whose four scale bytes (byte j: columns 16j..16j+15) this lane supplies with
  /// thread-id 0: lanes 4i and 4i+1 supply rows i and i+8, the others are not read.
  [[nodiscard]] static constexpr int scale_a_row(int lane) { return (lane >> 2) + 8 * (lane & 1); }
  /// The row of B whose scales this lane supplies with thread-id 0: lane 4i supplies row i.
  [[nodiscard]] static constexpr int scale_b_row(int lane) { return lane >> 2; }
};

/// One tcgen05.mma kind::mxf4nvf4 .block16, cta_group::1, 128 x 128 x 64, and stages of four.
struct Sm100Mma {
  static constexpr int m = 128,                          ///< rows of D
      n = 128,                                           ///< columns of D
      k = 64,                                            ///< columns of K of one instruction
      stage_k = 256;                                     ///< columns of K of a stage
  static constexpr int row_bytes = stage_k / 2;          ///< one row of the 128-byte swizzle
  static constexpr int operand_bytes = 128 * row_bytes;  ///< of one operand in a stage
  /// Scale bytes of a stage and operand: four 512-byte tiles of 128 rows x 4 blocks.
  static constexpr int scale_bytes = stage_k / 64 * 512;

  /// Byte of a K-major operand tile: row 0..127, byte of the row 0..127. The copy and the tensor
  /// core exchange address bits 4-6 with themselves XOR bits 7-9 (128-byte swizzle).
  [[nodiscard]] static constexpr std::uint32_t operand_offset(int row, int byte) {
    const auto linear = static_cast<std::uint32_t>(row * row_bytes + byte);
    return linear ^ (linear >> 7 & 7) << 4;
  }
  /// Tensor-memory lane, column and byte where tcgen05.cp 32x128b.warpx4 puts byte `offset` of a
  /// 512-byte scale tile (lanes are repeated in the four groups of 32).
  [[nodiscard]] static constexpr int scale_lane(int offset) { return offset / 16; }
  /// Tensor-memory column of byte `offset`.
  [[nodiscard]] static constexpr int scale_column(int offset) { return offset / 4 % 4; }
  /// Byte within the tensor-memory word of byte `offset`.
  [[nodiscard]] static constexpr int scale_byte(int offset) { return offset % 4; }
  /// The row of the operand whose scales the instruction reads at (lane, column) of a tile.
  [[nodiscard]] static constexpr int scale_row(int lane, int column) { return lane + 32 * column; }

  /// Shared-memory descriptor of an operand tile: K-major, 128-byte swizzle (mode 2), atoms of
  /// eight rows 1024 bytes apart, version 1. `step` selects 64 of the stage's 256 columns.
  [[nodiscard]] static constexpr std::uint64_t operand_descriptor(std::uint32_t address, int step) {
    return static_cast<std::uint64_t>((address + static_cast<std::uint32_t>(step) * 32) >> 4 &
                                      0x3FFF) |
           std::uint64_t{1} << 16 | std::uint64_t{1024 >> 4} << 32 | std::uint64_t{1} << 46 |
           std::uint64_t{2} << 61;
  }
  /// Descriptor of a 512-byte scale tile for tcgen05.cp: no swizzle, eight rows of 16 bytes
  /// together.
  [[nodiscard]] static constexpr std::uint64_t scale_descriptor(std::uint32_t address, int step) {
    return static_cast<std::uint64_t>((address + static_cast<std::uint32_t>(step) * 512) >> 4 &
                                      0x3FFF) |
           std::uint64_t{1} << 16 | std::uint64_t{128 >> 4} << 32 | std::uint64_t{1} << 46;
  }
  /// Instruction descriptor: A and B E2M1 (code 1, bits 7-9 and 10-12), scales UE4M3 (bit 23
  /// clear), N / 8 in bits 17-22, M / 128 in bits 27-28, scale ids 0, K 64.
  [[nodiscard]] static constexpr std::uint32_t instruction_descriptor() {
    return 1U << 7 | 1U << 10 | static_cast<std::uint32_t>(n / 8) << 17 |
           static_cast<std::uint32_t>(m / 128) << 27;
  }
};

}  // namespace lowbit::gpu
