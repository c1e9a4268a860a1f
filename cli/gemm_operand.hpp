// SPDX-License-Identifier: MIT
// One operand of `lowbit gemm`: which file, which tensor, how it is stored.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "file_arguments.hpp"
#include "lowbit/dump_file.hpp"
#include "lowbit/sim/gemm_model.hpp"
#include "lowbit/sim/instruction.hpp"

namespace lowbit::cli {

class GemmOperandOptions {
 public:
  /// \param side  "a" or "b", as in --a
  explicit GemmOperandOptions(char side) : side_(side) {}
  /// \param help  of the file
  void add_to(CLI::App& command, FileArguments& files, const char* help);

  /// \param instruction  null for the exact model
  /// \param wanted  its element format on this side; null for the exact model
  /// \param text  set to "128 x 256 nvfp4 (FILE, NAME)"
  [[nodiscard]] sim::GemmOperand load(const sim::Instruction* instruction,
                                      const ElementFormat* wanted, std::string& text) const;

 private:
  [[nodiscard]] BlockTensor described_blocks(std::string& name) const;

  char side_;
  std::string path_, tensor_, format_, layout_;
  DumpNames names_;
};

}  // namespace lowbit::cli
