// SPDX-License-Identifier: MIT
/// \file
/// Block-scaled formats: an element format, a block size and a scale format. One record per format;
/// all that follows from it (the value that the block's amax maps to, the flag of integer blocks,
/// the ratio between integer and float elements, the largest scale, the denominator of an exact dot
/// product) is derived here and nowhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string_view>

#include "lowbit/element_format.hpp"

namespace lowbit {

/// The scales above the elements. It follows from the scale format: a format of exponents alone is
/// wide enough for any tensor, others need a second scale above them.
enum class ScaleFamily : std::uint8_t {
  nv,   ///< a floating-point scale per block and an FP32 scale per tensor
  mx,   ///< an exponent per block (E8M0, OCP MX v1.0), no tensor scale
  hif,  ///< a floating-point scale per block with levels of exponents below it, no tensor scale
};

/// Exponents of one bit below the scale of a block, on two levels: each belongs to an equal part of
/// the block, and doubles the elements there where it is set.
struct Levels {
  int second = 0;  ///< exponents on the second level; 0: no levels
  int third = 0;   ///< on the third level, a multiple of `second`
};

/// A positive ratio of small integers.
struct Ratio {
  int numerator = 1;    ///< positive
  int denominator = 1;  ///< positive
  /// Whether all fields are equal.
  friend constexpr bool operator==(const Ratio&, const Ratio&) = default;
};
/// The ratio upside down.
[[nodiscard]] constexpr Ratio inverse(Ratio r) {
  return {r.denominator, r.numerator};
}

/// Largest number of elements of a block along a row, of any format that quantize() takes; the
/// engines' buffers are sized by it. A 2D block has at most the square of it.
inline constexpr int max_block_size = 64;

/// One block format. Its scales are one level of an element format (and, in the nv family, one FP32
/// number per tensor), perhaps with levels of exponents below it. Formats with FP32 block scales or
/// codebooks are not block formats: docs/architecture.md says where they go.
struct BlockFormat {
  std::string_view name;         ///< as the command and the golden files spell it
  const ElementFormat* element;  ///< of every block, or of the float blocks of an IF format
  /// Of the integer blocks of an IF format (is_integer_block), or null. Such a format's scale
  /// format is signed: scales are positive, and the sign bit is the flag.
  const ElementFormat* integer;
  /// Of the scale byte; at most 8 bits. A scale is rounded into it to nearest even and saturates,
  /// unless the dialect says otherwise.
  const ElementFormat* scale;
  int block_size;  ///< elements that a scale byte covers along a row, 1 to max_block_size
  /// Integer elements of an MX format count in units of 2^this (MXINT8: 1/64); 0 elsewhere.
  int element_exponent = 0;
  Levels levels{};  ///< below the scale; block_levels.hpp says where they are stored

