// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace lowbit {

/// The text with control characters and bytes that are not UTF-8 written as \xHH, cut after 200
/// bytes: names come from hostile files and must not break the line or the terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace lowbit
