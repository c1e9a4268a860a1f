// SPDX-License-Identifier: MIT
#include "lowbit/compare_quantized.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "lowbit/error.hpp"

namespace lowbit {

QuantizedDifference compare_quantized(const BlockTensor& wanted, const BlockTensor& other) {
  if (wanted.format != other.format || wanted.rows != other.rows ||
      wanted.columns != other.columns) {
    throw Error(ErrorKind::usage,
                fmt::format("a {} tensor of {}x{} is compared with {} of {}x{}; they must agree",
                            wanted.format->name, wanted.rows, wanted.columns, other.format->name,
                            other.rows, other.columns));
  }
  QuantizedDifference found;
  const std::size_t blocks = wanted.blocks_per_row();
  const auto size = static_cast<std::size_t>(wanted.format->block_size);
  found.blocks = wanted.rows * blocks;
  for (std::size_t row = 0; row < wanted.rows; ++row) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const bool scale_differs = wanted.scale(row, block) != other.scale(row, block);
      std::size_t codes = 0;
      for (std::size_t c = block * size; c < std::min((block + 1) * size, wanted.columns); ++c) {
        codes += wanted.code(row, c) != other.code(row, c) ? 1 : 0;
      }
      if (!scale_differs && codes == 0) continue;
      if (found.different++ == 0) {
        found.first_row = row;
        found.first_block = block;
      }
      found.scales += scale_differs ? 1 : 0;
      found.codes += codes;
    }
  }
  found.amax_differs =
      std::bit_cast<std::uint32_t>(wanted.amax) != std::bit_cast<std::uint32_t>(other.amax);
  return found;
}

}  // namespace lowbit
