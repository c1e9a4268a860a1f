// SPDX-License-Identifier: MIT
#include "lowbit/stream_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "io/mapped_file.hpp"
#include "lowbit/dequantize_as.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/quantize_pieces.hpp"
#include "lowbit/safetensors_stream.hpp"

namespace lowbit {
namespace {

/// The places of tensors in the list that SafetensorsStream takes: others follow them.
void add_others(std::vector<TensorPlace>& places, std::span<const OutputTensor> others) {
  for (const OutputTensor& t : others) places.push_back({t.name, t.dtype, t.shape});
}

void write_others(const SafetensorsStream& file, std::size_t first,
                  std::span<const OutputTensor> others, const Communicator& ranks) {
  ranks.together([&] {
    for (std::size_t i = 0; i < others.size(); ++i) {
      const Share share = share_of(ranks, others[i].bytes.size());
      file.write(first + i, share.first, others[i].bytes.subspan(share.first, share.size()));
    }
  });
}

/// The scale bytes of all ranks in every one of them. \param bytes  zeros where another rank has
/// the scale bytes
void merge(std::vector<std::uint8_t>& bytes, const Communicator& ranks) {
  if (ranks.size() == 1) return;
  // A few bytes of all ranks at a time.
  constexpr std::size_t step = std::size_t{1} << 20;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::size_t n = std::min(step, bytes.size() - at);
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto all = ranks.gather<std::uint8_t>(
        [&] { return std::vector<std::uint8_t>(first, first + static_cast<std::ptrdiff_t>(n)); });
    for (std::size_t i = 0; i < all.size(); ++i) bytes[at + i % n] |= all[i];
  }
}

/// Entries of one quantized tensor, in this order.
enum Entry : std::size_t { values, scales, amax, entries };

void quantize_one(const TensorToQuantize& t, const BlockTensor& shape, std::size_t first,
                  unsigned threads, const SafetensorsStream& file, const Communicator& ranks) {
  QuantizeOptions request = t.request;
  if (!t.importance.empty()) request.importance = t.importance;
  const std::size_t row_bytes = shape.value_bytes_per_row();
  const std::size_t blocks = shape.blocks_per_row();
  const std::size_t block_bytes = blocks == 0 ? 0 : row_bytes / blocks;
  const bool is_linear = t.record.scale_layout == ScaleLayout::linear;
  std::vector<std::uint8_t> all_scales(is_linear ? 0 : shape.rows * blocks);
  const auto take = [&](const QuantizedPiece& piece) {
    // Whole rows lie one after another; parts of rows are written row by row.
    const std::size_t rows = piece.blocks == blocks ? 1 : piece.rows;
    const std::size_t of_row = piece.codes.size() / rows;
    const std::size_t scales_of_row = piece.scales.size() / rows;
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t block = (piece.row + r) * blocks + piece.block;
      file.write(first + values, block * block_bytes,
                 std::as_bytes(piece.codes.subspan(r * of_row, of_row)));
      const auto bytes = piece.scales.subspan(r * scales_of_row, scales_of_row);
      if (is_linear) {
        file.write(first + scales, block, std::as_bytes(bytes));
      } else {
        std::copy(bytes.begin(), bytes.end(), all_scales.data() + block);
      }
    }
  };
  const TensorScalars scalars = quantize_pieces(t.matrix, request, threads, take, ranks);
  if (!is_linear) merge(all_scales, ranks);
  if (ranks.rank() != 0) return;
  if (!is_linear) {
    const auto arranged = arrange_scales(t.record.scale_layout, all_scales, shape.rows, blocks);
    file.write(first + scales, 0, std::as_bytes(std::span(arranged)));
  }
  file.write(first + amax, 0, std::as_bytes(std::span(&scalars.amax, 1)));
}

