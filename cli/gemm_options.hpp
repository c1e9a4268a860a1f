// SPDX-License-Identifier: MIT
// What `lowbit gemm` and `lowbit verify gemm` share: operands, model, schedule.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "file_arguments.hpp"
#include "gemm_operand.hpp"
#include "lowbit/dtype.hpp"
#include "lowbit/sim/gemm_model.hpp"

namespace lowbit::cli {

/// One output type: how the option and the file spell it.
struct OutputType {
  const ElementFormat* format;
  const Dtype* dtype;
};
[[nodiscard]] std::optional<OutputType> output_type_of_dtype(std::string_view dtype);
[[nodiscard]] const Dtype& dtype_of_output(const ElementFormat& format);

class GemmOptions {
 public:
  void add_to(CLI::App& command, FileArguments& files);

  /// Reads operands and schedule. \throws Error as the readers and models do.
  struct Problem {
    sim::GemmOperand a;
    sim::GemmOperand b;
    std::vector<float> c;
    sim::Instruction instruction;  ///< with its alternatives; where `exact` is false
    bool exact = true;
    sim::GemmModel model;        ///< model.instruction is set by model_of
    std::string text_a, text_b;  ///< "128 x 256 nvfp4 (FILE, NAME)"
  };
  [[nodiscard]] Problem load() const;

  /// One line that names model, schedule and scales.
  [[nodiscard]] static std::string describe(const Problem& problem);
  /// "K = 256 in 4 instructions of 64", and whether the last is zero-padded.
  [[nodiscard]] static std::string describe_k(const Problem& problem);

 private:
  GemmOperandOptions a_{'a'}, b_{'b'};
  std::string c_, c_tensor_;
  std::string model_;
  std::vector<std::string> alternatives_;
  std::string schedule_;
  std::optional<std::size_t> split_k_, promote_;
  std::string nan_scale_ = "error";
  std::string tensor_scale_;
  std::optional<float> alpha_, beta_;
  unsigned threads_ = 0;
};

}  // namespace lowbit::cli
