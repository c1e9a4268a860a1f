// SPDX-License-Identifier: MIT
/// \file
/// A block-quantized matrix from tensors that a caller names and describes: for files whose names
/// and metadata no convention of checkpoints explains. Thread-safe.
#pragma once

#include <optional>

#include "lowbit/block_tensor.hpp"
#include "lowbit/checkpoint.hpp"
#include "lowbit/dump_file.hpp"
#include "lowbit/layout.hpp"
#include "lowbit/scale_rule.hpp"

namespace lowbit {

/// What a caller says about the tensors of a block-quantized matrix.
struct BlockDescription {
  DumpNames names;                      ///< `values` is required; `scales` unless they are fused
  const BlockFormat* format = nullptr;  ///< required
  /// Whose constant C = Q * M an amax is divided by; absent: the format's default rule.
  std::optional<ScaleRule> rule{};
  Layout layout;  ///< of the stored bytes
};

/// Reads the matrix: its rows are all dimensions of the codes but the last one.
/// \param checkpoint  any open file or folder
/// \param description  of the tensors
/// \return amax and encode_constant such that the exact dequantization gives code * scale * tensor
///         scale as the layout says
/// \throws Error(usage) for names that are not there; Error(invalid_input), naming file and tensor,
///         for dtypes that hold no codes, sizes that the layout does not have, and tensor scales
///         that are not one finite number (positive, or 0 where it is no divisor).
[[nodiscard]] BlockTensor read_blocks(const Checkpoint& checkpoint,
                                      const BlockDescription& description);

}  // namespace lowbit