/// The rows of a block-quantized tensor, in pieces of bounded size.
std::vector<Rectangle> strips_of(const BlockTensor& t, bool in_rows) {
  std::vector<Rectangle> strips;
  if (t.rows == 0 || t.columns == 0) return strips;
  // A multiple of every block size.
  constexpr std::size_t tile = 1024;
  constexpr std::size_t elements = std::size_t{1} << 19;
  const std::size_t columns = in_rows ? std::min(t.columns, elements) : std::min(t.columns, tile);
  const std::size_t rows = std::max<std::size_t>(elements / std::max(columns, tile), 1);
  for (std::size_t r = 0; r < t.rows; r += rows) {
    for (std::size_t c = 0; c < t.columns; c += columns) {
      strips.push_back({r, c, std::min(rows, t.rows - r), std::min(columns, t.columns - c)});
    }
  }
  return strips;
}

class TensorDequantizer {
 public:
  TensorDequantizer(const TensorToDequantize& t, const Dtype& dtype)
      : stored_(t.stored), shape_(t.stored.head.tensor), dtype_(dtype) {
    if (t.as_quantized) {
      order_ = {{shape_.rows, shape_.columns}, {shape_.rows, shape_.columns, 1}, false};
    } else {
      order_ = order_of(t.stored.head);
    }
  }

  [[nodiscard]] TensorPlace place() const {
    return {stored_.head.name, &dtype_, {order_.shape.begin(), order_.shape.end()}};
  }

  void write(const SafetensorsStream& file, std::size_t index, unsigned threads,
             const Communicator& ranks) {
    if (stored_.head.record.scale_layout != ScaleLayout::linear) {
      const auto* const bytes = reinterpret_cast<const std::uint8_t*>(stored_.scales.data());
      linear_ = linear_scales(stored_.head.record.scale_layout,
                              std::vector<std::uint8_t>(bytes, bytes + stored_.scales.size()),
                              shape_.rows, shape_.blocks_per_row());
    }
    const bool in_rows = runs_along_rows(order_.view, order_.transposed);
    const std::vector<Rectangle> strips = strips_of(shape_, in_rows);
    const Share share = share_of(ranks, strips.size());
    ranks.together([&] {
      detail::parallel_indices(share.size(), threads, [&](std::size_t i, unsigned) {
        const Rectangle& strip = strips[share.first + i];
        const BlockTensor part = codes_of(strip);
        std::vector<float> restored(part.rows * part.columns);
        dequantize_as(dtype_, part, *stored_.head.record.dialect, restored, 1);
        store(file, index, strip, restored);
      });
    });
  }

 private:
  /// A copy of the codes of whole blocks.
  [[nodiscard]] BlockTensor codes_of(const Rectangle& strip) const {
    BlockTensor part = shape_;
    part.rows = strip.rows;
    part.columns = strip.columns;
    const std::size_t blocks = shape_.blocks_per_row();
    const std::size_t first = strip.column / static_cast<std::size_t>(shape_.format->block_size);
    const std::size_t row_bytes = shape_.value_bytes_per_row();
    const std::size_t block_bytes = row_bytes / blocks;
    const auto* const scales = linear_.empty()
                                   ? reinterpret_cast<const std::uint8_t*>(stored_.scales.data())
                                   : linear_.data();
    part.values.resize(part.rows * part.value_bytes_per_row());
    part.scales.resize(part.rows * part.blocks_per_row());
    for (std::size_t r = 0; r < strip.rows; ++r) {
      const std::size_t block = (strip.row + r) * blocks + first;
      const auto codes = stored_.values.subspan(block * block_bytes, part.value_bytes_per_row());
      std::memcpy(part.values.data() + r * part.value_bytes_per_row(), codes.data(), codes.size());
      note_read(codes);
      std::copy_n(scales + block, part.blocks_per_row(),
                  part.scales.data() + r * part.blocks_per_row());
    }
    note_read(stored_.scales.subspan(0, std::min(part.scales.size(), stored_.scales.size())));
    return part;
  }

