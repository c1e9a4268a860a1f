// SPDX-License-Identifier: MIT
/// \file
/// What a tensor becomes in an evaluation or a plan: a block format with its scale rule, a
/// reference codec, or itself.
#pragma once

#include <string>
#include <string_view>

#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/reference_codec.hpp"

namespace lowbit {

/// A block format with its rule, a codec, a recipe, or (where none is set) the tensor as it is.
struct FormatSpec {
  const BlockFormat* format = nullptr;    ///< null: a codec, or one of those below
  ScaleRule rule = ScaleRule::static_6;   ///< of the block format
  int search_radius = 0;                  ///< K of the rule `search`
  const ReferenceCodec* codec = nullptr;  ///< null: no codec
  bool is_recipe = false;                 ///< each tensor's own format, as a recipe says
  bool is_stored = false;                 ///< each tensor's own format, as a checkpoint stores it

  /// The tensor stays as it is.
  [[nodiscard]] bool keeps() const {
    return format == nullptr && codec == nullptr && !is_recipe && !is_stored;
  }
  /// Of the format or the codec; "recipe", "stored" or "keep".
  [[nodiscard]] std::string_view name() const;
  /// "mse", "search:3"; empty where there is no rule.
  [[nodiscard]] std::string rule_name() const;
  /// "nvfp4:mse", as --format takes it.
  [[nodiscard]] std::string label() const;
  /// Member by member; records by their address.
  friend bool operator==(const FormatSpec&, const FormatSpec&) = default;
};

/// What --format takes, in either case: "nvfp4", "if4:mse", "nvfp4:search:3", "q4_k", "keep".
/// Thread-safe.
/// \param text  F or F:RULE
/// \param dialect  whose rules a format has
/// \param rule  the rule where it is written apart, as "search:3"; empty: none
/// \throws Error(usage) with the nearest names, for a second rule that differs, for a codec with a
///         rule, and for a search without its K (1 to 254 bytes)
[[nodiscard]] FormatSpec format_spec_named(std::string_view text, const Dialect& dialect,
                                           std::string_view rule = {});

/// \throws Error(usage) for what is no block format, where bytes are to be written.
void require_block_format(const FormatSpec& spec);

}  // namespace lowbit
