// SPDX-License-Identifier: MIT
// The words and numbers of a block's trace, as verification and explanation print them.
#pragma once

#include <string>

#include "lowbit/block_trace.hpp"

namespace lowbit::detail {

/// In decimals and as its bits.
[[nodiscard]] std::string number_text(float x);
/// "6", "4", "float", "integer"; "only" where nothing is selected.
[[nodiscard]] const char* choice_text(BlockChoice choice);
/// The levels of a block: those of eighths and of sixteenths, the first of them in the lowest bit.
[[nodiscard]] std::string levels_text(const BlockFormat& format, std::uint32_t levels);
/// By how many percent of the larger one the errors of two candidates differ; 0 where both are 0.
/// \param trace  with two candidates
[[nodiscard]] double percent_apart(const BlockTrace& trace);

}  // namespace lowbit::detail
