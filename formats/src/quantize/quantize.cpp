// SPDX-License-Identifier: MIT
#include "lowbit/quantize.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "lowbit/block_encoder.hpp"
#include "lowbit/block_trace.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize_into.hpp"
#include "quantize/engine.hpp"
#include "quantize/output_memory.hpp"
#include "quantize/request.hpp"
#include "quantize/rows.hpp"

namespace lowbit {
namespace {

using detail::BlockRun;
using detail::CodedRun;
using detail::Engine;
using detail::LoadedPiece;
using detail::MatrixSource;
using detail::Piece;
using detail::Request;
using detail::TensorConstants;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::usage, message);
}

/// A request on a matrix in memory.
struct Job {
  Job(std::span<const float> values, std::size_t rows, std::size_t columns,
      const QuantizeOptions& options)
      : request(rows, columns, options), source{values.data(), columns, {}, false} {
    if (values.size() == rows * columns) return;
    refuse(
        fmt::format("{} values are given for a matrix of {} x {}", values.size(), rows, columns));
  }

  [[nodiscard]] LoadedPiece load(const Piece& piece, std::vector<float>& buffer) const {
    return detail::load_or_refuse(source, piece, request.options(), buffer);
  }

  [[nodiscard]] float measure_amax(unsigned threads) const {
    const std::vector<Piece> pieces =
        detail::pieces_of(request.rows(), request.columns(), 1, false);
    std::vector<float> tops(pieces.size());
    detail::for_each_index<std::vector<float>>(
        pieces.size(), threads,
        [&](std::size_t i, std::vector<float>& buffer) { tops[i] = load(pieces[i], buffer).amax; });
    return detail::largest_amax(tops);
  }

  [[nodiscard]] TensorConstants constants(unsigned threads) const {
    const std::optional<float>& given = request.options().amax;
    const float amax = given ? *given : measures_amax() ? measure_amax(threads) : 0.0F;
    return detail::make_constants(request.options(), amax);
  }

  /// Whether all values are read before the first one is quantized: MX formats have no scale of the
  /// tensor.
  [[nodiscard]] bool measures_amax() const {
    return !request.options().amax && request.format().family() == ScaleFamily::nv;
  }

  Request request;
  MatrixSource source;
};

/// The memory of one thread.
struct Buffers {
  std::vector<float> values;
  detail::RunBuffers blocks;
  std::unique_ptr<detail::BlockScratch> scratch = std::make_unique<detail::BlockScratch>();
  // Of blocks of several rows, before they are scattered.
  std::vector<std::uint8_t> codes, scales;
  std::vector<BlockChoice> choices;
};

/// Blocks of several rows lie one after another in `codes`, rows of the matrix in `out`.
void scatter_blocks(const std::uint8_t* codes, const std::uint8_t* scales,
                    const BlockChoice* choices, const BlockRun& run, std::size_t first_row,
                    BlockTensor& out, std::span<BlockChoice> all_choices) {
  const std::size_t row_bytes = out.value_bytes_per_row();
  const std::size_t bytes = row_bytes / run.blocks;
  for (std::size_t k = 0; k < run.blocks; ++k) {
    for (std::size_t r = 0; r < run.real_rows; ++r) {
      const std::size_t row = first_row + r;
      std::copy_n(codes + (k * run.block_rows + r) * bytes, bytes,
                  out.values.data() + row * row_bytes + k * bytes);
      out.scales[row * run.blocks + k] = scales[k];
      if (!all_choices.empty()) all_choices[row * run.blocks + k] = choices[k];
    }
  }
}

void quantize_piece(const Job& job, const TensorConstants& constants, const Engine& engine,
                    const Piece& piece, Buffers& b, BlockTensor& out,
                    std::span<BlockChoice> choices) {
  const LoadedPiece loaded = job.load(piece, b.values);
  const BlockRun run = detail::run_of(loaded, job.request, constants, b.blocks);
  const std::size_t block = piece.row * out.blocks_per_row();
  if (run.block_rows == 1) {
    engine.quantize(
        constants, run, *b.scratch,
        {out.values.data() + piece.row * out.value_bytes_per_row(), out.scales.data() + block,
         choices.empty() ? nullptr : choices.data() + block});
    return;
  }
  b.codes.resize(out.value_bytes_per_row() * run.block_rows);
  b.scales.resize(run.blocks);
  b.choices.resize(run.blocks);
  engine.quantize(constants, run, *b.scratch, {b.codes.data(), b.scales.data(), b.choices.data()});
  scatter_blocks(b.codes.data(), b.scales.data(), b.choices.data(), run, piece.row, out, choices);
}

