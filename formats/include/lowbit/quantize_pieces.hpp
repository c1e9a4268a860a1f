// SPDX-License-Identifier: MIT
/// \file
/// A stored tensor quantized piece by piece: memory is bounded by the pieces in hand, whatever the
/// tensor's size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "lowbit/communicator.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_matrix.hpp"

namespace lowbit {

/// Codes and scale bytes of some rows and blocks, as BlockTensor has them.
struct QuantizedPiece {
  std::size_t row = 0;                     ///< the first one
  std::size_t rows = 0;                    ///< number of rows
  std::size_t block = 0;                   ///< the first one of each row
  std::size_t blocks = 0;                  ///< of each row
  std::span<const std::uint8_t> codes{};   ///< row after row, padded to whole blocks
  std::span<const std::uint8_t> scales{};  ///< rows x blocks
};

/// What BlockTensor says beside codes and scale bytes.
struct TensorScalars {
  float amax = 1.0F;             ///< A; 1 for MX
  float encode_constant = 1.0F;  ///< C; 1 for MX
};

/// C, which does not depend on the tensor.
[[nodiscard]] float encode_constant_of(const QuantizeOptions& options);

/// What quantize() gives for the matrix, piece after piece. Where amax is to be measured, the
/// tensor is read twice.
/// \param matrix  where the elements are
/// \param options  what quantize() takes; format required
/// \param threads  at most so many; 0: one per core. The result does not depend on it.
/// \param take  called once for each piece of this process, in any order and from several threads
/// at
///        a time
/// \param ranks  the processes that share the pieces; all get the scalars
/// \throws Error as quantize(), and what take() throws
TensorScalars quantize_pieces(const StoredMatrix& matrix, const QuantizeOptions& options,
                              unsigned threads,
                              const std::function<void(const QuantizedPiece&)>& take,
                              const Communicator& ranks = alone());

/// quantize() of a stored matrix, from several threads and without a copy of it in FP32.
/// \param matrix  where the elements are
/// \param options  what quantize() takes; format required
/// \param threads  at most so many; 0: one per core. The result does not depend on it.
/// \param progress  called with the elements done, one call at a time; what it throws ends the work
///                  and comes out; may be empty
/// \throws Error as quantize()
[[nodiscard]] BlockTensor quantize(const StoredMatrix& matrix, const QuantizeOptions& options,
                                   unsigned threads,
                                   const std::function<void(std::uint64_t)>& progress = {});

}  // namespace lowbit
