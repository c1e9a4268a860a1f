// SPDX-License-Identifier: MIT
/// \file
/// Why does an output differ from its model? The mistakes that GEMM kernels make most often, each
/// replayed on the operands and compared word for word: a layout, scale or arithmetic that explains
/// every word is named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lowbit/sim/gemm_model.hpp"

namespace lowbit::sim {

struct Hypothesis {
  std::string name;        ///< what a kernel would have done, in words
  std::size_t sampled = 0;  ///< outputs it was tried on
  std::size_t sample_mismatches = 0;
  bool explains_all = false;  ///< every word of the output is as it would be then
};

struct Diagnosis {
  std::size_t tried = 0;
  std::size_t sampled = 0;
  std::size_t sample_mismatches = 0;  ///< of the model itself
  /// Those that explain every word; where there are none, the best few that mend at least half of
  /// the sampled mismatches.
  std::vector<Hypothesis> hypotheses;
  /// Facts about the output that need no replay: all zero, all mismatches in some rows or columns,
  /// a constant ratio to the model.
  std::vector<std::string> observations;
};

/// \param output  M x N words of model.schedule.epilogue.output that differ from `expected`, what
///                run_gemm(a, b, model, c) gives.
[[nodiscard]] Diagnosis diagnose(const GemmOperand& a, const GemmOperand& b, const GemmModel& model,
                                 std::span<const std::uint32_t> expected,
                                 std::span<const std::uint32_t> output,
                                 std::span<const float> c = {});

}  // namespace lowbit::sim
