// SPDX-License-Identifier: MIT
/// \file
/// Which block formats and rules the program behind a dialect has. A record names them as FORMAT or
/// FORMAT:RULE,RULE with a space between two; a format without rules has all that are valid.
/// quantize() serves every valid combination, by the same axes; searches and lists use these.
#pragma once

#include <vector>

#include "lowbit/dialect.hpp"
#include "lowbit/scale_rule.hpp"

namespace lowbit {

/// Whether the program quantizes to the block format with that rule. \param dialect  the record
/// \param format  the block format \param rule  how a block's scale is chosen
/// \return false too where is_valid_rule() is false
[[nodiscard]] bool has_rule(const Dialect& dialect, const BlockFormat& format, ScaleRule rule);

/// What a program offers to its users.
/// \param dialect  the record
/// \param format  the block format
/// \return the rules that has_rule() accepts, in the order of scale_rules(), without the searches
/// of a scale: these exist wherever the arithmetic is canonical's, and are no program's choice
[[nodiscard]] std::vector<ScaleRule> rules_of(const Dialect& dialect, const BlockFormat& format);

}  // namespace lowbit
