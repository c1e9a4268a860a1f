// SPDX-License-Identifier: MIT
// Engines that compute with vectors: one per instruction set, chosen when the program runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "quantize/engine.hpp"

namespace lowbit::detail {

/// The engine of the best instruction set for the request, or nullptr where no vector kernel serves
/// it. Served are the values of the dialect's axes, not its name.
[[nodiscard]] const Engine* vector_engine(const TensorConstants& constants);

/// The largest bits of |x|, as Engine::top_magnitude.
[[nodiscard]] std::uint32_t top_magnitude(const float* x, std::size_t count);

/// F16 or BF16 to binary32, every bit kept: of NaN the payload too.
/// \param bytes  2 * count of them, little-endian, at any address
void widen_f16(const std::byte* bytes, std::size_t count, float* out);
void widen_bf16(const std::byte* bytes, std::size_t count, float* out);

/// Whether expand() serves the format.
[[nodiscard]] bool can_expand(const BlockFormat& format);
/// The values of blocks, one block after another.
/// \param format  that can_expand() serves
/// \param codes  as in BlockTensor; scales  one byte per block; out  floats
void expand(const BlockFormat& format, const std::uint8_t* codes, const std::uint8_t* scales,
            std::size_t blocks, ValueTable& values, float* out);

/// An instruction set that this machine has and that kernels are compiled for.
struct VectorTarget {
  std::int64_t id;
  std::string_view name;
};
[[nodiscard]] std::vector<VectorTarget> vector_targets();

/// For force_vector_target(): no vector engine serves any request.
inline constexpr std::int64_t no_vector_target = -1;

/// The instruction set that engines are chosen for from now on, in every thread; 0 for the best.
/// For tests and measurements. Not to be called while another thread quantizes.
void force_vector_target(std::int64_t id);
/// Its name.
[[nodiscard]] std::string_view vector_target_name();

}  // namespace lowbit::detail
