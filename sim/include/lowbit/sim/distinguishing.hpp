// SPDX-License-Identifier: MIT
/// \file
/// Operands on which schedules differ: where a kernel's output fits several schedules, its output
/// on these operands fits fewer.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lowbit/sim/gemm_model.hpp"

namespace lowbit::sim {

/// Operands, and how far they tell the given schedules apart.
struct DistinguishingOperands {
  GemmOperand a;                    ///< 128 x K, in the format of the operand it is like
  GemmOperand b;                    ///< 128 x K
  std::vector<std::size_t> groups;  ///< of each schedule: schedules of one group give one output
  std::size_t group_count = 0;      ///< as many as there are schedules where all are told apart
};

/// Draws operands with sums that cancel and exponents far apart, and keeps those on which the most
/// schedules differ in the first 16 x 16 outputs. The same call gives the same operands.
/// \param a  an operand of the kernel: format and K are kept; kernels tile by up to 128 rows
/// \param b  the same of B
/// \param model  instruction and schedule; its schedule is not used
/// \param schedules  what is to be told apart
/// \param watch  is told of each attempt, and can end the search
/// \throws as prepare_operand().
[[nodiscard]] DistinguishingOperands distinguishing_operands(const GemmOperand& a,
                                                             const GemmOperand& b,
                                                             const GemmModel& model,
                                                             std::span<const Schedule> schedules,
                                                             const Watch& watch = {});

}  // namespace lowbit::sim
