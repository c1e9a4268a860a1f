// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_operands.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

/// The codes of `lanes` columns as one hexadecimal number, the first in the low bits; 0 beyond the
/// end.
std::string packed_codes(const BlockTensor& t, std::size_t row, std::size_t column,
                         std::size_t lanes) {
  const auto bits = static_cast<std::size_t>(t.format->element->bits);
  std::string digits((lanes * bits + 3) / 4, '0');
  const std::size_t count = std::min(lanes, t.padded_columns() - column);
  for (std::size_t i = 0; i < count * bits; ++i) {
    if ((t.code(row, column + i / bits) >> (i % bits) & 1) == 0) continue;
    char& digit = digits[digits.size() - 1 - i / 4];
    const int value = (digit <= '9' ? digit - '0' : digit - 'a' + 10) | 1 << (i % 4);
    digit = "0123456789abcdef"[value];
  }
  return digits;
}

}  // namespace

std::string operand_beats(const BlockTensor& a, const BlockTensor& w, int lanes,
                          std::size_t beats) {
  if (a.format != w.format || a.columns != w.columns || a.columns == 0 || a.rows == 0 ||
      w.rows == 0 || lanes < 1) {
    throw Error(ErrorKind::usage,
                "operand stream: two matrices of one format and as many columns are needed");
  }
  const auto block = static_cast<std::size_t>(a.format->block_size);
  const std::size_t step = static_cast<std::size_t>(lanes);
  const auto scales = [&](const BlockTensor& t, std::size_t row, std::size_t k) {
    std::string bytes;
    for (std::size_t at = k; at < k + step; at += block) {
      const std::uint8_t s = at < t.padded_columns() ? t.scale(row, at / block) : std::uint8_t{0};
      bytes.insert(0, fmt::format("{:02x}", s));
    }
    return bytes;
  };
  std::string text;
  std::size_t written = 0;
  for (std::size_t output = 0; written < beats; ++output) {
    const std::size_t row = output % a.rows, column = output / a.rows % w.rows;
    for (std::size_t k = 0; k < a.padded_columns() && written < beats; k += step, ++written) {
      text +=
          fmt::format("{} {} {} {} {} {}\n", k == 0 ? 1 : 0, k + step >= a.padded_columns() ? 1 : 0,
                      scales(a, row, k), scales(w, column, k), packed_codes(a, row, k, step),
                      packed_codes(w, column, k, step));
    }
  }
  return text;
}

}  // namespace lowbit::sim
