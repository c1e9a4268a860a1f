// SPDX-License-Identifier: MIT
// Block scales of dialects whose chain of operations no vector kernel has: found one block after
// another by the scalar engine's functions. Elements are products in these dialects too, so they
// remain vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quantize/tensor_constants.hpp"

namespace lowbit::detail {

/// Where the scales of blocks go.
struct DialectScales {
  float* inverse;        ///< what elements are multiplied by
  std::uint8_t* scales;  ///< one byte per block
};

/// \param amax  of `count` blocks, at most 32
/// \param reach  |y| has to be below it
/// \return bit k: whether y is a product and the byte a normal scale in block k. The other blocks'
/// numbers mean nothing.
std::uint32_t nv_scales(const TensorConstants& t, const float* amax, std::size_t count, float reach,
                        const DialectScales& out);
std::uint32_t mx_scales(const TensorConstants& t, const float* amax, std::size_t count, float reach,
                        const DialectScales& out);

/// Whether kernels compute the scale of a block that is not empty: at most its edges, where a
/// kernel serves no block, are the dialect's own.
[[nodiscard]] bool has_vector_chain(const TensorConstants& t);
[[nodiscard]] bool has_vector_mx_scale(const TensorConstants& t);
/// Whether an empty NV block has a scale of 0 and codes of 0.
[[nodiscard]] bool clears_empty_blocks(const Dialect& dialect);

}  // namespace lowbit::detail
