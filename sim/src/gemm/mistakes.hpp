// SPDX-License-Identifier: MIT
// The mistakes that GEMM kernels make most often, as a list: what each is called and how it is
// made.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "lowbit/sim/gemm_model.hpp"

namespace lowbit::sim {

/// The GEMM whose output is wrong.
struct GemmCase {
  const GemmOperand& a;
  const GemmOperand& b;
  const GemmModel& model;
  std::size_t rows = 0;     ///< of D
  std::size_t columns = 0;  ///< of D
  bool has_c = false;
};

/// A GEMM that differs from the model's in one mistake.
struct Mistaken {
  std::string name;  ///< what a kernel would have done, in words
  GemmOperand a;
  GemmOperand b;
  GemmModel model;
  bool transposed = false;                 ///< D lies in memory as N x M
  const ElementFormat* through = nullptr;  ///< D was rounded to this on the way
};

/// Calls attempt with every mistake that can be made in this GEMM, one at a time, as each holds
/// copies of the operands. The operands of some have no product under the model: run_gemm() throws
/// Error for them.
void for_each_mistake(const GemmCase& gemm, const std::function<void(const Mistaken&)>& attempt);

}  // namespace lowbit::sim
