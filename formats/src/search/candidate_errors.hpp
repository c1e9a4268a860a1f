// SPDX-License-Identifier: MIT
// The errors of a block under sixteen scale bytes at once, in binary32.
#pragma once

#include <array>

#include "lowbit/element_format.hpp"

namespace lowbit::detail {

/// Scale bytes of a group: as many as there are lanes of 32 bits in the widest vector.
inline constexpr int candidate_group = 16;

/// A block of magnitudes: a sign changes no error.
struct SearchedBlock {
  const float* x = nullptr;       ///< |x'|
  const float* scaled = nullptr;  ///< the same times a power of two
  const float* weight = nullptr;  ///< of each square
  int count = 0;
};

/// Sixteen scale bytes.
struct CandidateScales {
  const float* inverse = nullptr;  ///< per byte: y = fl(fl(x' * inverse) * second)
  const float* value = nullptr;    ///< per byte: of an element of 1
  float second = 1.0F;
  /// Both factors of the block's power of two, which alone could leave binary32's range.
  std::array<float, 2> power{};
};

/// Sums of weight * (q * value * power - scaled)^2, q the element nearest to y, half to even.
/// Values beyond 2^40 count as 2^40.
struct CandidateErrors {
  using PerByte = std::array<float, candidate_group>;
  alignas(64) PerByte error;
  alignas(64) PerByte zeros;      ///< of elements that are 0, as they are under every larger scale
  alignas(64) PerByte saturated;  ///< of saturated elements, whose errors grow as the scale shrinks
};

using CandidateErrorsFunction = void (*)(const SearchedBlock&, const CandidateScales&,
                                         CandidateErrors&);

/// For elements of the format, by the best instruction set.
/// \throws Error(internal) for a format that no block format has.
[[nodiscard]] CandidateErrorsFunction candidate_errors(const ElementFormat& format);

}  // namespace lowbit::detail
