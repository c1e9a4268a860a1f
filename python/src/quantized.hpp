// SPDX-License-Identifier: MIT
#pragma once

#include "lowbit/block_tensor_file.hpp"
#include "lowbit/layout.hpp"

namespace lowbit::python {

/// What quantize() and load() give: a block tensor and the record of how it came about.
struct Quantized {
  NamedBlockTensor named;
  /// What the other program's number was: an amax, or the number itself over 1, or 1 over it.
  TensorScaleKind scale_kind = TensorScaleKind::amax;

  [[nodiscard]] const BlockTensor& tensor() const { return named.tensor; }
  [[nodiscard]] const QuantizeRecord& record() const { return named.record; }
};

}  // namespace lowbit::python
