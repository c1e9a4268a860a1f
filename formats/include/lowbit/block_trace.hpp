// SPDX-License-Identifier: MIT
/// \file
/// Every intermediate of one block's quantization, by name: what `explain` prints and what a second
/// implementation compares with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lowbit/quantize.hpp"

namespace lowbit {

/// One way of coding the block; a rule that selects has two.
struct CandidateTrace {
  BlockChoice kind = BlockChoice::only;  ///< which candidate it is
  float h = 0.0F;                        ///< the scale before its conversion; 0 for MX
  std::uint8_t scale_byte = 0;           ///< without the integer flag
  float scale = 0.0F;                    ///< its value
  float inverse = 0.0F;       ///< the element multiplier inv (2^-e for MX); 0 where scale is 0
  std::uint32_t levels = 0;   ///< exponents below the scale (block_levels.hpp); 0 where none
  std::vector<float> scaled;  ///< y; of integer candidates fl(y * R), of MXINT8 in units of 1/64
  std::vector<std::uint8_t> codes;  ///< one per element, padding included
  std::vector<float> quantized;     ///< q, as the error expression uses it
  std::vector<float> values;        ///< candidate values; empty where nothing is selected
  float error = 0.0F;               ///< e; 0 where nothing is selected
};

/// Elements are in row order, padding (zeros) included.
struct BlockTrace {
  float tensor_amax = 0.0F;      ///< A
  int range_exponent = 0;        ///< k: all below is of x * 2^-k; 0 where A is within range
  float scaled_amax = 0.0F;      ///< A'
  float largest_element = 0.0F;  ///< Q, 16/17 included where unbiased
  float encode_constant = 0.0F;  ///< C, 16/17 included where unbiased
  float encode_scale = 0.0F;     ///< S = fl(C / A')
  float decode_scale = 0.0F;     ///< fl(1 / S)
  float error_constant = 0.0F;   ///< the divisor of the candidate values
  bool propagated = false;       ///< the block holds NaN or infinity, and its scale byte is NaN
  std::vector<float> elements;   ///< x'
  float block_amax = 0.0F;       ///< b
  /// In the order in which they are tried; empty for a propagated block
  std::vector<CandidateTrace> candidates;
  std::size_t chosen = 0;       ///< index into candidates
  std::uint8_t scale_byte = 0;  ///< as stored, the integer flag included
};

/// What quantize() does with one block.
/// \param values  rows x columns
/// \param rows  of the matrix
/// \param columns  of the matrix
/// \param options  as for quantize()
/// \param row    any row of the block
/// \param block  index of the block along the row
/// \throws Error as quantize() does, and Error(usage) for a block that is not there.
[[nodiscard]] BlockTrace trace_block(std::span<const float> values, std::size_t rows,
                                     std::size_t columns, const QuantizeOptions& options,
                                     std::size_t row, std::size_t block);

}  // namespace lowbit
