// SPDX-License-Identifier: MIT
// Rows of D: the instruction's arithmetic over decoded operands, 16 outputs at a time where the
// batched loops cover it.
#pragma once

#include "tensor_core/operand.hpp"

namespace lowbit::sim {

/// All columns of the rows in the range, of which no bound may exceed the operands.
/// \param d  all of D, with `columns` words per row
void run_rows(const MmaShape& s, const MmaDecoded& a, const MmaDecoded& b, std::uint32_t* d,
              std::size_t columns, const MmaRange& range);

}  // namespace lowbit::sim
