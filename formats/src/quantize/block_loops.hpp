// SPDX-License-Identifier: MIT
// An Engine from a class that does one block: the loops over blocks around it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "dequantize/value_table.hpp"
#include "evaluate/block_errors.hpp"
#include "lowbit/error.hpp"
#include "quantize/engine.hpp"

namespace lowbit::detail::loops {

inline std::uint32_t top_magnitude(const float* x, std::size_t count) {
  std::int32_t top = 0;
  for (std::size_t i = 0; i < count; ++i) {
    top = std::max(top, std::bit_cast<std::int32_t>(x[i]) & 0x7FFFFFFF);
  }
  return static_cast<std::uint32_t>(top);
}

inline std::size_t elements_of(const TensorConstants& t, const BlockRun& run) {
  return static_cast<std::size_t>(t.format->block_size) * run.block_rows;
}

inline BlockInput input_of(const TensorConstants& t, const BlockRun& run, std::size_t block) {
  const std::size_t count = elements_of(t, run);
  const std::size_t at = block * count;
  return {run.x + at, static_cast<int>(count), run.random0 != nullptr ? run.random0 + at : nullptr,
          run.random1 != nullptr ? run.random1 + at : nullptr,
          run.importance != nullptr
              ? run.importance +
                    block % run.blocks_per_row * static_cast<std::size_t>(t.format->block_size)
              : nullptr};
}

/// Whether a block has to be propagated as NaN.
inline bool is_propagated(const TensorConstants& t, const BlockRun& run, const BlockInput& in) {
  return run.nonfinite && t.dialect->nonfinite == Nonfinite::nan_block &&
         !std::all_of(in.x, in.x + in.count, [](float x) { return std::isfinite(x); });
}

inline void pack(std::uint8_t* out, const std::uint8_t* codes, std::size_t count,
                 int storage_bits) {
  if (storage_bits == 8) {
    std::copy_n(codes, count, out);
    return;
  }
  for (std::size_t i = 0; i < count; i += 2) {
    out[i / 2] = static_cast<std::uint8_t>(codes[i] | codes[i + 1] << 4);
  }
}

template <typename Block>
void quantize(const TensorConstants& t, const BlockRun& run, BlockScratch& scratch,
              const CodedRun& out) {
  Block engine(t, scratch);
  const auto size = static_cast<std::size_t>(t.format->block_size);
  const std::size_t count = elements_of(t, run);
  const int bits = t.format->storage_bits();
  const std::size_t block_bytes = count * static_cast<std::size_t>(bits) / 8;
  for (std::size_t k = 0; k < run.blocks; ++k) {
    const BlockInput in = input_of(t, run, k);
    std::uint8_t* const bytes = out.codes + k * block_bytes;
    if (is_propagated(t, run, in)) {
      out.scales[k] = static_cast<std::uint8_t>(t.format->scale->nan_code());
      if (out.choices != nullptr) out.choices[k] = BlockChoice::only;
      std::fill_n(bytes, block_bytes, std::uint8_t{0});
      continue;
    }
    Candidate& chosen = engine.run(in);
    out.scales[k] = chosen.scale_byte;
    if (out.choices != nullptr) out.choices[k] = chosen.kind;
    // Padding has code 0 whatever its rounding gave: some dialects make other codes of zero.
    const std::size_t columns = run.columns_of(k, size);
    if (columns != size) {
      for (std::size_t r = 0; r < run.block_rows; ++r) {
        std::fill_n(chosen.codes.data() + r * size + columns, size - columns, std::uint8_t{0});
      }
    }
    pack(bytes, chosen.codes.data(), count, bits);
  }
}

template <typename Block>
void measure(const TensorConstants& t, const BlockRun& run, BlockScratch& scratch,
             ValueTable& values, ErrorStatistics& sums) {
  Block engine(t, scratch);
  const BlockErrors errors(*t.format, t.amax, t.encode_constant);
  const auto size = static_cast<std::size_t>(t.format->block_size);
  std::array<float, max_block_size> q;
  LaneSums lanes;
  for (std::size_t k = 0; k < run.blocks; ++k) {
    const BlockInput in = input_of(t, run, k);
    const Candidate& chosen = engine.run(in);
    const float* const table = values.row(chosen.scale_byte);
    errors.begin_block(chosen.kind, run.real_rows, sums);
    const std::size_t columns = run.columns_of(k, size);
    const float* x = run.original + k / run.blocks_per_row * run.block_rows * run.original_stride +
                     k % run.blocks_per_row * size;
    for (std::size_t r = 0; r < run.real_rows; ++r, x += run.original_stride) {
      const std::uint8_t* const codes = chosen.codes.data() + r * size;
      for (std::size_t i = 0; i < columns; ++i) q[i] = table[codes[i]];
      errors.add({x, columns}, {q.data(), columns}, chosen.scale_byte, lanes, sums);
    }
  }
  lanes.add_to(sums);
}

template <typename Block>
void trace(const TensorConstants& t, const BlockRun& run, std::size_t index, BlockScratch& scratch,
           BlockTrace& out) {
  const BlockInput in = input_of(t, run, index);
  if (is_propagated(t, run, in)) {
    out.propagated = true;
    out.elements.assign(in.x, in.x + in.count);
    out.scale_byte = static_cast<std::uint8_t>(t.format->scale->nan_code());
    return;
  }
  Block(t, scratch).run(in, &out);
}

template <typename Block>
std::uint8_t choose(const TensorConstants& t, const float* x, int count, BlockScratch& scratch) {
  return Block(t, scratch).choose({x, count});
}

template <typename Block>
void encode(const TensorConstants& t, std::uint8_t scale_byte, const float* x, int count,
            BlockScratch& scratch, std::uint8_t* codes) {
  const Candidate& c = Block(t, scratch).encode({x, count}, scale_byte);
  std::copy_n(c.codes.data(), count, codes);
}

template <typename Block>
constexpr Engine table{Block::engine_name, top_magnitude, quantize<Block>, measure<Block>,
                       trace<Block>,       choose<Block>, encode<Block>};

/// The engine of Block<element, integer element> for the format's elements.
template <template <const ElementFormat&, const ElementFormat&> typename Block>
const Engine& engine_of(const BlockFormat& format) {
  const ElementFormat& e = *format.element;
  if (format.is_adaptive()) {
    const ElementFormat& i = *format.integer;
    if (e == e2m0 && i == int3) return table<Block<e2m0, int3>>;
    if (e == e2m1 && i == int4) return table<Block<e2m1, int4>>;
    if (e == e2m3 && i == int6) return table<Block<e2m3, int6>>;
    if (e == e3m2 && i == int6) return table<Block<e3m2, int6>>;
  } else {
    if (e == e2m0) return table<Block<e2m0, e2m0>>;
    if (e == e2m1) return table<Block<e2m1, e2m1>>;
    if (e == e2m3) return table<Block<e2m3, e2m3>>;
    if (e == e3m2) return table<Block<e3m2, e3m2>>;
    if (e == e4m3) return table<Block<e4m3, e4m3>>;
    if (e == e5m2) return table<Block<e5m2, e5m2>>;
    if (e == int3) return table<Block<int3, int3>>;
    if (e == int4) return table<Block<int4, int4>>;
    if (e == int6) return table<Block<int6, int6>>;
    if (e == int8) return table<Block<int8, int8>>;
  }
  throw Error(ErrorKind::usage,
              fmt::format("block format {}: no engine quantizes to elements of {}{}{}", format.name,
                          e.name, format.is_adaptive() ? " and " : "",
                          format.is_adaptive() ? format.integer->name : ""));
}

}  // namespace lowbit::detail::loops
