// SPDX-License-Identifier: MIT
// What --format takes: a block format with its scale rule, or a reference codec.
#pragma once

#include <string>
#include <string_view>

#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/reference_codec.hpp"

namespace lowbit::cli {

struct FormatSpec {
  const BlockFormat* format = nullptr;  ///< null: a codec
  ScaleRule rule = ScaleRule::static_6;
  const ReferenceCodec* codec = nullptr;

  [[nodiscard]] std::string_view name() const;
  /// Of the rule; empty for a codec.
  [[nodiscard]] std::string rule_name() const;
  /// As --format takes it.
  [[nodiscard]] std::string label() const;
  friend bool operator==(const FormatSpec&, const FormatSpec&) = default;
};

/// "nvfp4", "if4:mse", "q4_k". \throws Error(usage) that lists what there is.
[[nodiscard]] FormatSpec format_spec_of(const std::string& text, const Dialect& dialect);

}  // namespace lowbit::cli
