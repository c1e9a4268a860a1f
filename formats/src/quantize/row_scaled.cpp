// SPDX-License-Identifier: MIT
#include "lowbit/row_scaled.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"

namespace lowbit {

BlockTensor RowScaledTensor::row(std::size_t index) const {
  const auto part = [&](const std::vector<std::uint8_t>& bytes, std::size_t length) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(index * length);
    return std::vector<std::uint8_t>(begin, begin + static_cast<std::ptrdiff_t>(length));
  };
  BlockTensor t;
  t.format = blocks.format;
  t.rows = 1;
  t.columns = blocks.columns;
  t.values = part(blocks.values, blocks.value_bytes_per_row());
  t.scales = part(blocks.scales, blocks.blocks_per_row());
  t.amax = row_amax[index];
  t.encode_constant = blocks.encode_constant;
  return t;
}

RowScaledTensor quantize_row_scaled(std::span<const float> values, std::size_t rows,
                                    std::size_t columns, const QuantizeOptions& options,
                                    unsigned threads) {
  if (options.amax || options.block_2d) {
    throw Error(ErrorKind::usage, "a row-scaled tensor has neither one amax nor 2D blocks");
  }
  // Of an empty matrix: the request is checked, and the sizes follow.
  QuantizeOptions empty = options;
  empty.random0 = {};
  empty.random1 = {};
  RowScaledTensor out{quantize({}, 0, columns, empty), {}};
  if (values.size() != rows * columns) {
    throw Error(ErrorKind::usage, fmt::format("{} values are given for a matrix of {} x {}",
                                              values.size(), rows, columns));
  }
  out.blocks.rows = rows;
  const std::size_t row_bytes = out.blocks.value_bytes_per_row();
  const std::size_t blocks = out.blocks.blocks_per_row();
  out.blocks.values.resize(rows * row_bytes);
  out.blocks.scales.resize(rows * blocks);
  out.blocks.amax = 1.0F;
  out.row_amax.resize(rows);
  const std::size_t padded = out.blocks.padded_columns();
  for (const std::span<const float> random : {options.random0, options.random1}) {
    if (!random.empty() && random.size() != rows * padded) {
      throw Error(ErrorKind::usage, fmt::format("{} random numbers are given for {} elements",
                                                random.size(), rows * padded));
    }
  }
  detail::parallel_chunks(rows, 16, threads, [&](std::size_t first, std::size_t last) {
    QuantizeOptions o = options;
    for (std::size_t r = first; r < last; ++r) {
      if (!options.random0.empty()) o.random0 = options.random0.subspan(r * padded, padded);
      if (!options.random1.empty()) o.random1 = options.random1.subspan(r * padded, padded);
      const BlockTensor t = quantize(values.subspan(r * columns, columns), 1, columns, o);
      std::ranges::copy(t.values,
                        out.blocks.values.begin() + static_cast<std::ptrdiff_t>(r * row_bytes));
      std::ranges::copy(t.scales,
                        out.blocks.scales.begin() + static_cast<std::ptrdiff_t>(r * blocks));
      out.row_amax[r] = t.amax;
    }
  });
  return out;
}

void dequantize(const RowScaledTensor& tensor, std::span<float> out, const Dialect* dialect) {
  const std::size_t columns = tensor.blocks.columns;
  for (std::size_t r = 0; r < tensor.blocks.rows; ++r) {
    dequantize(tensor.row(r), out.subspan(r * columns, columns), dialect);
  }
}

std::vector<float> random_numbers_of(std::span<const std::uint8_t> bytes) {
  std::vector<float> numbers(bytes.size());
  std::ranges::transform(bytes, numbers.begin(),
                         [](std::uint8_t byte) { return static_cast<float>(byte) / 256.0F; });
  return numbers;
}

}  // namespace lowbit
