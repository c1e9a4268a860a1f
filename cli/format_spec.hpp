// SPDX-License-Identifier: MIT
// What --format takes: a block format with its scale rule, a reference codec, or "keep".
#pragma once

#include <string>
#include <string_view>

#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/reference_codec.hpp"

namespace lowbit::cli {

struct FormatSpec {
  const BlockFormat* format = nullptr;  ///< null: a codec, or one of those below
  ScaleRule rule = ScaleRule::static_6;
  int search_radius = 0;  ///< of the rule `search`
  const ReferenceCodec* codec = nullptr;
  bool is_recipe = false;  ///< each tensor's own format, as a recipe says

  /// The tensor stays as it is.
  [[nodiscard]] bool keeps() const { return format == nullptr && codec == nullptr && !is_recipe; }
  [[nodiscard]] std::string_view name() const;
  /// "mse", "search:3"; empty where there is no rule.
  [[nodiscard]] std::string rule_name() const;
  /// As --format takes it.
  [[nodiscard]] std::string label() const;
  friend bool operator==(const FormatSpec&, const FormatSpec&) = default;
};

/// "nvfp4", "if4:mse", "nvfp4:search:3", "q4_k", "keep". \throws Error(usage) that lists what there
/// is.
/// \param rule  the rule, where it is written apart
[[nodiscard]] FormatSpec format_spec_of(const std::string& text, const Dialect& dialect,
                                        const std::string& rule = {});

}  // namespace lowbit::cli
