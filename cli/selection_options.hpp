// SPDX-License-Identifier: MIT
// Which tensors of which files, and how their dimensions are meant: options of eval, quantize and
// plan.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lowbit/selection.hpp"

namespace lowbit::cli {

/// --include, --exclude, --all, --weight-layout, --axis.
class SelectionOptions {
 public:
  void add_to(CLI::App& command);
  /// \throws Error(usage) for a malformed expression or an unknown layout.
  [[nodiscard]] SelectionRules rules() const;
  [[nodiscard]] const std::optional<int>& axis() const { return axis_; }
  [[nodiscard]] const std::string& layout() const { return layout_; }

 private:
  std::vector<std::string> include_;
  std::vector<std::string> exclude_;
  bool all_ = false;
  std::string layout_ = "auto";
  std::optional<int> axis_;
};

/// The files that the arguments name: folders are replaced by the files of the model in them.
[[nodiscard]] std::vector<std::string> expanded_paths(const std::vector<std::string>& paths);

}  // namespace lowbit::cli
