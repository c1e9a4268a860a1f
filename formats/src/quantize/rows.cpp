// SPDX-License-Identifier: MIT
#include "quantize/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "lowbit/error.hpp"
#include "quantize/vector/vector_engine.hpp"

namespace lowbit::detail {
namespace {

/// Elements of a piece, about: large enough to share out, small enough to stay in a core's cache.
/// Error statistics are summed piece by piece, so this number is part of their last bits.
constexpr std::size_t chunk_elements = std::size_t{1} << 16;

constexpr std::uint32_t infinity_bits = 0x7F800000U;

float sanitized(float x, InputType type) {
  if (std::isnan(x)) return 0.0F;
  return std::isinf(x) ? std::copysign(largest_finite(type), x) : x;
}

/// Applies the policy to a row that holds non-finite elements, in place.
/// \return whether they remain.
bool apply_policy(std::span<float> row, std::size_t index, std::size_t first_column,
                  const QuantizeOptions& options, bool transformed) {
  switch (options.nonfinite) {
    case NonFinite::error:
      for (std::size_t c = 0; c < row.size(); ++c) {
        if (std::isfinite(row[c])) continue;
        throw NonFiniteFound{std::isnan(row[c]), index, first_column + c, transformed};
      }
      return false;
    case NonFinite::saturate:
      for (float& x : row) x = sanitized(x, options.input_type);
      return false;
    case NonFinite::propagate:
      break;
  }
  return true;
}

/// The largest magnitude of a row that holds NaN or infinity, as the dialect counts these.
float propagated_amax(std::span<const float> row, const Dialect* dialect) {
  const Nonfinite policy = dialect != nullptr ? dialect->nonfinite : Nonfinite::nan_block;
  float amax = 0.0F;
  for (const float x : row) {
    const bool keeps_nan =
        policy == Nonfinite::computed || policy == Nonfinite::computed_skipping_nan_in_blocks;
    if (std::isnan(x) && keeps_nan) return x;
    const bool is_finite_only =
        policy == Nonfinite::nan_block || policy == Nonfinite::computed_finite_amax;
    if (!std::isfinite(x) && is_finite_only) continue;
    if (std::fabs(x) > amax) amax = std::fabs(x);
  }
  return amax;
}

/// The larger one, or NaN.
float larger(float a, float b) {
  return std::isnan(b) || b > a ? b : a;
}

void apply_transforms(std::span<float> row, std::size_t index, std::size_t first_column,
                      const QuantizeOptions& options, bool& nonfinite) {
  for (const auto& transform : options.transforms) {
    if (options.side == OperandSide::weights) {
      transform->apply_to_weights(row, options.input_type);
    } else {
      transform->apply_to_inputs(row, options.input_type);
    }
    nonfinite = top_magnitude(row.data(), row.size()) >= infinity_bits &&
                apply_policy(row, index, first_column, options, true);
  }
}

/// One row in place. \return whether non-finite elements remain.
bool prepare(std::span<float> row, std::size_t index, std::size_t first_column,
             const QuantizeOptions& options) {
  bool nonfinite = top_magnitude(row.data(), row.size()) >= infinity_bits &&
                   apply_policy(row, index, first_column, options, false);
  apply_transforms(row, index, first_column, options, nonfinite);
  return nonfinite;
}

/// Rows of blocks, each padded to whole blocks.
void copy_rows(const LoadedPiece& in, std::size_t padded, double factor, float* out) {
  for (std::size_t r = 0; r < in.piece.rows; ++r) {
    const float* const from = in.x + r * in.stride;
    float* const to = out + r * padded;
    if (factor == 1.0) {
      std::copy_n(from, in.piece.columns, to);
    } else {
      for (std::size_t c = 0; c < in.piece.columns; ++c) {
        to[c] = static_cast<float>(from[c] * factor);
      }
    }
    std::fill(to + in.piece.columns, to + padded, 0.0F);
  }
}

/// From rows of `padded` floats to blocks of block_rows x size, one after another. Rows that are
/// not there are zeros.
void gather_blocks(const float* rows, std::size_t real_rows, std::size_t block_rows,
                   std::size_t size, std::size_t padded, float* out) {
  for (std::size_t k = 0; k < padded / size; ++k) {
    for (std::size_t r = 0; r < block_rows; ++r, out += size) {
      if (r < real_rows) {
        std::copy_n(rows + r * padded + k * size, size, out);
      } else {
        std::fill_n(out, size, 0.0F);
      }
    }
  }
}

}  // namespace

std::vector<Piece> pieces_of(std::size_t rows, std::size_t columns, std::size_t row_step,
                             bool may_cut_rows) {
  std::vector<Piece> pieces;
  if (rows == 0 || columns == 0) return pieces;
  if (columns <= chunk_elements || !may_cut_rows) {
    const std::size_t step =
        row_step != 1 ? row_step : std::max<std::size_t>(chunk_elements / columns, 1);
    for (std::size_t r = 0; r < rows; r += step) {
      pieces.push_back({r, 0, std::min(step, rows - r), columns});
    }
    return pieces;
  }
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; c += chunk_elements) {
      pieces.push_back({r, c, 1, std::min(chunk_elements, columns - c)});
    }
  }
  return pieces;
}

