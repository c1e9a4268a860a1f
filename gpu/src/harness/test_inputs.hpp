// SPDX-License-Identifier: MIT
// Inputs for the quantize harness: random ones, and ones at the edges of the arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lowbit/quantize.hpp"

namespace lowbit::gpu::detail {

enum class InputKind : std::uint8_t {
  normal,       ///< about 1
  heavy_tail,   ///< a normal variable times a power of two, up to 2^12, per element
  wide_blocks,  ///< each block of 16 at its own power of two, over 40 of them
  ties,         ///< multiples of the rounding boundaries; every scale is a power of two
  few_values,   ///< small integers: equal candidate errors are common
  near_ties,    ///< small integers and their neighbours in the input type: candidate errors nearly
                ///< equal
  outliers,     ///< one element in 4096 is 3000 times as large: subnormal scales
  tiny,         ///< amax below 2^-126 (FP16: subnormal)
  huge,         ///< amax near the largest finite number
  zeros,        ///< zeros of both signs, zero rows, a few ones
  count
};
[[nodiscard]] std::string_view name_of(InputKind kind);

/// The element of that index; rounded to the input type. Pure: any part of a tensor can be made
/// alone. \param first  index of out[0] in the tensor; out.size() elements of it follow
void make_input(InputKind kind, InputType type, std::uint64_t seed, std::uint64_t first,
                std::span<float> out);

[[nodiscard]] std::size_t element_bytes(InputType type);
/// Numbers of the type, which they are already rounded to, as the bytes that a kernel reads.
void to_raw(std::span<const float> x, InputType type, std::uint8_t* out);

}  // namespace lowbit::gpu::detail
