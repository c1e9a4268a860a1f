// SPDX-License-Identifier: MIT
// Options that several subcommands share: which files, which tensors, how to read raw ones.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {

/// --dtype and --shape of raw binary files.
class RawOptions {
 public:
  void add_to(CLI::App& command);
  [[nodiscard]] std::optional<RawLayout> layout() const;

 private:
  std::string dtype_;
  std::string shape_;
};

/// --include and --exclude.
class NameFilter {
 public:
  void add_to(CLI::App& command);
  /// Compiles the expressions; Error(usage) where one is malformed.
  void compile();
  [[nodiscard]] bool accepts(const std::string& name) const;

 private:
  std::vector<std::string> include_text_;
  std::vector<std::string> exclude_text_;
  std::vector<std::regex> include_;
  std::vector<std::regex> exclude_;
};

/// --set axis=value, repeatable.
void add_axes_option(CLI::App& command, std::vector<std::string>& axes);
/// The name of the dialect with those axes set: NAME+axis=value...
[[nodiscard]] std::string dialect_with(const std::string& name,
                                       const std::vector<std::string>& axes);

/// Other names (formats, rules, dialects: lowbit/names.hpp); each throws Error(usage) that lists
/// what there is.
[[nodiscard]] NonFinite nonfinite_named(const std::string& name);
/// Of --scale-max.
inline constexpr const char* scale_max_help =
    "Largest scale: 448 or 256; of amdfp4 114688 or 65536";
[[nodiscard]] float scale_max_named(const std::string& text, const BlockFormat& format);
[[nodiscard]] const Dtype& dtype_named(const std::string& name);

}  // namespace lowbit::cli
