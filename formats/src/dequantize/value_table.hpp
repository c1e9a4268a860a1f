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
#include "lowbit/element_format.hpp"
#include "lowbit/input_type.hpp"

namespace lowbit::detail {

/// What is known of the values of a scale byte: kernels compute some of them faster than they look
/// them up.
enum class RowShape : std::uint8_t {
  any,
  multiples,  ///< of elements of 8 bits: each is its number times the value of unit_code(), in
              ///< units of that code's number. What is no number has the value of code 0x7F
};
/// Code 1 of integers, 1.0 of others.
[[nodiscard]] constexpr std::uint32_t unit_code(const ElementFormat& element) {
  if (element.is_integer()) return 1;
  return static_cast<std::uint32_t>(element.bias) << element.mantissa_bits;
}

/// A value depends on the scale byte, the code and its level alone: the row of a scale byte is
/// computed when the byte is first seen. Not thread-safe: each thread has its own.
class ValueTable {
 public:
  /// \param amax, encode_constant  as in BlockTensor
  /// \param input_type  of what was quantized: some dialects compute the tensor scale in it
  ValueTable(const BlockFormat& format, float amax, float encode_constant, const Dialect& dialect,
             InputType input_type = InputType::float32);
  /// Values that a function gives, of a scale byte and an index into its row.
  using Value = std::function<float(std::uint8_t scale_byte, std::uint32_t code)>;
  ValueTable(const BlockFormat& format, Value value);

  /// element->code_count() values, by code; where the format has levels, those without a doubling,
  /// then those of one and of two: index() is the place of each.
  [[nodiscard]] const float* row(std::uint8_t scale_byte) {
    float* const values = values_.data() + scale_byte * codes_;
    if (!known_[scale_byte]) fill(scale_byte, values);
    return values;
  }
  /// Of a code at a level, in a row.
  [[nodiscard]] static constexpr std::uint32_t index(const BlockFormat& format, std::uint32_t code,
                                                     unsigned level) {
    return code | level << format.element->bits;
  }
  /// How many values a row has.
  [[nodiscard]] static constexpr std::size_t row_size(const BlockFormat& format) {
    return format.element->code_count() * (format.has_levels() ? 3U : 1U);
  }
  /// After row() of the same byte.
  [[nodiscard]] RowShape shape(std::uint8_t scale_byte) const { return shapes_[scale_byte]; }

 private:
  void compute(std::uint8_t scale_byte, float* values) const;
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
  std::array<RowShape, 256> shapes_{};
};

}  // namespace lowbit::detail
