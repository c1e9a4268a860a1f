// SPDX-License-Identifier: MIT
/// \file
/// Tensors whose rows have an FP32 scale each ("per token"), as Transformer Engine's row-scaled
/// NVFP4 and FlashInfer's per-token kernels store activations. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lowbit/quantize.hpp"

namespace lowbit {

/// Codes and scale bytes of a matrix, and A of each of its rows.
struct RowScaledTensor {
  BlockTensor blocks;           ///< of all rows; its amax is not used and stays 1
  std::vector<float> row_amax;  ///< A of each row; 1 for MX formats

  /// Row `index` as a tensor of one row. No bounds check.
  [[nodiscard]] BlockTensor row(std::size_t index) const;
};

/// Quantizes each row as a tensor of its own: A, S and every constant are the row's.
/// \param values  rows x columns, row-major
/// \param rows  0 or more
/// \param columns  0 or more
/// \param options  as for quantize(), without amax and 2D blocks; random numbers as for the matrix
/// \param threads  0: one per core; the result is the same
/// \throws Error(usage) where amax or 2D blocks are asked for, and as quantize() does
[[nodiscard]] RowScaledTensor quantize_row_scaled(std::span<const float> values, std::size_t rows,
                                                  std::size_t columns,
                                                  const QuantizeOptions& options,
                                                  unsigned threads = 0);

/// Every element, in row order, as dequantize() gives it for the row.
/// \param tensor  any codes, scale bytes and A
/// \param out  rows x columns floats
/// \param dialect  canonical where null
void dequantize(const RowScaledTensor& tensor, std::span<float> out,
                const Dialect* dialect = nullptr);

/// Random bytes as numbers of QuantizeOptions::random0: byte / 256. Kernels round four elements
/// with the four bytes of a 32-bit word, the first element with the lowest (Transformer Engine's
/// software form of cvt.rs.satfinite.e2m1x4): a little-endian array of such words is the array of
/// bytes. The dialects of kernels add the byte to the element (axis stochastic, eight_bits).
/// \param bytes  one per element of the padded matrix
[[nodiscard]] std::vector<float> random_numbers_of(std::span<const std::uint8_t> bytes);

}  // namespace lowbit
