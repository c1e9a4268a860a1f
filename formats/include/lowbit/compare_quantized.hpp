// SPDX-License-Identifier: MIT
/// \file
/// Two quantized tensors compared byte for byte, and the decisions behind the first difference.
/// Thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "lowbit/quantize.hpp"

namespace lowbit {

/// What differs between a tensor and what quantize() gives.
struct QuantizedDifference {
  std::size_t blocks = 0;       ///< all of them
  std::size_t different = 0;    ///< blocks with another scale byte or another code
  std::size_t scales = 0;       ///< scale bytes that differ
  std::size_t codes = 0;        ///< codes that differ, padding left out
  bool amax_differs = false;    ///< bit for bit
  std::size_t first_row = 0;    ///< of the first different block, where there is one
  std::size_t first_block = 0;  ///< index of that block along its row

  /// Whether no block and no amax differs.
  [[nodiscard]] bool equal() const { return different == 0 && !amax_differs; }
};

/// \throws Error(usage) where format or shape differ.
[[nodiscard]] QuantizedDifference compare_quantized(const BlockTensor& wanted,
                                                    const BlockTensor& other);

/// The line that `lowbit verify quantize` prints, without its end, and where blocks differ, the
/// decisions of the first one on lines of their own.
/// \param difference  what compare_quantized() found
/// \param name  of the tensor
/// \param wanted  what quantize() gives
/// \param other  the dump
/// \param values, request  what `wanted` is the quantization of: rows x columns, after axis and
///                         transposition
[[nodiscard]] std::string difference_text(const QuantizedDifference& difference,
                                          const std::string& name, const BlockTensor& wanted,
                                          const BlockTensor& other, std::span<const float> values,
                                          const QuantizeOptions& request);

/// One block's quantization, step by step: a line that names the request, the decisions, and a line
/// for each element. Lines are separated, not ended, by line feeds. \throws Error as trace_block().
[[nodiscard]] std::string block_text(std::span<const float> values, std::size_t rows,
                                     std::size_t columns, const QuantizeOptions& request,
                                     std::size_t row, std::size_t block);

}  // namespace lowbit
