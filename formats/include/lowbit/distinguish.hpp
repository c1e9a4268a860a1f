// SPDX-License-Identifier: MIT
/// \file
/// Inputs on which two dialects differ. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lowbit/quantize.hpp"

namespace lowbit {

/// What a search looks at.
struct DistinguishOptions {
  const BlockFormat* format = nullptr;   ///< required
  ScaleRule rule = ScaleRule::static_6;  ///< of both dialects
  /// Random tensors that a search without an exhaustion tries.
  std::size_t random_tensors = 20000;
  /// Asked between parts; true ends the search with what is known. May be empty.
  std::function<bool()> stop;
};

/// A difference, or how far the search went.
struct Distinction {
  bool found = false;         ///< whether the dialects differ on `values`
  std::string what;           ///< "scale byte 0x6a against 0x69", "code", "tensor scale"
  std::vector<float> values;  ///< of one row, BF16 numbers: the smallest tensor that shows it
  std::size_t columns = 0;    ///< of that row
  std::size_t block = 0;      ///< that differs
  std::uint64_t tried = 0;    ///< scale bytes and codes that were compared
  /// Whether every BF16 input of a static rule was covered: significands and exponent gaps of
  /// tensor amax, block amax and element, down to where scale or code is 0. Edges apart.
  bool exhausted = false;
};

/// Looks for the smallest input on which the two dialects differ: edges first (zeros, -0,
/// subnormals, NaN, infinity, the largest numbers), then, for a static rule, every BF16 amax, block
/// amax and element up to common powers of two, otherwise random BF16 tensors.
/// \throws Error(usage) for a format and rule that a dialect does not have.
[[nodiscard]] Distinction distinguish(const Dialect& a, const Dialect& b,
                                      const DistinguishOptions& options);

}  // namespace lowbit
