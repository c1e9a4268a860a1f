// SPDX-License-Identifier: MIT
/// \file
/// Two dumps compared tensor by tensor. Weights in blocks are compared by their codes, scale bytes
/// and tensor scales, in whichever convention and layout each dump stores them; other tensors byte
/// for byte.
#pragma once

#include <string>
#include <vector>

#include "lowbit/checkpoint.hpp"

namespace lowbit {

/// One tensor that is not the same in both.
struct DumpDifference {
  std::string tensor;  ///< its name
  std::string text;    ///< how it differs, with the first place
};
/// What was compared.
struct DumpComparison {
  std::size_t weights = 0;                  ///< in blocks, in both
  std::size_t others = 0;                   ///< other tensors in both
  std::vector<std::string> notes;           ///< one line each: the same numbers in another layout
  std::vector<DumpDifference> differences;  ///< in the order of names
};
/// \param a  a dump
/// \param b  another one; its faults and a's should be looked at first
[[nodiscard]] DumpComparison compare_dumps(const Checkpoint& a, const Checkpoint& b);

}  // namespace lowbit