  void store(const SafetensorsStream& file, std::size_t index, const Rectangle& strip,
             std::span<const float> restored) const {
    const auto size = static_cast<std::size_t>(dtype_.block_bytes);
    std::vector<float> run;
    for_each_run(order_.view, order_.transposed, strip, [&](const MatrixRun& r) {
      const std::size_t from = (r.row - strip.row) * strip.columns + (r.column - strip.column);
      std::span<const float> elements = restored.subspan(from, r.along_column ? 1 : r.count);
      if (r.along_column) {
        run.resize(r.count);
        for (std::size_t i = 0; i < r.count; ++i) run[i] = restored[from + i * strip.columns];
        elements = run;
      }
      if (dtype_ == dtype_f32) {
        file.write(index, r.first * size, std::as_bytes(elements));
      } else {
        file.write(index, r.first * size, from_f32(dtype_, elements));
      }
    });
  }

  const StoredBlockTensor& stored_;
  const BlockTensor& shape_;
  const Dtype& dtype_;
  TensorOrder order_;
  std::vector<std::uint8_t> linear_;  ///< scale bytes, where the file has another order
};

}  // namespace

void quantize_to_file(const std::filesystem::path& path, std::span<const TensorToQuantize> tensors,
                      const std::map<std::string, std::string>& metadata,
                      std::span<const OutputTensor> others, unsigned threads,
                      const Communicator& ranks) {
  std::vector<TensorPlace> places;
  std::map<std::string, std::string> texts = metadata;
  std::vector<BlockTensor> shapes;
  for (const TensorToQuantize& t : tensors) {
    NamedBlockTensor named;
    named.name = t.name;
    named.record = t.record;
    BlockTensor& shape = named.tensor;
    shape.format = t.request.format;
    shape.rows = t.matrix.rows();
    shape.columns = t.matrix.columns();
    shape.encode_constant = encode_constant_of(t.request);
    add_metadata(named, texts);
    const std::size_t blocks = shape.blocks_per_row();
    places.push_back({t.name + ".values", &dtype_u8, {shape.rows, shape.value_bytes_per_row()}});
    const ScaleLayout layout = t.record.scale_layout;
    std::vector<std::uint64_t> scale_shape{shape.rows, blocks};
    if (layout != ScaleLayout::linear) scale_shape = {scale_bytes_of(layout, shape.rows, blocks)};
    places.push_back({t.name + ".scales", &dtype_u8, std::move(scale_shape)});
    places.push_back({t.name + ".amax", &dtype_f32, {1}});
    shapes.push_back(std::move(shape));
  }
  add_others(places, others);
  SafetensorsStream file(path, places, texts, ranks);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& tensor = *tensors[i].matrix.tensor;
    try {
      quantize_one(tensors[i], shapes[i], i * entries, threads, file, ranks);
    } catch (const Error& error) {
      throw Error(error.kind(),
                  fmt::format("{}: tensor \"{}\", byte {}: {}", printable(tensor.file),
                              printable(tensor.name), tensor.offset, error.what()));
    }
  }
  write_others(file, tensors.size() * entries, others, ranks);
  file.commit();
}

void dequantize_to_file(const std::filesystem::path& path,
                        std::span<const TensorToDequantize> tensors, const Dtype& dtype,
                        std::span<const OutputTensor> others, unsigned threads,
                        const Communicator& ranks) {
  std::vector<TensorPlace> places;
  std::vector<TensorDequantizer> work;
  for (const TensorToDequantize& t : tensors) {
    work.emplace_back(t, dtype);
    places.push_back(work.back().place());
  }
  add_others(places, others);
  SafetensorsStream file(path, places, {}, ranks);
  for (std::size_t i = 0; i < work.size(); ++i) work[i].write(file, i, threads, ranks);
  write_others(file, tensors.size(), others, ranks);
  file.commit();
}

}  // namespace lowbit
