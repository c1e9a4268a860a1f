// SPDX-License-Identifier: MIT
/// \file
/// How elements lie in their blocks, and which blocks are worst: what a page about an evaluation
/// draws beside the sums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "lowbit/quantize.hpp"

namespace lowbit {

/// Counts of numbers in bins of equal width. Numbers beyond the ends count in the last bins.
struct Histogram {
  double low = 0.0;                   ///< of the first bin
  double high = 1.0;                  ///< of the last bin
  std::vector<std::uint64_t> counts;  ///< at least one bin

  /// Counts a number; NaN is left out.
  void add(double value);
  /// Adds the counts of a histogram with the same bins.
  void add(const Histogram& other);
};

/// A block, element by element.
struct BlockPicture {
  std::string tensor;               ///< its name
  std::size_t row = 0;              ///< of the matrix
  std::size_t block = 0;            ///< along the row
  std::uint8_t scale_byte = 0;      ///< the flag of integer blocks included
  double times_mean = 0.0;          ///< squared error over that of the tensor's mean block
  std::vector<float> values;        ///< the original; padding left out
  std::vector<float> dequantized;   ///< one per value
  std::vector<std::uint8_t> codes;  ///< one per value
};

/// What one format makes of the blocks.
struct FormatDetails {
  Histogram magnitudes;             ///< |x| over the largest magnitude that the block can hold
  Histogram errors;                 ///< (q - x) over the same
  std::vector<BlockPicture> worst;  ///< at most 3, of different tensors, the worst first
};

/// Collected tensor by tensor. Blocks whose scale is 0 or NaN are in no histogram of a format.
struct EvalDetails {
  std::vector<FormatDetails> formats;  ///< one per request, empty for what is no block format
  /// Largest magnitude over root mean square, of blocks that are not 0, by block size.
  std::map<int, Histogram> crests;

  /// Adds one tensor under one format.
  /// \param format  index of the request, below formats.size()
  /// \param values  rows x columns finite values
  /// \param columns  of the matrix
  /// \param name  of the tensor
  /// \param request  format, rule, dialect and policies
  void add(std::size_t format, const std::string& name, std::span<const float> values,
           std::size_t columns, const QuantizeOptions& request);
  /// Adds the crest factors of one tensor's blocks.
  /// \param values  rows x columns finite values
  /// \param columns  of the matrix
  /// \param block_size  1 or more
  void add_crests(std::span<const float> values, std::size_t columns, int block_size);
};

}  // namespace lowbit
