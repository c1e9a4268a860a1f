// SPDX-License-Identifier: MIT
#include "lowbit/metrics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "evaluate/tensor_errors.hpp"

namespace lowbit {
namespace {

using Statistics = ErrorStatistics;
constexpr double infinity = std::numeric_limits<double>::infinity();

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}
double mse(const Statistics& s) {
  return s.elements == 0 ? 0.0 : s.squared_error / static_cast<double>(s.elements);
}
double rmse(const Statistics& s) {
  return std::sqrt(mse(s));
}
double rel_l2(const Statistics& s) {
  return s.squared_error == 0.0 ? 0.0 : std::sqrt(s.squared_error / s.squared_value);
}
double max_abs_error(const Statistics& s) {
  return s.max_abs_error;
}
double sqnr_db(const Statistics& s) {
  return s.squared_error == 0.0 ? infinity : 10.0 * std::log10(s.squared_value / s.squared_error);
}
double cosine(const Statistics& s) {
  if (s.squared_error == 0.0) return 1.0;
  const double norms = std::sqrt(s.squared_value) * std::sqrt(s.squared_result);
  return norms == 0.0 ? 0.0 : s.product / norms;
}
double four_or_int_share(const Statistics& s) {
  return share(s.four_or_int, s.blocks);
}
double clipped_share(const Statistics& s) {
  return share(s.clipped, s.elements);
}
double zeroed_share(const Statistics& s) {
  return share(s.zeroed, s.nonzero);
}
double bits_per_element(const Statistics& s) {
  return share(s.bits, s.elements);
}

constexpr std::array<Metric, 10> registry{{
    {"mse", "MSE", MetricStyle::significant, "sum (q - x)^2 / n", mse},
    {"rmse", "RMSE", MetricStyle::significant, "sqrt(mse)", rmse},
    {"rel_l2", "rel. L2", MetricStyle::six_places, "sqrt(sum (q - x)^2 / sum x^2); 0 where q = x",
     rel_l2},
    {"max_abs_error", "max |err|", MetricStyle::significant, "max |q - x|", max_abs_error},
    {"sqnr_db", "SQNR dB", MetricStyle::decibel,
     "10 log10(sum x^2 / sum (q - x)^2); infinite where q = x", sqnr_db},
    {"cosine", "cosine", MetricStyle::six_places,
     "sum x q / sqrt(sum x^2 sum q^2); 1 where q = x, 0 where all q = 0", cosine},
    {"four_or_int_share", "4/INT %", MetricStyle::percent,
     "blocks that chose 4 (NVFP4) or integers (IF) / blocks", four_or_int_share},
    {"clipped_share", "clipped %", MetricStyle::percent,
     "elements with |x| above the largest magnitude that their block, of a scale not 0, can hold / "
     "n",
     clipped_share},
    {"zeroed_share", "zeroed %", MetricStyle::percent,
     "elements with x != 0 and q = 0 / elements with x != 0", zeroed_share},
    {"bits_per_element", "bits/el", MetricStyle::two_places,
     "(code bits of all elements, padding included, + 8 per block + 32 per tensor of NV and IF "
     "formats) / n",
     bits_per_element},
}};

}  // namespace

void ErrorStatistics::add(const ErrorStatistics& other) {
  elements += other.elements;
  nonzero += other.nonzero;
  clipped += other.clipped;
  zeroed += other.zeroed;
  blocks += other.blocks;
  four_or_int += other.four_or_int;
  bits += other.bits;
  squared_error += other.squared_error;
  squared_value += other.squared_value;
  squared_result += other.squared_result;
  product += other.product;
  // A NaN on either side stays.
  if (!(other.max_abs_error <= max_abs_error) && !std::isnan(max_abs_error)) {
    max_abs_error = other.max_abs_error;
  }
}

ErrorStatistics error_statistics(std::span<const float> values, const BlockTensor& quantized,
                                 std::span<const float> dequantized,
                                 std::span<const BlockChoice> choices) {
  ErrorStatistics sums;
  detail::LaneSums lanes;
  detail::add_tensor_errors(values, quantized, dequantized, choices, lanes, sums);
  lanes.add_to(sums);
  return sums;
}

void detail::add_tensor_errors(std::span<const float> values, const BlockTensor& quantized,
                               std::span<const float> dequantized,
                               std::span<const BlockChoice> choices, LaneSums& lanes,
                               ErrorStatistics& sums) {
  const BlockFormat& format = *quantized.format;
  const auto size = static_cast<std::size_t>(format.block_size);
  const BlockErrors errors(format, quantized.amax, quantized.encode_constant);
  const std::size_t blocks = quantized.blocks_per_row();
  for (std::size_t row = 0; row < quantized.rows; ++row) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::uint8_t scale_byte = quantized.scale(row, block);
      const BlockChoice choice =
          choices.empty() ? BlockChoice::only : choices[row * blocks + block];
      errors.begin_block(choice, 1, sums);
      const std::size_t begin = row * quantized.columns + block * size;
      const std::size_t count = std::min(size, quantized.columns - block * size);
      errors.add(values.subspan(begin, count), dequantized.subspan(begin, count), scale_byte, lanes,
                 sums);
    }
  }
}

void add_tensor_scale(ErrorStatistics& statistics, const BlockFormat& format) {
  if (format.family() == ScaleFamily::nv) statistics.bits += 32;
}

std::span<const Metric> metrics() {
  return registry;
}

const Metric* find_metric(std::string_view name) {
  if (name == old_name_of_rel_l2) name = "rel_l2";
  for (const Metric& metric : registry) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

}  // namespace lowbit
