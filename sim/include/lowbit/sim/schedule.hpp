// SPDX-License-Identifier: MIT
/// \file
/// How a kernel strings instructions together: which steps along K go to which accumulator and in
/// which order, when a partial sum is promoted, how sums are reduced, and the epilogue. Replaying a
/// schedule on an instruction model gives the kernel's output, word for word. docs/schedules.md.
///
/// A step is one instruction along K: step s covers k in [s * K_instruction, (s + 1) *
/// K_instruction), the last one padded with zeros, as kernels do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lowbit/sim/exact.hpp"
#include "lowbit/sim/mma.hpp"

namespace lowbit::sim {

/// Whether an accumulator takes its steps from the first or from the last.
enum class StepOrder : std::uint8_t { forward, backward };

/// How FP32 partial sums p0, p1, ... become one, each addition rounded to nearest even.
enum class Reduction : std::uint8_t {
  sequential,  ///< ((p0 + p1) + p2) + ...
  pairwise,    ///< neighbours: (p0 + p1) + (p2 + p3), again until one is left
  reverse,     ///< ((pn + pn-1) + ...) + p0
};

/// How the tensor scales (amax / encode_constant of each operand) enter.
enum class AlphaRule : std::uint8_t {
  none,        ///< they do not
  product,     ///< acc * alpha, alpha given or fl(fl(amax_A / C_A) * fl(amax_B / C_B)), divided by
               ///< the operands' denominator where that is not 1
  rational,    ///< acc * alpha, alpha = amax_A * amax_B / (C_A * C_B * denominator) rounded once
  sequential,  ///< fl(fl(acc * fl(amax_A / C_A)) * fl(amax_B / C_B)), then divided by the
               ///< denominator
  exact,       ///< acc * amax_A * amax_B / (C_A * C_B * denominator), rounded once to FP32
};

/// How the source C joins: v is the scaled accumulator.
enum class Combine : std::uint8_t {
  fma,         ///< fma(alpha, acc, fl(beta * C)); without a single alpha, as mul_add
  fma_source,  ///< fma(beta, C, v)
  mul_add,     ///< fl(v + fl(beta * C))
};

/// What happens to the reduced FP32 accumulator.
struct Epilogue {
  AlphaRule scale = AlphaRule::none;  ///< how the tensor scales enter
  std::optional<float> alpha{};  ///< for AlphaRule::product, instead of the tensor scales' product
  float beta = 0.0F;             ///< ignored without a C
  Combine combine = Combine::fma;      ///< how C joins
  const ElementFormat* output = &f32;  ///< f32, f16 or bf16: to nearest even, overflow to infinity
  /// Whether all fields are equal.
  friend bool operator==(const Epilogue&, const Epilogue&) = default;
};

/// Which accumulator takes which steps, and how partial sums become D (docs/schedules.md).
struct Schedule {
  std::size_t split_k = 1;       ///< slices of K with accumulators of their own
  std::size_t split_run = 0;     ///< 0: contiguous slices of ceil(steps / split_k) steps; otherwise
                                 ///< runs of that many steps are dealt to the slices in turn
  std::size_t accumulators = 1;  ///< of each slice
  std::size_t accumulator_run = 1;  ///< a slice's steps are dealt to them in runs of that many
  std::size_t promote = 0;  ///< every so many steps of an accumulator its partial sum is added to
                            ///< an FP32 sum (to nearest) and starts again from 0; 0: never
  StepOrder order = StepOrder::forward;         ///< of each accumulator's steps
  Reduction reduction = Reduction::sequential;  ///< of a slice's accumulators, then of the slices
  /// Where not empty: the steps of each accumulator, as they run; replaces all of the above but
  /// promote and reduction.
  std::vector<std::vector<std::uint32_t>> explicit_steps{};
  /// Which column a position of the instructions' K holds, as a permutation of 0..P-1 that repeats
  /// every P columns (P a multiple of the instruction's K); empty: in order. Not for block-scaled
  /// instructions.
  std::vector<std::uint32_t> column_order{};
  /// Block-quantized operands that are expanded for a dense instruction are multiplied by 2^this.
  int prescale = 0;
  Epilogue epilogue{};  ///< what happens to the reduced accumulator
  /// Whether all fields are equal.
  friend bool operator==(const Schedule&, const Schedule&) = default;
};

/// The steps of every accumulator, slice by slice; accumulators without steps are left out.
struct Plan {
  /// Slice, accumulator, step numbers
  std::vector<std::vector<std::vector<std::uint32_t>>> slices;
  std::size_t promote = 0;                      ///< as Schedule::promote
  Reduction reduction = Reduction::sequential;  ///< as Schedule::reduction
  /// Whether all fields are equal.
  friend bool operator==(const Plan&, const Plan&) = default;
};
/// \throws Error(usage) for zero counts or explicit steps that do not name each step once.
[[nodiscard]] Plan plan(const Schedule& schedule, std::size_t steps);

/// The two tensors' FP32 scales, and the denominator and power of two that their operands leave to
/// the epilogue (gemm_model.hpp).
struct TensorScales {
  float amax_a = 1.0F;            ///< A of the first tensor
  float constant_a = 1.0F;        ///< C of the first tensor
  float amax_b = 1.0F;            ///< A of the second tensor
  float constant_b = 1.0F;        ///< C of the second tensor
  std::uint32_t denominator = 1;  ///< the accumulator is that many times too large
  int exponent = 0;               ///< the accumulator is times 2^-this too large
};

/// D = epilogue(A * B), A and B prepared for the instruction.
/// \param instruction  whose arithmetic
/// \param a  rows of A
/// \param b  columns of B
/// \param schedule  the order of the sums and the epilogue
/// \param scales  what the epilogue multiplies by
/// \param threads  0: as many as the machine has
/// \param c  empty, or M x N values added with weight beta.
/// \returns M x N words of schedule.epilogue.output, row-major; NaN is the format's quiet NaN.
/// Accumulators start from +0. An instruction with FP16 accumulators promotes and reduces in FP32.
/// The result does not depend on `threads` (0: all).
[[nodiscard]] std::vector<std::uint32_t> replay(const Instruction& instruction, const MmaOperand& a,
                                                const MmaOperand& b, const Schedule& schedule,
                                                const TensorScales& scales = {},
                                                std::span<const float> c = {},
                                                unsigned threads = 0);

/// The accumulators of one output after each step, in the order in which the plan runs them,
/// before any reduction: how the sums run.
struct RunningSum {
  std::uint32_t step;       ///< its number along K
  std::size_t accumulator;  ///< counted over slices
  float partial;            ///< the instruction's accumulator after the step
  float sum;                ///< with what was promoted before
};
/// a and b hold one vector each.
[[nodiscard]] std::vector<RunningSum> running_sums(const Instruction& instruction,
                                                   const MmaOperand& a, const MmaOperand& b,
                                                   const Schedule& schedule);

/// The epilogue alone, on one reduced accumulator. \returns a word of epilogue.output.
[[nodiscard]] std::uint32_t apply_epilogue(const Epilogue& epilogue, const TensorScales& scales,
                                           float accumulator,
                                           std::optional<float> c = std::nullopt);

/// One line in words: "split-K 2, promote every 4, ...", or "one accumulator, K forward".
[[nodiscard]] std::string describe(const Schedule& schedule);

/// The JSON form (docs/schedules.md). \throws Error(invalid_input), naming `source` and the key,
/// for anything that is not a schedule.
[[nodiscard]] Schedule schedule_from_json(const std::string& text, const std::string& source);
/// The JSON form that schedule_from_json reads back to the same schedule.
[[nodiscard]] std::string schedule_to_json(const Schedule& schedule);

}  // namespace lowbit::sim
