// SPDX-License-Identifier: MIT
// The one line that every rejected file gets: file, tensor, byte offset, problem, remedy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {

/// Where in a file something is wrong.
struct Place {
  std::string_view file;
  std::string_view tensor{};
  std::optional<std::uint64_t> offset{};
};

/// Length of the UTF-8 sequence that the text begins with, 0 where it is ill-formed (overlong forms
/// and surrogates are recognized by the range of the second byte; Unicode 15, table 3-7).
[[nodiscard]] std::size_t utf8_length(std::string_view text);

/// Throws Error(invalid_input) with the line `FILE: tensor "NAME", byte N: PROBLEM; REMEDY`.
[[noreturn]] void reject(const Place& place, std::string_view problem, std::string_view remedy);

}  // namespace lowbit