/// Elements that the memory is asked for before they are quantized: enough time for the memory, and
/// less than a core's L2 cache holds.
constexpr std::size_t ahead_elements = std::size_t{1} << 12;

/// Whether the engine can be left to read pieces of the matrix where they lie.
bool reads_ahead(const Job& job, const TensorConstants& constants, const Engine& engine) {
  return engine.reads_ahead && job.request.options().transforms.empty() &&
         job.request.block_rows() == 1 && job.request.columns() % job.request.block_size() == 0 &&
         constants.range_exponent == 0;
}

/// The elements of a piece, which are whole rows.
std::span<const float> elements_of(const Job& job, const Piece& piece) {
  return {job.source.values + piece.row * job.source.stride, piece.rows * piece.columns};
}

/// Elements are read once, while the memory is asked for later ones. \param after  what this thread
/// will probably read after the piece, or nothing \return whether all elements were finite; else
/// the output is not whole
bool quantize_ahead(const Job& job, const TensorConstants& constants, const Engine& engine,
                    const Piece& piece, const Piece& after, Buffers& b, BlockTensor& out,
                    std::span<BlockChoice> choices) {
  const std::size_t size = job.request.block_size();
  const std::size_t block_bytes = constants.format->block_bytes();
  bool found_nonfinite = false;
  BlockRun all = detail::run_of({piece, elements_of(job, piece).data(), piece.columns, false, 0.0F},
                                job.request, constants, b.blocks);
  if (!job.source.is_finite) all.found_nonfinite = &found_nonfinite;
  const auto take = [&](std::size_t first, std::size_t blocks, std::span<const float> ahead) {
    BlockRun run = all;
    run.x = all.x + first * size;
    run.blocks = run.blocks_per_row = blocks;
    run.ahead = ahead;
    const std::size_t at = piece.row * out.blocks_per_row() + first;
    engine.quantize(constants, run, *b.scratch,
                    {out.values.data() + at * block_bytes, out.scales.data() + at,
                     choices.empty() ? nullptr : choices.data() + at});
  };
  const std::size_t last = std::min(all.blocks, ahead_elements / size);
  const std::size_t first = all.blocks - last;
  if (first != 0) take(0, first, {all.x + last * size, first * size});
  if (!found_nonfinite) {
    take(first, last,
         elements_of(job, after).first(std::min(after.rows * after.columns, ahead_elements)));
  }
  return !found_nonfinite;
}

/// Pieces are whole rows: threads write to different places. \param backwards  what was read last
/// comes first: a cache may still hold it
void quantize_all(const Job& job, const TensorConstants& constants, unsigned threads,
                  bool backwards, BlockTensor& out, std::span<BlockChoice> choices) {
  const Engine& engine = detail::engine_for(constants);
  const std::vector<Piece> pieces =
      detail::pieces_of(out.rows, out.columns, job.request.block_rows(), false);
  const bool ahead = reads_ahead(job, constants, engine);
  // Pieces are handed out in order, so threads of one speed take every n-th.
  const std::size_t stride = detail::thread_count(threads);
  const auto piece_of = [&](std::size_t i) {
    if (i >= pieces.size()) return Piece{};
    return pieces[backwards ? pieces.size() - 1 - i : i];
  };
  detail::for_each_index<Buffers>(pieces.size(), threads, [&](std::size_t i, Buffers& buffers) {
    // What is not finite is left to the policy.
    if (ahead && quantize_ahead(job, constants, engine, piece_of(i), piece_of(i + stride), buffers,
                                out, choices)) {
      return;
    }
    quantize_piece(job, constants, engine, piece_of(i), buffers, out, choices);
  });
}

}  // namespace

float measure_amax(std::span<const float> values, std::size_t rows, std::size_t columns,
                   const QuantizeOptions& options, unsigned threads) {
  QuantizeOptions nearest = options;
  nearest.rounding = ElementRounding::nearest;
  return Job(values, rows, columns, nearest).measure_amax(threads);
}

void quantize_into(std::span<const float> values, std::size_t rows, std::size_t columns,
                   const QuantizeOptions& options, BlockTensor& out, std::span<BlockChoice> choices,
                   unsigned threads) {
  Job job(values, rows, columns, options);
  out.format = options.format;
  out.rows = rows;
  out.columns = columns;
  if (!choices.empty() && choices.size() != rows * out.blocks_per_row()) {
    refuse(fmt::format("{} choices are given for {} blocks", choices.size(),
                       rows * out.blocks_per_row()));
  }
  const TensorConstants constants = job.constants(threads);
  job.source.is_finite = job.measures_amax() && options.nonfinite == NonFinite::error;
  detail::resize_output(out.values, rows * out.value_bytes_per_row(), threads);
  detail::resize_output(out.scales, rows * out.blocks_per_row(), threads);
  out.amax = constants.amax;
  out.encode_constant = constants.encode_constant;
  quantize_all(job, constants, threads, job.measures_amax(), out, choices);
}

