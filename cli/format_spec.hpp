// SPDX-License-Identifier: MIT
// What --format takes: a block format with its scale rule, a reference codec, or "keep".
#pragma once

#include <string>

#include "lowbit/dialect.hpp"
#include "lowbit/format_spec.hpp"

namespace lowbit::cli {

/// "nvfp4", "if4:mse", "nvfp4:search:3", "q4_k", "keep". \throws Error(usage) that lists what there
/// is.
/// \param rule  the rule, where it is written apart
[[nodiscard]] FormatSpec format_spec_of(const std::string& text, const Dialect& dialect,
                                        const std::string& rule = {});

}  // namespace lowbit::cli
