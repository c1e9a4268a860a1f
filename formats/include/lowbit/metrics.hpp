// SPDX-License-Identifier: MIT
/// \file
/// How far a quantized tensor is from its original. Sums are kept apart from what is reported of
/// them, so that tensors and chunks of tensors add up.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lowbit/quantize.hpp"

namespace lowbit {

/// Sums over elements and blocks; padding is in none of them but `bits`. x is the original as FP32,
/// q the dequantized FP32 value; products and sums are in binary64.
struct ErrorStatistics {
  std::uint64_t elements = 0;  ///< n, padding excluded
  std::uint64_t nonzero = 0;   ///< elements with x != 0
  std::uint64_t clipped = 0;   ///< |x| above the largest magnitude of a block whose scale is not 0
  std::uint64_t zeroed = 0;    ///< x != 0, q == 0
  std::uint64_t blocks = 0;    ///< blocks, those of padding rows excluded
  std::uint64_t four_or_int = 0;  ///< blocks that chose 4, or integer elements
  std::uint64_t bits = 0;         ///< of codes, scale bytes and tensor scales
  double squared_error = 0.0;     ///< sum of (q - x)^2
  double squared_value = 0.0;     ///< sum of x^2
  double squared_result = 0.0;    ///< sum of q^2
  double product = 0.0;           ///< sum of x * q
  double max_abs_error = 0.0;     ///< NaN once some q was NaN

  /// Adds what another part of the data gave. Order matters in the last bits: callers keep it
  /// fixed.
  void add(const ErrorStatistics& other);
};

/// Sums over one quantized matrix, element after element in row order. The tensor's own amax (32
/// bits, NV and IF formats) is not in `bits`: add_tensor_scale counts it, once per tensor.
/// Thread-safe, no allocation.
/// \param values, dequantized  rows x columns floats each
/// \param quantized  the tensor that `dequantized` came from
/// \param choices  one per block, from quantize()
[[nodiscard]] ErrorStatistics error_statistics(std::span<const float> values,
                                               const BlockTensor& quantized,
                                               std::span<const float> dequantized,
                                               std::span<const BlockChoice> choices);
/// Counts the 32 bits of a tensor's amax where the format has one; call it once per tensor.
void add_tensor_scale(ErrorStatistics& statistics, const BlockFormat& format);

/// How a number is written in tables; files get every digit.
enum class MetricStyle : std::uint8_t { significant, decibel, six_places, percent, two_places };

/// One reported number. `lowbit eval --help`, its outputs, --fail-above and docs/eval.md are made
/// from these records.
struct Metric {
  std::string_view name;     ///< in JSON, CSV and --fail-above
  std::string_view heading;  ///< in tables; a heading with % holds 100 times the value
  MetricStyle style;         ///< how tables print it
  std::string_view formula;  ///< as docs/eval.md prints it
  double (*value)(const ErrorStatistics&);  ///< computes it from the sums
};
/// Every metric, in the order of the tables.
[[nodiscard]] std::span<const Metric> metrics();
/// rel_l2 was relative_rmse up to version 0.1; the old name is accepted for one more version.
inline constexpr std::string_view old_name_of_rel_l2 = "relative_rmse";
/// The metric of that name, or nullptr.
[[nodiscard]] const Metric* find_metric(std::string_view name);

}  // namespace lowbit