BlockTensor quantize(std::span<const float> values, std::size_t rows, std::size_t columns,
                     const QuantizeOptions& options, std::span<BlockChoice> choices,
                     unsigned threads) {
  BlockTensor out;
  quantize_into(values, rows, columns, options, out, choices, threads);
  return out;
}

BlockTrace trace_block(std::span<const float> values, std::size_t rows, std::size_t columns,
                       const QuantizeOptions& options, std::size_t row, std::size_t block) {
  const Job job(values, rows, columns, options);
  if (row >= rows || block >= job.request.blocks()) {
    refuse(fmt::format("there is no block {} in row {} of {} x {} blocks", block, row, rows,
                       job.request.blocks()));
  }
  const TensorConstants constants = job.constants(0);
  BlockTrace trace;
  trace.tensor_amax = constants.amax;
  trace.range_exponent = constants.range_exponent;
  trace.scaled_amax = constants.scaled_amax;
  trace.largest_element = constants.largest_element;
  trace.encode_constant = constants.encode_constant;
  trace.encode_scale = constants.encode_scale;
  trace.decode_scale = constants.decode_scale;
  trace.error_constant = constants.error_constant;
  const Engine& engine = detail::scalar_engine(job.request.format());
  const std::size_t first = row - row % job.request.block_rows();
  const Piece piece{first, 0, std::min(job.request.block_rows(), rows - first), columns};
  Buffers buffers;
  const LoadedPiece loaded = job.load(piece, buffers.values);
  const BlockRun run = detail::run_of(loaded, job.request, constants, buffers.blocks);
  engine.trace(constants, run, block, *buffers.scratch, trace);
  return trace;
}

struct BlockEncoder::State {
  State(const QuantizeOptions& options, float amax)
      : constants(detail::make_constants(options, amax)),
        engine(detail::scalar_engine(*options.format)) {}
  TensorConstants constants;
  const Engine& engine;
  detail::BlockScratch scratch;
};

BlockEncoder::BlockEncoder(const QuantizeOptions& options, float amax) {
  if (options.rounding != ElementRounding::nearest) {
    refuse("a block by itself is rounded to nearest only");
  }
  QuantizeOptions checked = options;
  checked.transforms.clear();
  checked.amax = amax;
  (void)Request(0, 0, checked);
  state_ = std::make_unique<State>(checked, amax);
}
BlockEncoder::~BlockEncoder() = default;
BlockEncoder::BlockEncoder(BlockEncoder&&) noexcept = default;
BlockEncoder& BlockEncoder::operator=(BlockEncoder&&) noexcept = default;

float BlockEncoder::amax() const {
  return state_->constants.amax;
}
float BlockEncoder::encode_constant() const {
  return state_->constants.encode_constant;
}

const float* BlockEncoder::scaled(std::span<const float> block, std::vector<float>& buffer) const {
  if (block.empty() || block.size() > static_cast<std::size_t>(detail::max_block_elements)) {
    refuse(fmt::format("a block of {} elements; there may be 1 to {}", block.size(),
                       detail::max_block_elements));
  }
  const int k = state_->constants.range_exponent;
  if (k == 0) return block.data();
  buffer.resize(block.size());
  const double factor = std::ldexp(1.0, -k);
  std::transform(block.begin(), block.end(), buffer.begin(),
                 [&](float x) { return static_cast<float>(x * factor); });
  return buffer.data();
}

std::uint8_t BlockEncoder::choose_scale(std::span<const float> block) {
  std::vector<float> buffer;
  const float* const x = scaled(block, buffer);
  return state_->engine.choose(state_->constants, x, static_cast<int>(block.size()),
                               state_->scratch);
}

void BlockEncoder::encode(std::uint8_t scale_byte, std::span<const float> block,
                          std::span<std::uint8_t> codes) {
  if (codes.size() != block.size()) {
    refuse(fmt::format("{} codes are wanted of {} elements", codes.size(), block.size()));
  }
  std::vector<float> buffer;
  const float* const x = scaled(block, buffer);
  state_->engine.encode(state_->constants, scale_byte, x, static_cast<int>(block.size()),
                        state_->scratch, codes.data());
}

}  // namespace lowbit
