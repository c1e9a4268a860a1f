// SPDX-License-Identifier: MIT
/// \file
/// D = A * B^T of two operands under a model: exact, or an instruction with a schedule. A is M x K,
/// B (a weight, blocks along K) N x K.
///
/// What an instruction is given:
/// - a block-scaled one (mxf4, mxf4nvf4, mxf8f6f4): codes and scale bytes as they are; the element
///   formats must agree, the scales be E8M0 for MX and E4M3 for NV formats (their sign bit is
///   ignored), and a block be a multiple of the instruction's. IF formats have no such instruction.
/// - a dense one (FP16, BF16, TF32) with block-quantized operands: the expansion that kernels make
/// on
///   the fly. Element times block scale times d (7 in IF4: float blocks by 7, integer blocks by 6)
///   times 2^prescale must be a number of the type, exactly, or the call is refused; d_A * d_B and
///   the prescales are left to the epilogue.
/// - a dense one with dense operands of its type: as they are.
///
/// The exact model takes any two operands: block-quantized ones, and plain matrices of any element
/// format, F32 included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/sim/exact.hpp"
#include "lowbit/sim/schedule.hpp"
#include "lowbit/sim/watch.hpp"

namespace lowbit::sim {

/// A dense matrix of an instruction's element format: rows x columns, in container_bits(format)
/// each (mma.hpp), every row starting on a byte.
struct DenseMatrix {
  const ElementFormat* format = nullptr;  ///< of the elements
  std::size_t rows = 0;                   ///< vectors along K
  std::size_t columns = 0;                ///< elements per row: K
  std::vector<std::uint8_t> bytes;  ///< rows x ceil(columns * container_bits / 8), little-endian
};
/// An operand of a GEMM: block-quantized, or a plain matrix: of an instruction's element type, or,
/// for the exact model, of any element format.
using GemmOperand = std::variant<BlockTensor, DenseMatrix>;
/// Rows of the operand: M of A, N of B.
[[nodiscard]] std::size_t rows_of(const GemmOperand& operand);
/// Columns of the operand: K.
[[nodiscard]] std::size_t columns_of(const GemmOperand& operand);
/// The rows of those numbers, in that order.
[[nodiscard]] GemmOperand select_rows(const GemmOperand& operand,
                                      std::span<const std::size_t> rows);

/// What computes D: an instruction under a schedule, or exact arithmetic.
struct GemmModel {
  const Instruction* instruction = nullptr;       ///< null: exact
  NanScale nan_scale = NanScale::error;           ///< what a NaN scale byte means
  TensorScale tensor_scale = TensorScale::exact;  ///< exact model only; schedule.epilogue otherwise
  Schedule schedule{};   ///< of the instruction; the exact model takes epilogue.output alone
  unsigned threads = 0;  ///< 0: as many as the machine has; the result is the same
};

/// An operand as the instruction sees it.
struct PreparedOperand {
  MmaOperand operand;             ///< decoded for the instruction
  std::uint32_t denominator = 1;  ///< d of an expanded block format
  int exponent = 0;               ///< its values are times 2^-this too large
};
/// \throws Error(usage) where the instruction cannot take the operand, saying why and which can;
///         Error(invalid_input) for NaN scales under NanScale::error and inexact expansions.
[[nodiscard]] PreparedOperand prepare_operand(const GemmOperand& operand,
                                              const Instruction& instruction, MmaSide side,
                                              const Schedule& schedule, NanScale nan_scale);
/// amax and constant of both (1 for dense operands), with what preparation left over.
[[nodiscard]] TensorScales tensor_scales(const GemmOperand& a, const GemmOperand& b,
                                         const PreparedOperand& prepared_a,
                                         const PreparedOperand& prepared_b);

/// M x N words of model.schedule.epilogue.output, row-major.
/// \param a  A, M x K
/// \param b  B, N x K (blocks along K)
/// \param model  what computes D
/// \param c  empty, or M x N values (instructions only).
/// \throws as prepare_operand, replay and exact_gemm.
[[nodiscard]] std::vector<std::uint32_t> run_gemm(const GemmOperand& a, const GemmOperand& b,
                                                  const GemmModel& model,
                                                  std::span<const float> c = {});

/// The first rows of D, as far as a run came.
struct GemmRun {
  std::size_t rows = 0;              ///< that are complete: M unless the caller stopped the run
  std::vector<std::uint32_t> words;  ///< rows x N
};
/// The same, row by row under the eyes of the caller.
[[nodiscard]] GemmRun run_gemm(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                               std::span<const float> c, const Watch& watch);

}  // namespace lowbit::sim
