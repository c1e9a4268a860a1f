// SPDX-License-Identifier: MIT
#include "lowbit/quantize_pieces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <vector>

#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"
#include "quantize/engine.hpp"
#include "quantize/request.hpp"
#include "quantize/rows.hpp"

namespace lowbit {
namespace {

using detail::BlockRun;
using detail::LoadedPiece;
using detail::Piece;
using detail::Request;

/// The memory of one thread.
struct Buffers {
  std::vector<float> values;
  detail::RunBuffers blocks;
  std::unique_ptr<detail::BlockScratch> scratch = std::make_unique<detail::BlockScratch>();
  std::vector<std::uint8_t> codes, scales, strip_codes, strip_scales;
};

class Pieces {
 public:
  Pieces(const StoredMatrix& matrix, const QuantizeOptions& options)
      : matrix_(matrix), request_(matrix.rows(), matrix.columns(), options) {
    // Numbers of stochastic rounding lie by whole rows of the matrix.
    bool may_cut = options.rounding == ElementRounding::nearest;
    for (const auto& transform : options.transforms) {
      may_cut = may_cut && transform->group_columns() != 0;
    }
    if (runs_along_rows(matrix.view, matrix.transposed) && request_.block_rows() == 1) {
      pieces_ = detail::pieces_of(matrix.rows(), matrix.columns(), 1, may_cut);
    } else {
      cut_tiles(may_cut);
    }
  }

  [[nodiscard]] std::size_t count() const { return pieces_.size(); }

  [[nodiscard]] float amax(std::size_t index, Buffers& buffers) const {
    return load(pieces_[index], buffers).amax;
  }

  [[nodiscard]] QuantizedPiece quantize(std::size_t index, const detail::TensorConstants& constants,
                                        const detail::Engine& engine, Buffers& buffers) const {
    const Piece& piece = pieces_[index];
    const std::size_t size = request_.block_size();
    const std::size_t blocks = (piece.columns + size - 1) / size;
    const std::size_t block_bytes = request_.format().block_bytes();
    buffers.codes.resize(piece.rows * blocks * block_bytes);
    buffers.scales.resize(piece.rows * blocks);
    const std::size_t step = request_.block_rows();
    if (step == 1) {
      const BlockRun run =
          detail::run_of(load(piece, buffers), request_, constants, buffers.blocks);
      engine.quantize(constants, run, *buffers.scratch,
                      {buffers.codes.data(), buffers.scales.data(), nullptr});
    } else {
      for (std::size_t r = 0; r < piece.rows; r += step) {
        quantize_strip(piece, r, constants, engine, buffers);
      }
    }
    return {piece.row, piece.rows, piece.column / size, blocks, buffers.codes, buffers.scales};
  }

 private:
  /// Tiles that are cheap to read where neighbours in memory are rows apart, and whole 2D blocks.
  void cut_tiles(bool may_cut) {
    constexpr std::size_t tile_rows = 128, tile_columns = 1024;
    const std::size_t columns =
        may_cut ? tile_columns : std::max<std::size_t>(matrix_.columns(), 1);
    const std::size_t rows = may_cut ? tile_rows : request_.block_rows();
    for (std::size_t c = 0; c < matrix_.columns(); c += columns) {
      for (std::size_t r = 0; r < matrix_.rows(); r += rows) {
        pieces_.push_back(
            {r, c, std::min(rows, matrix_.rows() - r), std::min(columns, matrix_.columns() - c)});
      }
    }
  }

  [[nodiscard]] LoadedPiece load(const Piece& piece, Buffers& buffers) const {
    const detail::MatrixSource source{nullptr, 0, [&](const Piece& p, std::span<float> out) {
                                        matrix_.read({p.row, p.column, p.rows, p.columns}, out);
                                      }};
    return detail::load_or_refuse(source, piece, request_.options(), buffers.values);
  }

