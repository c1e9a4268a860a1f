// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lowbit {

/// The text with control characters and bytes that are not UTF-8 written as \xHH, cut after 200
/// bytes: names come from hostile files and must not break the line or the terminal.
[[nodiscard]] std::string printable(std::string_view text);

/// Dimensions as 128x256; "scalar" for none.
[[nodiscard]] std::string shape_text(std::span<const std::uint64_t> shape);

}  // namespace lowbit
