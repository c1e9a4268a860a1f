// SPDX-License-Identifier: MIT
// GPTQ: the error of each column is compensated in the columns behind it.
#pragma once

#include "lowbit/quantize.hpp"
#include "lowbit/transform.hpp"

namespace lowbit::detail {

/// Replaces the codes of a quantized matrix; its scale bytes stay as they are.
/// \param quantized  of the weights under the request
/// \param by_diagonal  columns in descending order of the inputs' second moments
/// \throws Error(usage) where H has no Cholesky factor.
void gptq(const MatrixView& weights, const MatrixView& inputs, const QuantizeOptions& request,
          bool by_diagonal, BlockTensor& quantized);

}  // namespace lowbit::detail
