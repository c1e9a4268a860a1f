// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "dequantize/dequantize_with.hpp"
#include "lowbit/detail/parallel.hpp"
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

constexpr std::size_t chunk_elements = std::size_t{1} << 16;

/// Whole blocks where they go, the last one of a row through a buffer where it is padded.
void expand_row(const BlockTensor& t, std::size_t r, detail::ValueTable& table, float* out) {
  const auto size = static_cast<std::size_t>(t.format->block_size);
  const std::size_t whole = t.columns / size;
  const std::size_t rest = t.columns % size;
  const std::size_t per_row = t.blocks_per_row();
  const std::uint8_t* const codes = t.values.data() + r * t.value_bytes_per_row();
  const std::uint8_t* const scales = t.scales.data() + r * per_row;
  detail::expand(*t.format, codes, scales, whole, table, out);
  if (rest == 0) return;
  std::array<float, max_block_size> last;
  detail::expand(*t.format, codes + whole * (t.value_bytes_per_row() / per_row), scales + whole, 1,
                 table, last.data());
  std::copy_n(last.data(), rest, out + whole * size);
}

/// Of blocks that expand() does not serve.
void look_up_row(const BlockTensor& t, std::size_t r, detail::ValueTable& table, float* out) {
  const BlockFormat& format = *t.format;
  const auto size = static_cast<std::size_t>(format.block_size);
  const std::size_t mask = format.element->code_count() - 1;
  const bool is_packed = format.storage_bits() == 4;
  // Elements that share a level.
  const std::size_t part =
      format.has_levels() ? size / static_cast<std::size_t>(format.levels.third) : size;
  for (std::size_t k = 0; k < t.blocks_per_row(); ++k, out += size) {
    const float* const values = table.row(t.scale(r, k));
    const std::uint8_t* const codes = t.block(r, k) + format.level_bytes();
    const std::uint32_t levels = levels_of(format, t.block(r, k));
    const std::size_t count = std::min(size, t.columns - k * size);
    for (std::size_t first = 0; first < count; first += part) {
      const unsigned level = level_of(format, levels, first);
      const float* const of_level = values + detail::ValueTable::index(format, 0, level);
      for (std::size_t i = first; i < std::min(first + part, count); ++i) {
        const unsigned code = is_packed ? codes[i / 2] >> (i % 2 * 4) : codes[i];
        out[i] = of_level[code & mask];
      }
    }
  }
}

}  // namespace

namespace detail {

void dequantize_with(const BlockTensor& t, std::span<float> out, unsigned threads,
                     const std::function<ValueTable()>& make) {
  check(t, out.size());
  if (out.empty()) return;
  const auto size = static_cast<std::size_t>(t.format->block_size);
  // A table per thread: its rows are filled as they are needed.
  using Table = std::optional<ValueTable>;
  const auto parts = [&](std::size_t count, std::size_t step, auto expand_part) {
    for_each_index<Table>((count + step - 1) / step, threads, [&](std::size_t i, Table& table) {
      if (!table) table.emplace(make());
      expand_part(i * step, std::min(count, (i + 1) * step), *table);
    });
  };
  const bool expands = detail::can_expand(*t.format);
  if (expands && t.columns % size == 0) {
    const std::size_t bytes = t.value_bytes_per_row() / t.blocks_per_row();
    return parts(t.scales.size(), chunk_elements / size,
                 [&](std::size_t first, std::size_t last, ValueTable& table) {
                   expand(*t.format, t.values.data() + first * bytes, t.scales.data() + first,
                          last - first, table, out.data() + first * size);
                 });
  }
  parts(t.rows, std::max<std::size_t>(chunk_elements / t.columns, 1),
        [&](std::size_t first, std::size_t last, ValueTable& table) {
          for (std::size_t r = first; r < last; ++r) {
            float* const to = out.data() + r * t.columns;
            if (expands) {
              expand_row(t, r, table, to);
            } else {
              look_up_row(t, r, table, to);
            }
          }
        });
}

}  // namespace detail

void dequantize(const BlockTensor& tensor, std::span<float> out, const Dialect* dialect,
                unsigned threads) {
  detail::dequantize_with(tensor, out, threads, [&] {
    return detail::ValueTable(*tensor.format, tensor.amax, tensor.encode_constant,
                              dialect != nullptr ? *dialect : canonical);
  });
}

}  // namespace lowbit
