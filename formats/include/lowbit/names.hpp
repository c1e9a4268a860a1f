// SPDX-License-Identifier: MIT
/// \file
/// Names as users write them. Case does not count, and `4over6` and `4/6` mean the rule `mse`. A
/// name that is not known is Error(usage) with the nearest three. Thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/block_format.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {

/// The record of that name. \throws Error(usage)
[[nodiscard]] const BlockFormat& block_format_named(std::string_view name);
/// The record of that name. \throws Error(usage)
[[nodiscard]] const Dialect& dialect_named(std::string_view name);
/// The rule of that name, which must be one of the format's in the dialect (canonical where null).
/// \throws Error(usage)
[[nodiscard]] ScaleRule scale_rule_named(std::string_view name, const BlockFormat& format,
                                         const Dialect* dialect = nullptr);

/// A block format, and the rule where one was written.
struct FormatChoice {
  const BlockFormat* format = nullptr;  ///< never null
  std::optional<ScaleRule> rule{};      ///< absent where none was written
};
/// F[:RULE], as `nvfp4` or `nvfp4:mse`.
/// \param text  F or F:RULE
/// \param dialect  canonical where null
/// \param rule     the rule where it is written apart; empty: none. \throws Error(usage) where both
///                 name one and they differ.
[[nodiscard]] FormatChoice format_choice_named(std::string_view text, std::string_view rule = {},
                                               const Dialect* dialect = nullptr);

/// The text with A to Z as a to z, which is how names are spelled.
[[nodiscard]] std::string in_lower_case(std::string_view text);

/// At most `count` of the known names, by the number of single-letter edits to the name that was
/// given (case does not count), then in the order in which they are known.
[[nodiscard]] std::vector<std::string> nearest_names(std::string_view name,
                                                     std::span<const std::string_view> known,
                                                     std::size_t count = 3);

}  // namespace lowbit
