// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "dequantize/value_table.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"
#include "quantize/vector/vector_engine.hpp"

namespace lowbit {
namespace {

void check(const BlockTensor& t, std::size_t out_size) {
  if (t.format == nullptr) throw Error(ErrorKind::usage, "the block tensor has no format");
  if (out_size != t.rows * t.columns) {
    throw Error(ErrorKind::usage, fmt::format("{} values are to be written for a matrix of {} x {}",
                                              out_size, t.rows, t.columns));
  }
  if (t.values.size() != t.rows * t.value_bytes_per_row() ||
      t.scales.size() != t.rows * t.blocks_per_row()) {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("a {} x {} tensor of {} has {} value bytes and {} scale bytes, not {} and {}",
                    t.rows, t.columns, t.format->name, t.rows * t.value_bytes_per_row(),
                    t.rows * t.blocks_per_row(), t.values.size(), t.scales.size()));
  }
  if (!(t.amax >= 0.0F && std::isfinite(t.amax))) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("the tensor's amax is {}; it must be finite and not negative", t.amax));
  }
  if (!(t.encode_constant > 0.0F && std::isfinite(t.encode_constant))) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("the tensor's encode constant is {}; it must be finite and positive",
                            t.encode_constant));
  }
}

/// Whole blocks where they go, the last one of a row through a buffer where it is padded.
void expand_rows(const BlockTensor& t, detail::ValueTable& table, std::span<float> out) {
  const auto size = static_cast<std::size_t>(t.format->block_size);
  const std::size_t whole = t.columns / size;
  const std::size_t rest = t.columns % size;
  const std::size_t per_row = t.blocks_per_row();
  if (rest == 0) {
    detail::expand(*t.format, t.values.data(), t.scales.data(), t.rows * per_row, table,
                   out.data());
    return;
  }
  std::array<float, max_block_size> last;
  for (std::size_t r = 0; r < t.rows; ++r) {
    const std::uint8_t* const codes = t.values.data() + r * t.value_bytes_per_row();
    const std::uint8_t* const scales = t.scales.data() + r * per_row;
    float* const to = out.data() + r * t.columns;
    detail::expand(*t.format, codes, scales, whole, table, to);
    detail::expand(*t.format, codes + whole * (t.value_bytes_per_row() / per_row), scales + whole,
                   1, table, last.data());
    std::copy_n(last.data(), rest, to + whole * size);
  }
}

}  // namespace

void dequantize(const BlockTensor& tensor, std::span<float> out, const Dialect* dialect) {
  check(tensor, out.size());
  detail::ValueTable table(*tensor.format, tensor.amax, tensor.encode_constant,
                           dialect != nullptr ? *dialect : canonical);
  const auto size = static_cast<std::size_t>(tensor.format->block_size);
  if (size % 16 == 0) return expand_rows(tensor, table, out);
  const std::size_t mask = tensor.format->element->code_count() - 1;
  for (std::size_t r = 0; r < tensor.rows; ++r) {
    for (std::size_t k = 0; k < tensor.blocks_per_row(); ++k) {
      const float* const values = table.row(tensor.scale(r, k));
      const std::size_t end = std::min((k + 1) * size, tensor.columns);
      for (std::size_t c = k * size; c < end; ++c) {
        out[r * tensor.columns + c] = values[tensor.code(r, c) & mask];
      }
    }
  }
}

}  // namespace lowbit