  /// which scales are above the elements
  [[nodiscard]] constexpr ScaleFamily family() const {
    if (has_levels()) return ScaleFamily::hif;
    return scale->is_exponent_only() ? ScaleFamily::mx : ScaleFamily::nv;
  }
  /// Whether there are levels of exponents below the scale.
  [[nodiscard]] constexpr bool has_levels() const { return levels.second != 0; }
  /// Bits of the levels of a block.
  [[nodiscard]] constexpr int level_bits() const { return levels.second + levels.third; }
  /// Bytes of the levels, which lead the bytes of a block in memory.
  [[nodiscard]] constexpr std::size_t level_bytes() const {
    return static_cast<std::size_t>(level_bits() + 7) / 8;
  }
  /// The most that the levels can multiply an element by; 1 where there are none.
  [[nodiscard]] constexpr float largest_level() const { return has_levels() ? 4.0F : 1.0F; }
  /// Bytes of a block of one row in memory, scale byte not among them: its levels and its codes.
  [[nodiscard]] constexpr std::size_t block_bytes() const {
    return level_bytes() + static_cast<std::size_t>(block_size * storage_bits()) / 8;
  }
  /// Whether each block is float or integer by the sign bit of its scale byte.
  [[nodiscard]] constexpr bool is_adaptive() const { return integer != nullptr; }
  /// The bit of the scale byte that marks an integer block; 0 where there are none.
  [[nodiscard]] constexpr std::uint8_t integer_flag() const {
    return is_adaptive() ? static_cast<std::uint8_t>(scale->sign_mask()) : std::uint8_t{0};
  }
  /// Whether a block with that scale byte has integer elements.
  [[nodiscard]] constexpr bool is_integer_block(std::uint8_t scale_byte) const {
    return (scale_byte & integer_flag()) != 0;
  }
  /// The scale byte without the flag: a code of the scale format that is the block's scale.
  [[nodiscard]] constexpr std::uint8_t scale_magnitude(std::uint8_t scale_byte) const {
    return static_cast<std::uint8_t>(scale_byte & ~integer_flag());
  }
  /// The element format of a block with that scale byte.
  [[nodiscard]] constexpr const ElementFormat& element_of(std::uint8_t scale_byte) const {
    return is_integer_block(scale_byte) ? *integer : *element;
  }
  /// What an element of a block with that scale byte counts in float units: integer_unit() or 1/1.
  [[nodiscard]] constexpr Ratio unit_of(std::uint8_t scale_byte) const {
    return is_integer_block(scale_byte) ? integer_unit() : Ratio{};
  }
  /// Rows and columns of a 2D block: 16x16 (8x8 for _bs8), 32x32 for MX.
  [[nodiscard]] constexpr int block_rows_2d() const { return block_size; }
  /// Bits of one element in memory: 4-bit codes are packed two per byte, others take one byte each.
  [[nodiscard]] constexpr int storage_bits() const { return element->bits == 4 ? 4 : 8; }
  /// Q: the element value that the block's amax maps to, the largest of the element format
  /// (docs/formats.md, section 4): 6, 4, 7.5, 28, or 3, 7, 31 for integers.
  [[nodiscard]] constexpr float largest_element() const { return largest_finite(*element); }
  /// The value below Q. Four Over Six lets the block's amax map to it instead (E2M1: 4).
  [[nodiscard]] constexpr float second_element() const {
    return finite_value(*element, element->max_code() - 1);
  }
  /// The largest finite scale: the default of M (448 for E4M3).
  [[nodiscard]] constexpr float largest_scale() const { return largest_finite(*scale); }
  /// M where a block may choose second_element() of E2M1: the scale is then 6 / 4 times as large,
  /// so the largest power of two is taken that leaves room for it (E4M3: 256, as 1.5 * 256 = 384 is
  /// a scale).
  [[nodiscard]] constexpr float headroom_scale() const {
    constexpr float ratio = largest_finite(e2m1) / finite_value(e2m1, e2m1.max_code() - 1);
    float power = 1.0F;
    while (2.0F * power * ratio <= largest_scale()) power *= 2.0F;
    return power;
  }
  /// E of an IF format: what one integer unit counts in float units, Q / Q_integer in lowest terms
  /// (IF3 4/3, IF4 6/7, IF6 15/62 and 28/31). R is its inverse. 1/1 for other formats.
  [[nodiscard]] constexpr Ratio integer_unit() const {
    if (!is_adaptive()) return {1, 1};
    const int n = static_cast<int>(largest_element() * 2);
    const int d = static_cast<int>(largest_finite(*integer) * 2);
    const int g = std::gcd(n, d);
    return {n / g, d / g};
  }
  /// d: the odd denominator of every dequantized element: 3, 7, 31, 31 for IF, else 1.
  [[nodiscard]] constexpr int exact_denominator() const {
    int d = integer_unit().denominator;
    while (d % 2 == 0) d /= 2;
    return d;
  }
  /// Bits that an element costs, its share of the scale and levels included (tensor scale not).
  [[nodiscard]] constexpr double bits_per_element() const {
    return element->bits + static_cast<double>(scale->bits + level_bits()) / block_size;
  }
};

/// Throws Error(usage), naming the record and what is wrong, where a block format is not one that
/// quantize() can serve: no element or scale format, a block size outside 1 to max_block_size or
/// odd with 4-bit codes, a scale of more than 8 bits, an IF format without a sign bit in its scale,
/// levels that do not divide the block.
void check_block_format(const BlockFormat& format);

/// Every block format, in the order in which the command lists them.
[[nodiscard]] std::span<const BlockFormat> block_formats();
/// The record of that name, or nullptr.
[[nodiscard]] const BlockFormat* find_block_format(std::string_view name);

}  // namespace lowbit
