// SPDX-License-Identifier: MIT
#include "io/error_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace lowbit {

std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  if (length == 0 || text.size() < length || at(1) < low || at(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

std::string printable(std::string_view text) {
  constexpr std::size_t longest = 200;
  std::string out;
  while (!text.empty()) {
    if (out.size() > longest) return out + "...";
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    // U+0080..U+009F are terminal controls too.
    const bool c1 = length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (length == 0 || first < 0x20 || first == 0x7F || c1) {
      const std::size_t skip = length == 0 ? 1 : length;
      for (std::size_t i = 0; i < skip; ++i) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
      }
      text.remove_prefix(skip);
      continue;
    }
    out += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

void reject(const Place& place, std::string_view problem, std::string_view remedy) {
  std::string line = printable(place.file);
  line += ':';
  if (!place.tensor.empty()) line += fmt::format(" tensor \"{}\"", printable(place.tensor));
  if (place.offset)
    line += fmt::format("{} byte {}", place.tensor.empty() ? "" : ",", *place.offset);
  if (!place.tensor.empty() || place.offset) line += ':';
  throw Error(ErrorKind::invalid_input, fmt::format("{} {}; {}", line, problem, remedy));
}

}  // namespace lowbit
