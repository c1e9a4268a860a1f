// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dequantize/value_table.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"

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

}  // namespace

void dequantize(const BlockTensor& tensor, std::span<float> out, const Dialect* dialect) {
  check(tensor, out.size());
  detail::ValueTable table(*tensor.format, tensor.amax, tensor.encode_constant,
                           dialect != nullptr ? *dialect : canonical);
  const std::size_t mask = tensor.format->element->code_count() - 1;
  const auto size = static_cast<std::size_t>(tensor.format->block_size);
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
