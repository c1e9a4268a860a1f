// SPDX-License-Identifier: MIT
// Recorded inputs of layers, and which weight each belongs to.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lowbit/selection.hpp"

namespace lowbit::cli {

/// A recorded input: tokens x K.
struct RecordedInput {
  const TensorInfo* tensor = nullptr;
  std::size_t tokens = 0;
};

/// The tensors of a file, by weight. NAME.weight (or NAME) is paired with NAME.input; else with
/// what a map file says; else with the only tensor of the file whose last dimension is K.
class RecordedInputs {
 public:
  /// \param map  path of a JSON object {"weight": "input", ...}; may be empty
  /// \throws Error for what cannot be read.
  RecordedInputs(const std::string& path, const std::string& map);

  /// The input of a weight with `columns` inputs; nothing where none fits.
  /// \throws Error(invalid_input) where a paired input has another number of columns.
  [[nodiscard]] std::optional<RecordedInput> find(const std::string& weight,
                                                  std::size_t columns) const;

 private:
  [[nodiscard]] RecordedInput checked(const TensorInfo& tensor, const std::string& weight,
                                      std::size_t columns) const;
  std::string path_;
  TensorFile file_;
  std::map<std::string, std::string> map_;
};

}  // namespace lowbit::cli
