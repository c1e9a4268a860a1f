// SPDX-License-Identifier: MIT
// Which format each tensor gets: written by `lowbit plan`, applied by eval and quantize.
#pragma once

#include <map>
#include <string>

#include "lowbit/format_spec.hpp"

namespace lowbit::cli {

class Recipe {
 public:
  /// Reads {"recipe": 1, "layers": [{"name": .., "format": ..}, ..]}; other keys are not looked at.
  /// \throws Error(invalid_input) naming file and place; Error(usage) for an unknown format.
  static Recipe read(const std::string& path, const Dialect& dialect);

  /// The format of a tensor, "keep" for one that the recipe does not name.
  [[nodiscard]] FormatSpec find(const std::string& tensor) const;
  [[nodiscard]] const std::map<std::string, FormatSpec>& layers() const { return layers_; }
  /// \throws Error(usage) where the recipe names a tensor that is not among these.
  void check(const std::map<std::string, bool>& tensors) const;

 private:
  std::string path_;
  std::map<std::string, FormatSpec> layers_;
};

}  // namespace lowbit::cli