  /// The blocks of block_rows() rows, from one after another to rows.
  void quantize_strip(const Piece& piece, std::size_t first,
                      const detail::TensorConstants& constants, const detail::Engine& engine,
                      Buffers& b) const {
    const std::size_t rows = std::min(request_.block_rows(), piece.rows - first);
    const LoadedPiece loaded = load({piece.row + first, piece.column, rows, piece.columns}, b);
    const BlockRun run = detail::run_of(loaded, request_, constants, b.blocks);
    const std::size_t row_bytes = request_.format().block_bytes();
    b.strip_codes.resize(run.blocks * run.block_rows * row_bytes);
    b.strip_scales.resize(run.blocks);
    engine.quantize(constants, run, *b.scratch,
                    {b.strip_codes.data(), b.strip_scales.data(), nullptr});
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t k = 0; k < run.blocks; ++k) {
        const std::size_t to = (first + r) * run.blocks + k;
        std::copy_n(b.strip_codes.data() + (k * run.block_rows + r) * row_bytes, row_bytes,
                    b.codes.data() + to * row_bytes);
        b.scales[to] = b.strip_scales[k];
      }
    }
  }

  const StoredMatrix& matrix_;
  Request request_;
  std::vector<Piece> pieces_;
};

}  // namespace

float encode_constant_of(const QuantizeOptions& options) {
  return detail::make_constants(options, 1.0F).encode_constant;
}

TensorScalars quantize_pieces(const StoredMatrix& matrix, const QuantizeOptions& options,
                              unsigned threads,
                              const std::function<void(const QuantizedPiece&)>& take,
                              const Communicator& ranks) {
  const Pieces pieces(matrix, options);
  const Share share = share_of(ranks, pieces.count());
  float amax = 0.0F;
  if (options.amax) {
    amax = *options.amax;
  } else if (options.format->family() == ScaleFamily::nv) {
    amax = detail::largest_amax(ranks.gather<float>([&] {
      std::vector<float> tops(share.size());
      detail::for_each_index<Buffers>(share.size(), threads, [&](std::size_t i, Buffers& buffers) {
        tops[i] = pieces.amax(share.first + i, buffers);
      });
      return tops;
    }));
  }
  const detail::TensorConstants constants = detail::make_constants(options, amax);
  const detail::Engine& engine = detail::engine_for(constants);
  ranks.together([&] {
    detail::for_each_index<Buffers>(share.size(), threads, [&](std::size_t i, Buffers& buffers) {
      take(pieces.quantize(share.first + i, constants, engine, buffers));
    });
  });
  return {constants.amax, constants.encode_constant};
}

BlockTensor quantize(const StoredMatrix& matrix, const QuantizeOptions& options, unsigned threads,
                     const std::function<void(std::uint64_t)>& progress) {
  BlockTensor out;
  out.format = options.format;
  out.rows = matrix.rows();
  out.columns = matrix.columns();
  // Refuses what has no meaning before memory is taken.
  (void)Request(out.rows, out.columns, options);
  const std::size_t blocks = out.blocks_per_row();
  const std::size_t row_bytes = out.value_bytes_per_row();
  out.values.resize(out.rows * row_bytes);
  out.scales.resize(out.rows * blocks);
  std::mutex mutex;
  const TensorScalars scalars =
      quantize_pieces(matrix, options, threads, [&](const QuantizedPiece& piece) {
        const std::size_t bytes = blocks == 0 ? 0 : piece.blocks * (row_bytes / blocks);
        const std::size_t before = blocks == 0 ? 0 : piece.block * (row_bytes / blocks);
        for (std::size_t r = 0; r < piece.rows; ++r) {
          std::copy_n(piece.codes.data() + r * bytes, bytes,
                      out.values.data() + (piece.row + r) * row_bytes + before);
          std::copy_n(piece.scales.data() + r * piece.blocks, piece.blocks,
                      out.scales.data() + (piece.row + r) * blocks + piece.block);
        }
        if (!progress) return;
        const std::lock_guard lock(mutex);
        progress(std::uint64_t{piece.rows} * piece.blocks *
                 static_cast<std::uint64_t>(options.format->block_size));
      });
  out.amax = scalars.amax;
  out.encode_constant = scalars.encode_constant;
  return out;
}

}  // namespace lowbit
