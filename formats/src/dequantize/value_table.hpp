// SPDX-License-Identifier: MIT
// The dequantized value of every code under every scale byte of a tensor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "lowbit/block_format.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/input_type.hpp"

namespace lowbit::detail {

/// A value depends on the scale byte and the code alone: the row of a scale byte is computed when
/// the byte is first seen. Not thread-safe: each thread has its own.
class ValueTable {
 public:
  /// \param amax, encode_constant  as in BlockTensor
  /// \param input_type  of what was quantized: some dialects compute the tensor scale in it
  ValueTable(const BlockFormat& format, float amax, float encode_constant, const Dialect& dialect,
             InputType input_type = InputType::float32);
  /// Values that a function gives, of a scale byte and a code.
  using Value = std::function<float(std::uint8_t scale_byte, std::uint32_t code)>;
  ValueTable(const BlockFormat& format, Value value);

  /// element->code_count() values, by code.
  [[nodiscard]] const float* row(std::uint8_t scale_byte) {
    float* const values = values_.data() + scale_byte * codes_;
    if (!known_[scale_byte]) fill(scale_byte, values);
    return values;
  }

 private:
  void fill(std::uint8_t scale_byte, float* values);

  Value value_;  ///< or, where it is empty, as the dialect says
  const BlockFormat& format_;
  const Dialect& dialect_ = canonical;
  InputType input_type_ = InputType::float32;
  float amax_ = 0.0F;
  float encode_constant_ = 1.0F;
  std::size_t codes_;
  std::vector<float> values_;
  std::array<bool, 256> known_{};
};

}  // namespace lowbit::detail
