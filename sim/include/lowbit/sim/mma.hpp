// SPDX-License-Identifier: MIT
/// \file
/// Bit-accurate tensor-core instructions: D = A B + C with the instruction's own truncation,
/// grouping and rounding. Everything is integer arithmetic, so results do not depend on compiler,
/// machine or rounding mode. All functions are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lowbit/sim/instruction.hpp"

namespace lowbit::sim {

/// Bits that an element of this format takes in memory: 4 (packed two per byte along K, even
/// element in the low nibble), 8 (FP6 and FP8 codes, scales), 16, or 32 (TF32, in an FP32 container
/// whose low 13 bits are dropped before anything looks at the value).
[[nodiscard]] int container_bits(const ElementFormat& format);

/// `count` codes of a format out of memory (container_bits each, little-endian), one per word.
/// \throws Error (invalid_input) where the memory does not have the size that this implies.
[[nodiscard]] std::vector<std::uint32_t> unpack_codes(const ElementFormat& format,
                                                      std::span<const std::uint8_t> memory,
                                                      std::size_t count);

/// One dot product.
/// \param instruction  whose arithmetic
/// \param a, b  element codes in K order, one per word (TF32: the FP32 container). The length need
///              not be a multiple of the instruction's K: the rest counts as +0, and longer
///              vectors run the instruction several times, each on the previous result.
/// \param c     a word of the instruction's C format, FP32 or FP16.
/// \param scale_a, scale_b  one byte for each instruction.block elements; missing ones of a padded
///              tail count as zero elements, so their value does not matter.
/// \returns a word of the instruction's D format. NaN is 0x7fffffff (FP32) or 0x7fff (FP16).
/// \throws Error (invalid_input) where lengths differ.
[[nodiscard]] std::uint32_t dot(const Instruction& instruction, std::span<const std::uint32_t> a,
                                std::span<const std::uint32_t> b, std::uint32_t c,
                                std::span<const std::uint8_t> scale_a = {},
                                std::span<const std::uint8_t> scale_b = {});

/// Which operand of a product: the rows of A, or the columns of B.
enum class MmaSide : std::uint8_t { a, b };

/// Vectors along K of one side of a product, decoded once: the rows of A, or the columns of B.
class MmaOperand {
 public:
  /// \param instruction  the instruction that will read the vectors
  /// \param side  rows of A or columns of B
  /// \param vectors  how many
  /// \param length  elements of each, before padding
  /// \param memory  the vectors one after the other, K contiguous, each starting on a byte,
  ///                elements of container_bits(format) bits, little-endian.
  /// \param scales  vectors x ceil(length / block) bytes; empty for instructions without scales.
  /// \throws Error (invalid_input) where memory or scales do not have the size that this implies.
  MmaOperand(const Instruction& instruction, MmaSide side, std::span<const std::uint8_t> memory,
             std::size_t vectors, std::size_t length, std::span<const std::uint8_t> scales = {});

  /// Rows of A, or columns of B.
  [[nodiscard]] std::size_t vectors() const { return vectors_; }
  /// Elements of a vector as given, before zero padding.
  [[nodiscard]] std::size_t length() const { return length_; }
  /// How many instructions along K: length / instruction.k, rounded up.
  [[nodiscard]] std::size_t steps() const { return steps_; }

 private:
  friend void mma(const Instruction&, const MmaOperand&, const MmaOperand&,
                  std::span<std::uint32_t>, const struct MmaRange&, unsigned);
  std::size_t vectors_ = 0;
  std::size_t length_ = 0;
  std::size_t steps_ = 0;
  std::shared_ptr<const struct MmaDecoded> decoded_;  // immutable, so copies are cheap
};

/// Instructions [first_step, last_step) along K and output rows [first_row, last_row).
struct MmaRange {
  std::size_t first_step = 0;                            ///< along K
  std::size_t last_step = static_cast<std::size_t>(-1);  ///< clipped to steps()
  std::size_t first_row = 0;                             ///< of D
  std::size_t last_row = static_cast<std::size_t>(-1);   ///< clipped to a.vectors()
};

/// D = A B + C, one instruction after the other along K on each output.
/// Calls on disjoint rows may run at the same time.
/// \param instruction  whose arithmetic
/// \param a  rows of A
/// \param b  columns of B
/// \param range  the steps and rows to run
/// \param d  a.vectors() x b.vectors() words of the D format, row-major: C on entry, D on return.
///           (An instruction whose C is FP16 and D FP32 takes C widened to FP32, which is exact.)
/// \param threads  how many share the rows; the result does not depend on it.
/// \throws Error (invalid_input) where the operands' lengths differ or d has another size.
void mma(const Instruction& instruction, const MmaOperand& a, const MmaOperand& b,
         std::span<std::uint32_t> d, const MmaRange& range = {}, unsigned threads = 1);

}  // namespace lowbit::sim
