// SPDX-License-Identifier: MIT
/// \file
/// Two quantized tensors compared byte for byte. Thread-safe.
#pragma once

#include <cstddef>

#include "lowbit/quantize.hpp"

namespace lowbit {

/// What differs between a tensor and what quantize() gives.
struct QuantizedDifference {
  std::size_t blocks = 0;       ///< all of them
  std::size_t different = 0;    ///< blocks with another scale byte or another code
  std::size_t scales = 0;       ///< scale bytes that differ
  std::size_t codes = 0;        ///< codes that differ, padding left out
  bool amax_differs = false;    ///< bit for bit
  std::size_t first_row = 0;    ///< of the first different block, where there is one
  std::size_t first_block = 0;  ///< index of that block along its row

  /// Whether no block and no amax differs.
  [[nodiscard]] bool equal() const { return different == 0 && !amax_differs; }
};

/// \throws Error(usage) where format or shape differ.
[[nodiscard]] QuantizedDifference compare_quantized(const BlockTensor& wanted,
                                                    const BlockTensor& other);

}  // namespace lowbit
