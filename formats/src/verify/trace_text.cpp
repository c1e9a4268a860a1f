// SPDX-License-Identifier: MIT
#include "verify/trace_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace lowbit::detail {

std::string number_text(float x) {
  return fmt::format("{:.9g} (0x{:08x})", x, std::bit_cast<std::uint32_t>(x));
}

std::string levels_text(const BlockFormat& format, std::uint32_t levels) {
  const int second = format.levels.second;
  return fmt::format("0x{:0{}x} 0x{:0{}x}", levels & ((1U << second) - 1), (second + 3) / 4,
                     levels >> second, (format.levels.third + 3) / 4);
}

const char* choice_text(BlockChoice choice) {
  switch (choice) {
    case BlockChoice::six:
      return "6";
    case BlockChoice::four:
      return "4";
    case BlockChoice::floating:
      return "float";
    case BlockChoice::integer:
      return "integer";
    case BlockChoice::only:
      break;
  }
  return "only";
}

double percent_apart(const BlockTrace& trace) {
  const float x = trace.candidates[0].error;
  const float y = trace.candidates[1].error;
  const float larger = std::max(x, y);
  return larger > 0 ? 100.0 * std::abs(x - y) / larger : 0.0;
}

}  // namespace lowbit::detail
