// SPDX-License-Identifier: MIT
// The rows of a matrix on their way to an engine: read, non-finite policy, transforms, range.
// Nothing else does these steps.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "quantize/engine.hpp"
#include "quantize/request.hpp"

namespace lowbit::detail {

/// A rectangle of the matrix.
struct Piece {
  std::size_t row = 0;
  std::size_t column = 0;
  std::size_t rows = 0;
  std::size_t columns = 0;
};

/// Pieces that cover the matrix in row order. With a `row_step` of 1 they have about 2^16 elements:
/// whole rows where these are short, parts of a row where they are long and may be cut. Parts are
/// multiples of every block size and transform group. Other steps, those of 2D blocks, give pieces
/// of that many whole rows.
[[nodiscard]] std::vector<Piece> pieces_of(std::size_t rows, std::size_t columns,
                                           std::size_t row_step, bool may_cut_rows);

/// Where the elements are: in memory, or behind a function.
struct MatrixSource {
  const float* values = nullptr;  ///< row-major
  std::size_t stride = 0;         ///< between rows in memory
  /// Writes the piece's elements, row after row; used where values is null.
  std::function<void(const Piece&, std::span<float>)> read{};
  /// Of values in memory: known already, so that load() of what no transform changes does not look
  /// at them. The amax of the piece is 0 then.
  bool is_finite = false;
};

/// Thrown by load() under NonFinite::error; the caller says where the matrix came from.
struct NonFiniteFound {
  bool is_nan = false;
  std::size_t row = 0;
  std::size_t column = 0;
  bool transformed = false;  ///< a transform made it of finite elements
};

/// A piece after the policy and the transforms.
struct LoadedPiece {
  Piece piece;
  const float* x = nullptr;  ///< element (r, c) at r * stride + c
  std::size_t stride = 0;
  bool nonfinite = false;  ///< NaN or infinities are left (NonFinite::propagate)
  float amax = 0.0F;       ///< of the finite elements
};

/// \param buffer  holds the elements where they cannot stay where they are.
/// \throws NonFiniteFound
[[nodiscard]] LoadedPiece load(const MatrixSource& source, const Piece& piece,
                               const QuantizeOptions& options, std::vector<float>& buffer);

/// The same; what is not finite is an Error(invalid_input) that says where it is and what to
/// choose.
[[nodiscard]] LoadedPiece load_or_refuse(const MatrixSource& source, const Piece& piece,
                                         const QuantizeOptions& options,
                                         std::vector<float>& buffer);

/// A of the amax of pieces, in their order. NaN, where the dialect counts it, stays.
[[nodiscard]] float largest_amax(std::span<const float> of_pieces);

/// What run_of() needs beside the piece.
struct RunBuffers {
  std::vector<float> x;
  std::vector<float> random0;
  std::vector<float> random1;
  std::vector<float> importance;
};

/// The blocks of a piece whose rows are a multiple of the request's block rows, or the matrix's
/// last ones: range, padding, and the order of 2D blocks.
[[nodiscard]] BlockRun run_of(const LoadedPiece& loaded, const Request& request,
                              const TensorConstants& constants, RunBuffers& buffers);

}  // namespace lowbit::detail
