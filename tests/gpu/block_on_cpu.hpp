// SPDX-License-Identifier: MIT
// The kernels' 1D path, run on the CPU: gpu/src/quantize/{select,block,mx_block}.cuh over a whole
// matrix.
#pragma once

#include <cstring>
#include <vector>

#include "lowbit/quantize.hpp"
#include "quantize/mx_block.cuh"
#include "quantize/select.cuh"

namespace lowbit::gpu::detail {

struct CpuCounts {
  std::uint64_t blocks = 0;
  std::uint64_t undecided = 0;  ///< left to the dialect's own operations
};

/// The fast path of the selecting rules, undecided blocks by quantize_exactly. (The kernel redoes
/// 4/6 blocks by a lane a candidate, which choose by a shuffle: that is checked on the device.)
template <class F, Selection kRule>
CpuCounts quantize_fast_on_cpu(std::span<const float> x, std::size_t rows, std::size_t columns,
                               float amax, float largest, float scale_max, BlockTensor& out) {
  CpuCounts counts;
  const TensorScale t = make_tensor_scale(amax, largest, largest * scale_max, kRule);
  const fast::Tensor tensor = fast::make_tensor(t);
  std::array<fast::Entry<F, kRule>, 128> table;
  for (std::uint32_t byte = 0; byte < 128; ++byte)
    table[byte] = fast::make_entry<F, kRule>(t, byte);
  const std::size_t blocks = (columns + 15) / 16;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < blocks; ++k) {
      float value[16] = {};
      float b = 0;
      for (std::size_t i = 0; i < 16 && k * 16 + i < columns; ++i) {
        value[i] = x[r * columns + k * 16 + i];
        b = std::max(b, std::fabs(value[i]));
      }
      const Signs signs = signs_of_floats<F::nibbles>(value);
      std::uint32_t words[F::words];
      std::uint32_t byte = 0;
      ++counts.blocks;
      const bool decided = fast::quantize<F, kRule>(value, signs, b, tensor, table, words, byte);
      if (!decided) {
        ++counts.undecided;
        for (float& v : value) v = in_range(t, std::fabs(v));
        b = in_range(t, b);
        byte = fast::quantize_exactly<F, kRule>(value, signs, b, t, words);
      }
      const std::size_t at = r * blocks + k;
      out.scales[at] = static_cast<std::uint8_t>(byte);
      std::memcpy(out.values.data() + at * sizeof words, words, sizeof words);
    }
  }
  return counts;
}

template <class F, Selection kRule>
void quantize_on_cpu(std::span<const float> x, std::size_t rows, std::size_t columns, float amax,
                     float largest, float scale_max, Selection rule, bool force_exact,
                     BlockTensor& out) {
  const TensorScale t = make_tensor_scale(amax, largest, largest * scale_max, rule);
  std::array<ScaleEntry, 128> table;
  for (std::uint32_t byte = 0; byte < 128; ++byte) table[byte] = make_scale_entry<F>(t, byte);
  const std::size_t blocks = (columns + 15) / 16;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < blocks; ++k) {
      float magnitude[16] = {};
      float value[16] = {};
      float b = 0;
      for (std::size_t i = 0; i < 16 && k * 16 + i < columns; ++i) {
        value[i] = x[r * columns + k * 16 + i];
        magnitude[i] = in_range(t, std::fabs(value[i]));
        b = std::max(b, magnitude[i]);
      }
      const Signs signs = signs_of_floats<F::nibbles>(value);
      std::uint32_t words[F::words];
      const std::uint32_t byte = amax == 0 ? 0
                                           : quantize_nv<F, kRule>(magnitude, signs, b, t, table,
                                                                   Alone{}, force_exact, words);
      if (amax == 0) std::memset(words, 0, sizeof words);
      const std::size_t at = r * blocks + k;
      out.scales[at] = static_cast<std::uint8_t>(byte);
      std::memcpy(out.values.data() + at * sizeof words, words, sizeof words);
    }
  }
}

template <class F>
void quantize_mx_on_cpu(std::span<const float> x, std::size_t rows, std::size_t columns,
                        MxRule rule, BlockTensor& out) {
  const std::size_t blocks = (columns + 31) / 32;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < blocks; ++k) {
      float value[32] = {};
      float b = 0;
      for (std::size_t i = 0; i < 32 && k * 32 + i < columns; ++i) {
        value[i] = x[r * columns + k * 32 + i];
        b = std::max(b, std::fabs(value[i]));
      }
      const std::uint32_t byte = mx_scale_byte<F>(b, rule);
      out.scales[r * blocks + k] = static_cast<std::uint8_t>(byte);
      for (std::size_t half = 0; half < 2; ++half) {
        float magnitude[16];
        float part[16];
        for (std::size_t i = 0; i < 16; ++i) {
          part[i] = value[16 * half + i];
          magnitude[i] = std::fabs(part[i]);
        }
        std::uint32_t words[F::words] = {};
        if (b != 0) quantize_mx<F>(magnitude, signs_of_floats<F::nibbles>(part), byte, words);
        std::memcpy(out.values.data() + ((r * blocks + k) * 2 + half) * sizeof words, words,
                    sizeof words);
      }
    }
  }
}

}  // namespace lowbit::gpu::detail
