// SPDX-License-Identifier: MIT
/// \file
/// One block at a time: which scale the rule chooses, and the codes under a given scale. For
/// algorithms that choose scales or change elements between blocks (scale search, GPTQ).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lowbit/quantize.hpp"

namespace lowbit {

/// The two halves of quantize() for the blocks of one tensor: encode(choose_scale(block), block) is
/// what quantize() does with it. Not thread-safe: each thread has its own.
class BlockEncoder {
 public:
  /// \param options  format, rule, dialect and scale_max count; rounding is to nearest
  /// \param amax  A of the tensor, finite and not negative; unused for MX
  /// \throws Error(usage) as quantize() does
  BlockEncoder(const QuantizeOptions& options, float amax);
  ~BlockEncoder();
  /// Takes over the other's state.
  BlockEncoder(BlockEncoder&&) noexcept;
  /// Takes over the other's state.
  BlockEncoder& operator=(BlockEncoder&&) noexcept;

  /// The scale byte of the block, the flag of integer blocks included.
  /// \param block  1 to 4096 finite elements: a whole block, padding (zeros) included
  [[nodiscard]] std::uint8_t choose_scale(std::span<const float> block);
  /// The codes of the elements, one per byte, under any scale byte of the format.
  void encode(std::uint8_t scale_byte, std::span<const float> block, std::span<std::uint8_t> codes);

  /// As BlockTensor needs them.
  [[nodiscard]] float amax() const;
  /// C, as BlockTensor needs it.
  [[nodiscard]] float encode_constant() const;

 private:
  struct State;
  [[nodiscard]] const float* scaled(std::span<const float> block, std::vector<float>& buffer) const;
  std::unique_ptr<State> state_;
};

}  // namespace lowbit
