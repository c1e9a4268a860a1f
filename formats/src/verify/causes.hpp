// SPDX-License-Identifier: MIT
// The single decisions that could have been made otherwise, and the search for the one that was.
#pragma once

#include <string>
#include <vector>

#include "verify/recipe.hpp"

namespace lowbit::detail {

/// One decision made otherwise.
struct Modification {
  Cause cause = Cause::dialect;
  std::string change;  ///< "256 instead of 448"
  Recipe recipe;
  Mixture mixture = Mixture::none;
  std::string meaning{};  ///< both decisions in words, as a line; or empty
};

/// Every single change of numerics, in the order in which they are believed.
[[nodiscard]] std::vector<Modification> modifications(const Trial& trial, const Recipe& base);

/// Names what made the dump differ from the recipe: one cause that explains all blocks, one of
/// layout and one of numerics that do so together, or, where none does, the classes of the blocks
/// that differ.
[[nodiscard]] std::vector<CauseFinding> find_causes(const Trial& trial, const Recipe& base);

/// What the block is to itself: each decision of the recipe beside what the dump holds, in decimals
/// and hexadecimals, with margins. \param dump  in lowbit's own layout
[[nodiscard]] std::string block_explanation(const Trial& trial, const Recipe& recipe,
                                            const DumpBlocks& dump, std::size_t row,
                                            std::size_t block);

/// The classes of one block that differs.
[[nodiscard]] Cause class_of_block(const Trial& trial, const Recipe& recipe, const DumpBlocks& dump,
                                   const BlockRef& at);

}  // namespace lowbit::detail
