// SPDX-License-Identifier: MIT
// Block tensors of raw random bits and of chosen patterns, for the tests of sim/.
#pragma once

#include <cstdint>
#include <random>

#include "lowbit/block_tensor.hpp"

namespace lowbit_test {

/// An empty tensor of that shape, all codes and scales 0.
inline lowbit::BlockTensor make_tensor(const lowbit::BlockFormat& format, std::size_t rows,
                                       std::size_t columns) {
  lowbit::BlockTensor t;
  t.format = &format;
  t.rows = rows;
  t.columns = columns;
  t.values.assign(rows * t.value_bytes_per_row(), 0);
  t.scales.assign(rows * t.blocks_per_row(), 0);
  return t;
}

inline bool is_nan_scale(const lowbit::BlockFormat& format, unsigned byte) {
  return *format.scale == lowbit::e4m3 ? (byte & 0x7F) == 0x7F : byte == 0xFF;
}

inline void set_code(lowbit::BlockTensor& t, std::size_t row, std::size_t k, unsigned code) {
  std::size_t base = row * t.value_bytes_per_row();
  const auto size = static_cast<std::size_t>(t.format->block_size);
  base += (k / size + 1) * t.format->level_bytes();
  if (t.format->storage_bits() == 8) {
    t.values[base + k] = static_cast<std::uint8_t>(code);
    return;
  }
  std::uint8_t& pair = t.values[base + k / 2];
  pair = static_cast<std::uint8_t>(k % 2 == 0 ? (pair & 0xF0) | (code & 15)
                                              : (pair & 0x0F) | ((code & 15) << 4));
}

/// Every bit random, scale bytes any but NaN, elements any but the NaN and infinity of FP8.
/// \param padding  whether the columns past the logical ones hold random codes too.
inline lowbit::BlockTensor random_tensor(const lowbit::BlockFormat& format, std::size_t rows,
                                         std::size_t columns, std::mt19937& random,
                                         bool padding = true) {
  lowbit::BlockTensor t = make_tensor(format, rows, columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < (padding ? t.padded_columns() : columns); ++k) {
      unsigned code = random() & 0xFF;
      const bool e4m3 = *format.element == lowbit::e4m3;
      const bool e5m2 = *format.element == lowbit::e5m2;
      while ((e4m3 && (code & 0x7F) == 0x7F) || (e5m2 && (code & 0x7C) == 0x7C)) {
        code = random() & 0xFF;
      }
      set_code(t, r, k, code);
    }
  }
  for (std::uint8_t& s : t.scales) {
    do {
      s = static_cast<std::uint8_t>(random());
    } while (is_nan_scale(format, s));
  }
  return t;
}

}  // namespace lowbit_test
