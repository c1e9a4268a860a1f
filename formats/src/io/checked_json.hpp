// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "io/error_text.hpp"

namespace lowbit {

/// JSON from a hostile file: parsed after a pass that builds nothing and rejects ill-formed text,
/// keys that occur twice in one object, nesting deeper than the limit and arrays longer than
/// theirs.
struct CheckedJson {
  nlohmann::json value;
  /// Byte offsets, in the file, just after the keys of the outermost object.
  std::map<std::string, std::uint64_t> key_offsets;
};

/// \param begins_at  offset of the text in the file, for messages.
[[nodiscard]] CheckedJson parse_json(std::string_view text, std::string_view file,
                                     std::uint64_t begins_at, std::size_t deepest,
                                     std::size_t longest_array);

}  // namespace lowbit
