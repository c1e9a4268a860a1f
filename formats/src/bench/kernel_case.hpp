// SPDX-License-Identifier: MIT
// One kernel with its input and its outputs, ready to be run: what the command, the instruction
// counts and the Google Benchmark programs measure.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "dequantize/value_table.hpp"
#include "lowbit/block_tensor.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/dtype.hpp"
#include "lowbit/tensor_file.hpp"
#include "quantize/engine.hpp"
#include "quantize/vector/vector_engine.hpp"

namespace lowbit::detail {

/// Values as weights have them.
inline std::vector<float> bench_values(std::size_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  std::vector<float> values(count);
  for (float& v : values) v = normal(random);
  return values;
}

/// Of an element, the share of its block's scale and levels included.
[[nodiscard]] inline double coded_bytes(const BlockFormat& format) {
  return static_cast<double>(format.block_bytes() + 1) / format.block_size;
}

class KernelCase {
 public:
  /// \param elements  a multiple of every block size
  /// \param dtype  F32, F16 or BF16: of what quantize() and measure() read. Narrow values are
  /// converted to F32 in a buffer, a piece at a time, as the command does
  /// \param scalar  whether the scalar engine computes, whatever vector kernels there are
  KernelCase(const BlockFormat& format, ScaleRule rule, std::size_t elements,
             const Dtype& dtype = dtype_f32, bool scalar = false)
      : format_(format),
        stored_(from_f32(dtype, bench_values(elements))),
        input_{.name = "x", .dtype = &dtype, .shape = {elements}, .bytes = stored_, .file = ""},
        values_(to_f32(input_)),
        constants_(make_constants(options(format, rule), amax(values_))),
        engine_(scalar ? &scalar_engine(format) : &engine_for(constants_)),
        table_(format, constants_.amax, constants_.encode_constant, canonical) {
    const auto size = static_cast<std::size_t>(format.block_size);
    run_.x = run_.original = values_.data();
    run_.blocks = run_.blocks_per_row = elements / size;
    run_.last_columns = size;
    run_.original_stride = elements;
    coded_.format = &format;
    coded_.rows = 1;
    coded_.columns = elements;
    coded_.values.resize(coded_.value_bytes_per_row());
    coded_.scales.resize(run_.blocks);
    coded_.amax = constants_.amax;
    coded_.encode_constant = constants_.encode_constant;
  }
  KernelCase(const KernelCase&) = delete;
  KernelCase& operator=(const KernelCase&) = delete;

  [[nodiscard]] std::size_t elements() const { return values_.size(); }
  [[nodiscard]] std::string_view engine() const { return engine_->name; }
  [[nodiscard]] double coded_bytes() const { return detail::coded_bytes(format_); }
  [[nodiscard]] double stored_bytes() const { return input_.dtype->bits_per_element() / 8.0; }

  void quantize() {
    read();
    engine_->quantize(constants_, run_, *scratch_,
                      {coded_.values.data(), coded_.scales.data(), nullptr});
  }
  [[nodiscard]] ErrorStatistics measure() {
    read();
    ErrorStatistics sums;
    engine_->measure(constants_, run_, *scratch_, table_, sums);
    return sums;
  }
  [[nodiscard]] std::uint32_t top_magnitude() {
    read();
    return engine_->top_magnitude(values_.data(), values_.size());
  }
  /// What quantize() made. The table of values is not made anew: its few dozen microseconds are
  /// spent once per tensor, and tensors are larger than this one.
  void dequantize(std::span<float> out) {
    if (!can_expand(format_)) return lowbit::dequantize(coded_, out, nullptr, 1);
    expand(format_, coded_.values.data(), coded_.scales.data(), coded_.scales.size(), table_,
           out.data());
  }

 private:
  static QuantizeOptions options(const BlockFormat& format, ScaleRule rule) {
    QuantizeOptions o;
    o.format = &format;
    o.rule = rule;
    return o;
  }
  static float amax(std::span<const float> values) {
    float top = 0.0F;
    for (const float v : values) top = std::max(top, std::fabs(v));
    return top;
  }
  void read() {
    if (!(*input_.dtype == dtype_f32)) to_f32(input_, 0, values_);
  }

  const BlockFormat& format_;
  std::vector<std::byte> stored_;
  TensorInfo input_;
  std::vector<float> values_;
  TensorConstants constants_;
  const Engine* engine_;
  ValueTable table_;
  BlockRun run_;
  BlockTensor coded_;
  std::unique_ptr<BlockScratch> scratch_ = std::make_unique<BlockScratch>();
};

}  // namespace lowbit::detail
