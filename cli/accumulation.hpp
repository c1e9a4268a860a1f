// SPDX-License-Identifier: MIT
// A model of the sums that a tensor core or a MAC unit makes of quantized operands, by name.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/sim/instruction.hpp"
#include "lowbit/sim/mac_stream.hpp"
#include "lowbit/sim/watch.hpp"

namespace lowbit::cli {

class Accumulation {
 public:
  /// \param name  an instruction of `lowbit mma --list`, or a MAC unit for block formats
  /// \throws Error(usage) that lists the units and the nearest instructions.
  explicit Accumulation(const std::string& name);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// inputs x outputs values, row-major: one output per row of the inputs and of the weights, by
  /// FP32 sums in order (instructions) or beat by beat (units), times both tensor scales.
  /// \throws Error(usage) where the model cannot take the formats, saying why.
  [[nodiscard]] std::vector<float> outputs(const BlockTensor& inputs, const BlockTensor& weights,
                                           unsigned threads, const sim::Watch& watch) const;

 private:
  std::string name_;
  std::variant<const sim::Instruction*, sim::MacUnit> model_;
};

}  // namespace lowbit::cli
