// SPDX-License-Identifier: MIT
#pragma once

#include "lowbit/block_tensor_file.hpp"

namespace lowbit::python {

/// What quantize() and load() give: a block tensor and the record of how it came about.
struct Quantized {
  NamedBlockTensor named;

  [[nodiscard]] const BlockTensor& tensor() const { return named.tensor; }
  [[nodiscard]] const QuantizeRecord& record() const { return named.record; }
};

}  // namespace lowbit::python
