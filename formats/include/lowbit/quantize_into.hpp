// SPDX-License-Identifier: MIT
/// \file
/// quantize() into memory that is there already.
#pragma once

#include "lowbit/quantize.hpp"

namespace lowbit {

/// quantize() whose result takes the place of an older one. Tensors of one size, one after another,
/// need new memory for the first of them alone, and the system need not make its pages.
/// \param values  rows x columns, row-major
/// \param rows  0 or more
/// \param columns  0 or more
/// \param options  format, rule, dialect and policies
/// \param out  any tensor, or a new one; after an error it holds nothing of use
/// \param choices  empty, or rows x blocks_per_row entries to be filled.
/// \param threads  at most so many; 0: one per core. The result does not depend on it.
/// \throws Error as quantize() does.
void quantize_into(std::span<const float> values, std::size_t rows, std::size_t columns,
                   const QuantizeOptions& options, BlockTensor& out,
                   std::span<BlockChoice> choices = {}, unsigned threads = 0);

}  // namespace lowbit
