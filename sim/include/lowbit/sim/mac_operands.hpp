// SPDX-License-Identifier: MIT
/// \file
/// The operand stream that a MAC unit sees when it multiplies two quantized matrices: what the
/// energy of `lowbit mac report` is measured on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/sim/mac_accuracy.hpp"

namespace lowbit::sim {

/// Beats of a * w^T, both row-major with blocks along the rows, as text: one line per beat, six
/// hexadecimal fields: first, last, scale byte of a and w, codes of a and w (lane 0 in the low
/// \param a  rows of one side
/// \param w  rows of the other side, in the same format
/// \param beats  lines to write
/// bits). One output after another: the rows of a in turn for each row of w, K in order, until
/// `beats` lines are written (the matrices are gone through again where they are too small). \param
/// lanes  divides the block size, or is a multiple of it: then a beat has a scale byte for each
///               block, the first in the low byte.
/// \throws Error(usage) where the formats or the columns differ, or a matrix is empty.
/// Thread-safe.
[[nodiscard]] std::string operand_beats(const BlockTensor& a, const BlockTensor& w, int lanes,
                                        std::size_t beats);

/// A matrix in one of plain_formats(), as the baselines take it.
struct PlainTensor {
  const BlockFormat* format = nullptr;  ///< of plain_formats()
  std::size_t rows = 0;                 ///< one dot product per row and row of the other side
  std::size_t columns = 0;              ///< K
  std::vector<std::uint16_t> codes;     ///< rows * columns, row-major
  std::vector<double> values;           ///< what the codes stand for: code * the row's scale
};

/// Rounds a matrix to nearest even into a plain format: integers and FP8 with a scale per row that
/// maps the row's largest magnitude to the format's largest number, BF16 without a scale.
/// \param values   rows * columns finite numbers, row-major
/// \param rows     at least 1
/// \param columns  at least 1
/// \param format   of plain_formats()
/// \param weights  whether these are the weights (of fewer bits in the formats of `lut`)
/// Thread-safe.
[[nodiscard]] PlainTensor encode_plain(std::span<const float> values, std::size_t rows,
                                       std::size_t columns, const BlockFormat& format,
                                       bool weights);
/// The same text as of block tensors, scale bytes 0. \param a, w, lanes, beats  as there
[[nodiscard]] std::string operand_beats(const PlainTensor& a, const PlainTensor& w, int lanes,
                                        std::size_t beats);
/// What a baseline's accumulator loses: its bit model against sums in long double, of the codes
/// without the rows' scales.
/// \param shape  a baseline and its format
/// \param a      rows [0, rows) of it are taken
/// \param w      all rows are taken
/// \param rows   at least 1
[[nodiscard]] AccumulatorError accumulator_error(const MacShape& shape, const PlainTensor& a,
                                                 const PlainTensor& w, std::size_t rows);

}  // namespace lowbit::sim
