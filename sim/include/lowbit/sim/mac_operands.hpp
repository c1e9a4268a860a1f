// SPDX-License-Identifier: MIT
/// \file
/// The operand stream that a MAC unit sees when it multiplies two quantized matrices: what the
/// energy of `lowbit mac report` is measured on.
#pragma once

#include <cstddef>
#include <string>

#include "lowbit/block_tensor.hpp"

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

}  // namespace lowbit::sim
