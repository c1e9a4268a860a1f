// SPDX-License-Identifier: MIT
/// \file
/// Exact dot products of block-quantized operands: nothing is rounded until the caller asks for it,
/// and then once. docs/exact.md derives the units, denominators and widths.
///
/// An element of a format is an integer multiple of 2^u / d, where u is the element's unit exponent
/// (halves in NVFP4: -1) and d = BlockFormat::exact_denominator() (IF3 3, IF4 7, IF6 31, else 1); a
/// scale is a multiple of 2^-9 (E4M3) or 2^-127 (E8M0). So the dot product of two rows is
///
///     integer * 2^exponent / denominator,   denominator = d_A * d_B,
///
/// with exponent and denominator fixed by the pair of formats: NVFP4 * NVFP4 is an integer over
/// 2^20, IF4 * IF4 an integer over 49 * 2^20. The integer does not depend on the order of addition.
///
/// Scale bytes: bit 7 is the integer flag of IF formats and is ignored in other E4M3-scaled ones,
/// as the unsigned E4M3 operand of the tensor cores ignores it. All codes have a meaning: code 8 is
/// -0 in E2M1 and -8 in INT4.
///
/// Thread-safe throughout: functions share only immutable tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/sim/wide_integer.hpp"

namespace lowbit::sim {

/// What a scale byte that is NaN means (E4M3 magnitude 0x7F, E8M0 0xFF).
enum class NanScale : std::uint8_t {
  error,    ///< Error(invalid_input)
  nan,      ///< every output that it takes part in is NaN
  largest,  ///< the largest finite scale: 448, as the MAC units read it; 2^127 for E8M0
};

/// How the FP32 scales of the two tensors, amax / encode_constant each, enter the result.
enum class TensorScale : std::uint8_t {
  none,   ///< not at all: the value of the codes and block scales
  exact,  ///< the whole rational product is rounded once
  fp32,   ///< fl(fl(value) * fl(fl(amax_A / C_A) * fl(amax_B / C_B))), fl to binary32, then rounded
          ///< to the output type
};

/// A dot product before any rounding: integer * 2^exponent / denominator where number_class is zero
/// or finite. NaN scale bytes and the NaN and infinite elements of FP8 give the other classes, as
/// IEEE arithmetic would (0 * infinity and infinity - infinity are NaN).
struct ExactValue {
  /// Zero or finite: the fields below give the value
  NumberClass number_class = NumberClass::zero;
  bool negative = false;          ///< the sign, of infinities too; false for zero
  WideInteger integer;            ///< signed; meaningful where number_class is zero or finite
  int exponent = 0;               ///< of two, of the integer's unit
  std::uint32_t denominator = 1;  ///< odd: d_A * d_B (docs/exact.md)
  /// Whether all fields are equal.
  friend bool operator==(const ExactValue&, const ExactValue&) = default;
};

/// The unit of a pair's dot products: value = integer * 2^exponent / denominator.
struct ExactUnit {
  int exponent;               ///< -20 for NVFP4, NVINT4 is -18, IF4 -20; -254 - ... with E8M0
  std::uint32_t denominator;  ///< d_A * d_B: 49 for IF4 * IF4
};
/// The unit of a pair of formats: a property of the formats alone.
[[nodiscard]] ExactUnit exact_unit(const BlockFormat& a, const BlockFormat& b);

/// The exact sum of the blocks of one segment, block by block, in any order: what an exact MAC unit
/// accumulates beat by beat. For two E4M3-scaled operands value().integer is that unit's
/// accumulator.
class ExactAccumulator {
 public:
  /// An empty sum for operands of these formats. The records must outlive the accumulator.
  ExactAccumulator(const BlockFormat& a, const BlockFormat& b,
                   NanScale nan_scale = NanScale::error);

  /// Adds the products of up to 4096 code pairs under one pair of scale bytes. Codes are unpacked,
  /// one per byte, bits above the format's ignored; the count need not be the formats' block size.
  /// \throws Error(usage) for spans of unequal or too great length, Error(invalid_input) for a NaN
  ///         scale byte under NanScale::error.
  void add_block(std::uint8_t scale_a, std::span<const std::uint8_t> codes_a, std::uint8_t scale_b,
                 std::span<const std::uint8_t> codes_b);
  /// Starts again from zero.
  void clear();
  /// The sum so far.
  [[nodiscard]] ExactValue value() const;

 private:
  const struct OperandCoding* a_;
  const struct OperandCoding* b_;
  ExactUnit unit_;
  NanScale nan_scale_;
  bool narrow_;  ///< a block's sum fits 64 bits
  bool nan_ = false;
  bool positive_infinity_ = false;
  bool negative_infinity_ = false;
  WideInteger sum_;
};

/// One beat of a MAC unit: a scale byte and unpacked codes for each operand.
struct Beat {
  std::uint8_t scale_a = 0;         ///< scale byte of A's block
  std::uint8_t scale_w = 0;         ///< scale byte of W's block
  std::span<const std::uint8_t> a;  ///< codes of A, one per byte
  std::span<const std::uint8_t> w;  ///< codes of W, as many as of A
};
/// The exact value of one segment of beats.
[[nodiscard]] ExactValue exact_segment(const BlockFormat& format_a, const BlockFormat& format_w,
                                       std::span<const Beat> beats,
                                       NanScale nan_scale = NanScale::largest);

/// Rounds once, to nearest even, overflow to infinity, NaN to the format's quiet NaN, zero to +0 (a
/// negative value that rounds to zero is -0): the code in `to` (f32, f16, bf16, or any other).
[[nodiscard]] std::uint32_t round_exact(const ExactValue& value, const ElementFormat& to);
/// The same times (amax_a / constant_a) * (amax_b / constant_b), exactly.
/// The four are finite, the constants positive, the amaxes not negative.
[[nodiscard]] std::uint32_t round_exact_scaled(const ExactValue& value, const ElementFormat& to,
                                               float amax_a, float constant_a, float amax_b,
                                               float constant_b);
/// round_exact to binary32, as a float.
[[nodiscard]] float round_to_float(const ExactValue& value);

/// The exact dot product of two rows, without tensor scales. Operands may differ in format and
/// block size; columns past the logical ones do not count.
/// \throws Error(usage) where the columns differ or a row is out of range; Error(invalid_input) for
///         NaN scale bytes under NanScale::error, naming row and block.
[[nodiscard]] ExactValue exact_dot(const BlockTensor& a, std::size_t row_a, const BlockTensor& b,
                                   std::size_t row_b, NanScale nan_scale = NanScale::error);

/// How exact_gemm reads scales and rounds.
struct ExactOptions {
  NanScale nan_scale = NanScale::error;           ///< what a NaN scale byte means
  TensorScale tensor_scale = TensorScale::exact;  ///< how the FP32 scales enter
  const ElementFormat* output = &f32;             ///< f32, f16 or bf16
  unsigned threads = 0;  ///< 0: as many as the machine has; the result is the same
};

/// D = A * B^T, A being M x K and B (a weight, blocks along K) N x K: M x N words of the output
/// type, row-major, each the exact value rounded as the options say.
/// \throws as exact_dot; Error(invalid_input) for tensor scales that are not finite or not
/// positive.
[[nodiscard]] std::vector<std::uint32_t> exact_gemm(const BlockTensor& a, const BlockTensor& b,
                                                    const ExactOptions& options = {});
/// The same kept exact, without tensor scales.
[[nodiscard]] std::vector<ExactValue> exact_gemm_values(const BlockTensor& a, const BlockTensor& b,
                                                        NanScale nan_scale = NanScale::error);

}  // namespace lowbit::sim