LoadedPiece load(const MatrixSource& source, const Piece& piece, const QuantizeOptions& options,
                 std::vector<float>& buffer) {
  LoadedPiece out{piece, nullptr, piece.columns, false, 0.0F};
  const std::size_t count = piece.rows * piece.columns;
  if (source.values != nullptr && options.transforms.empty()) {
    // Elements that need no change stay where they are.
    out.x = source.values + piece.row * source.stride + piece.column;
    out.stride = source.stride;
    if (source.is_finite) return out;
    std::uint32_t top = 0;
    for (std::size_t r = 0; r < piece.rows; ++r) {
      top = std::max(top, top_magnitude(out.x + r * out.stride, piece.columns));
    }
    if (top < infinity_bits) {
      out.amax = std::bit_cast<float>(top);
      return out;
    }
  }
  buffer.resize(count);
  if (source.values == nullptr) {
    source.read(piece, buffer);
  } else {
    for (std::size_t r = 0; r < piece.rows; ++r) {
      std::copy_n(source.values + (piece.row + r) * source.stride + piece.column, piece.columns,
                  buffer.data() + r * piece.columns);
    }
  }
  out.x = buffer.data();
  out.stride = piece.columns;
  for (std::size_t r = 0; r < piece.rows; ++r) {
    const std::span<float> row(buffer.data() + r * piece.columns, piece.columns);
    const bool nonfinite = prepare(row, piece.row + r, piece.column, options);
    out.nonfinite |= nonfinite;
    out.amax =
        larger(out.amax, nonfinite ? propagated_amax(row, options.dialect)
                                   : std::bit_cast<float>(top_magnitude(row.data(), row.size())));
  }
  return out;
}

LoadedPiece load_or_refuse(const MatrixSource& source, const Piece& piece,
                           const QuantizeOptions& options, std::vector<float>& buffer) {
  try {
    return load(source, piece, options, buffer);
  } catch (const NonFiniteFound& found) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{} is {} at row {}, column {}; choose to saturate or to propagate it",
                            found.transformed ? "the transformed value" : "the value",
                            found.is_nan ? "NaN" : "infinite", found.row, found.column));
  }
}

float largest_amax(std::span<const float> of_pieces) {
  float amax = 0.0F;
  for (const float other : of_pieces) {
    if (std::isnan(amax)) break;
    amax = larger(amax, other);
  }
  return amax;
}

BlockRun run_of(const LoadedPiece& loaded, const Request& request, const TensorConstants& constants,
                RunBuffers& buffers) {
  const Piece& piece = loaded.piece;
  const std::size_t size = request.block_size();
  const std::size_t per_row = (piece.columns + size - 1) / size;
  const std::size_t padded = per_row * size;
  const bool is_2d = request.block_rows() != 1;
  BlockRun run;
  run.blocks_per_row = per_row;
  run.blocks = is_2d ? per_row : piece.rows * per_row;
  run.block_rows = request.block_rows();
  run.real_rows = is_2d ? piece.rows : 1;
  run.last_columns = piece.columns - (per_row - 1) * size;
  run.nonfinite = loaded.nonfinite;
  run.original = loaded.x;
  run.original_stride = loaded.stride;

  const bool in_place =
      constants.range_exponent == 0 && loaded.stride == padded && piece.columns == padded && !is_2d;
  if (in_place) {
    run.x = loaded.x;
  } else {
    const std::size_t plain = is_2d ? piece.rows * padded : 0;
    buffers.x.resize(plain + run.blocks * run.block_rows * size);
    copy_rows(loaded, padded, std::ldexp(1.0, -constants.range_exponent), buffers.x.data());
    if (is_2d) {
      gather_blocks(buffers.x.data(), piece.rows, run.block_rows, size, padded,
                    buffers.x.data() + plain);
    }
    run.x = buffers.x.data() + plain;
  }

  const QuantizeOptions& o = request.options();
  if (!o.importance.empty()) {
    buffers.importance.assign(padded, 0.0F);
    std::copy_n(o.importance.begin() + static_cast<std::ptrdiff_t>(piece.column), piece.columns,
                buffers.importance.begin());
    run.importance = buffers.importance.data();
  }
  if (o.rounding == ElementRounding::nearest) return run;
  const std::size_t first = piece.row * request.padded_columns() + piece.column;
  const auto numbers = [&](std::span<const float> random, std::vector<float>& buffer) {
    if (random.empty()) return static_cast<const float*>(nullptr);
    if (!is_2d) return random.data() + first;
    buffer.resize(run.blocks * run.block_rows * size);
    gather_blocks(random.data() + first, piece.rows, run.block_rows, size, padded, buffer.data());
    return static_cast<const float*>(buffer.data());
  };
  run.random0 = numbers(o.random0, buffers.random0);
  run.random1 = numbers(o.random1, buffers.random1);
  return run;
}

}  // namespace lowbit::detail
