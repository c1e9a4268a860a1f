// SPDX-License-Identifier: MIT
/// \file
/// Block-scaled formats: an element format, a block size and a scale. One record a format; all that
/// follows from it (the value that the block's amax maps to, the ratio between integer and float
/// elements, the denominator of an exact dot product) is derived here and nowhere else.
#pragma once

#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>

#include "lowbit/element_format.hpp"

namespace lowbit {

/// The scales above the elements.
enum class ScaleFamily : std::uint8_t {
  nv,  ///< an E4M3 byte a block and an FP32 scale a tensor
  mx,  ///< an E8M0 byte a block (OCP MX v1.0), no tensor scale
};

/// A positive ratio of small integers.
struct Ratio {
  int numerator = 1;
  int denominator = 1;
  friend constexpr bool operator==(const Ratio&, const Ratio&) = default;
};

struct BlockFormat {
  std::string_view name;         ///< as the command and the golden files spell it
  const ElementFormat* element;  ///< of every block, or of the float blocks of an IF format
  const ElementFormat*
      integer;  ///< of the integer blocks of an IF format (scale bit 7 set), or null
  ScaleFamily family;
  int block_size;  ///< elements a scale byte covers along a row
  /// Integer elements of an MX format count in units of 2^this (MXINT8: 1/64); 0 elsewhere.
  int element_exponent = 0;

  /// Whether each block is float or integer by the sign bit of its scale byte.
  [[nodiscard]] constexpr bool is_adaptive() const { return integer != nullptr; }
  [[nodiscard]] constexpr const ElementFormat& scale() const {
    return family == ScaleFamily::nv ? e4m3 : e8m0;
  }
  /// Rows and columns of a 2D block: 16x16 (8x8 for _bs8), 32x32 for MX.
  [[nodiscard]] constexpr int block_rows_2d() const { return block_size; }
  /// Bits of one element in memory: 4-bit codes are packed two a byte, others take a byte each.
  [[nodiscard]] constexpr int storage_bits() const { return element->bits == 4 ? 4 : 8; }
  /// Q: the element value that the block's amax maps to, the largest of the element format
  /// (docs/formats.md, section 4): 6, 4, 7.5, 28, or 3, 7, 31 for integers.
  [[nodiscard]] constexpr float largest_element() const { return largest(*element); }
  /// E of an IF format: what one integer unit counts in float units, Q / Q_integer in lowest terms
  /// (IF3 4/3, IF4 6/7, IF6 15/62 and 28/31). R is its inverse. 1/1 for other formats.
  [[nodiscard]] constexpr Ratio integer_unit() const {
    if (!is_adaptive()) return {1, 1};
    const int n = static_cast<int>(largest_element() * 2);
    const int d = static_cast<int>(largest(*integer) * 2);
    const int g = std::gcd(n, d);
    return {n / g, d / g};
  }
  /// d: the odd denominator of every dequantized element: 3, 7, 31, 31 for IF, else 1.
  [[nodiscard]] constexpr int exact_denominator() const {
    int d = integer_unit().denominator;
    while (d % 2 == 0) d /= 2;
    return d;
  }
  /// Bits an element costs, its share of the block's scale byte included (tensor scale not).
  [[nodiscard]] constexpr double bits_per_element() const {
    return element->bits + 8.0 / block_size;
  }

 private:
  static constexpr float largest(const ElementFormat& format) {
    const Number n = decode(format, format.max_code());
    float value = static_cast<float>(n.significand);
    for (int e = n.exponent; e < 0; ++e) value /= 2;
    for (int e = n.exponent; e > 0; --e) value *= 2;
    return value;
  }
};

/// Every block format, in the order in which the command lists them.
[[nodiscard]] std::span<const BlockFormat> block_formats();
/// The record of that name, or nullptr.
[[nodiscard]] const BlockFormat* find_block_format(std::string_view name);

}  // namespace lowbit
