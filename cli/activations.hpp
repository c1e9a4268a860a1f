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

/// The tensors of a file, by weight: what a map file says, or NAME.input for NAME.weight (or NAME),
/// or the only tensor of the file whose last dimension is K.
class RecordedInputs {
 public:
  /// \param map  path of a JSON object {"weight": "input", ...}; may be empty
  /// \throws Error for what cannot be read.
  /// \param ending  of names that are looked for before NAME.input
  RecordedInputs(const std::string& path, const std::string& map, std::string ending);

  /// The input of a weight with `columns` inputs; nothing where none fits.
  /// \throws Error(invalid_input) where a paired input has another number of columns.
  [[nodiscard]] std::optional<RecordedInput> find(const std::string& weight,
                                                  std::size_t columns) const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] RecordedInput checked(const TensorInfo& tensor, const std::string& weight,
                                      std::size_t columns) const;
  std::string path_;
  TensorFile file_;
  std::map<std::string, std::string> map_;
  std::string ending_;
};

/// What a kernel computed: NAME.output [tokens x outputs] for NAME.weight (or NAME), or the file's
/// only float tensor of that many columns.
class RecordedOutputs {
 public:
  /// \throws Error for what cannot be read.
  explicit RecordedOutputs(const std::string& path);

  /// The values, row-major; empty where none fits. \throws Error(invalid_input) where the named one
  /// has another shape, or holds NaN or infinities.
  [[nodiscard]] std::vector<float> find(const std::string& weight, std::size_t tokens,
                                        std::size_t outputs) const;

 private:
  std::string path_;
  TensorFile file_;
};

/// Weights of the columns for the rules that search: the entry itself where it is one row that is
/// not called NAME.input, else the mean of the squares of its rows. \throws Error where there is
/// none for the weight, or it holds NaN or infinities.
[[nodiscard]] std::vector<float> column_importance(const RecordedInputs& inputs,
                                                   const std::string& weight, std::size_t columns);

}  // namespace lowbit::cli
