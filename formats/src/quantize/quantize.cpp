// SPDX-License-Identifier: MIT
#include "lowbit/quantize.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <vector>

#include "lowbit/error.hpp"
#include "lowbit/hadamard.hpp"
#include "quantize/block_engine.hpp"

namespace lowbit {
namespace {

using detail::BlockEngine;
using detail::TensorConstants;

/// A row-major matrix and what is to be done with it, checked.
struct Job {
  std::span<const float> values;
  std::size_t rows;
  std::size_t columns;
  const QuantizeOptions& options;

  [[nodiscard]] const BlockFormat& format() const { return *options.format; }
  [[nodiscard]] std::size_t block_size() const {
    return static_cast<std::size_t>(format().block_size);
  }
  [[nodiscard]] std::size_t blocks() const { return (columns + block_size() - 1) / block_size(); }
  [[nodiscard]] std::size_t padded_columns() const { return blocks() * block_size(); }
  /// Rows that are quantized together.
  [[nodiscard]] std::size_t strip_rows() const {
    return options.block_2d ? static_cast<std::size_t>(format().block_rows_2d()) : 1;
  }
};

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::usage, message);
}

void check_random(const Job& job, std::span<const float> random, std::string_view name) {
  const std::size_t wanted = job.rows * job.padded_columns();
  if (random.size() != wanted) {
    refuse(
        fmt::format("stochastic rounding needs {} numbers in {}, one an element of the padded "
                    "matrix of {} x {}; {} are given",
                    wanted, name, job.rows, job.padded_columns(), random.size()));
  }
  for (std::size_t i = 0; i < random.size(); ++i) {
    if (!(random[i] >= 0.0F && random[i] < 1.0F)) {
      throw Error(ErrorKind::invalid_input,
                  fmt::format("{}: number {} is {}, outside [0, 1)", name, i, random[i]));
    }
  }
}

void check(const Job& job) {
  const QuantizeOptions& o = job.options;
  if (o.format == nullptr) refuse("no block format is given");
  const ScaleRule rule = o.rule.value_or(default_rule(*o.format, o.dialect));
  if (!is_valid_rule(*o.format, rule, o.dialect)) {
    const std::string_view dialect = o.dialect != nullptr ? o.dialect->name : canonical.name;
    refuse(fmt::format("format {} has no rule {} in dialect {}", o.format->name, name_of(rule),
                       dialect));
  }
  if (job.columns != 0 && job.rows > std::numeric_limits<std::size_t>::max() / job.columns) {
    refuse(fmt::format("a matrix of {} x {} does not fit in memory", job.rows, job.columns));
  }
  if (job.values.size() != job.rows * job.columns) {
    refuse(fmt::format("{} values are given for a matrix of {} x {}", job.values.size(), job.rows,
                       job.columns));
  }
  const bool is_mx = o.format->family == ScaleFamily::mx;
  if (o.scale_max && (is_mx || (*o.scale_max != 448.0F && *o.scale_max != 256.0F))) {
    refuse(is_mx ? fmt::format("format {} has no E4M3 scale whose maximum could be chosen",
                               o.format->name)
                 : fmt::format("the E4M3 maximum is 448 or 256, not {}", *o.scale_max));
  }
  if (o.amax && !(*o.amax >= 0.0F && std::isfinite(*o.amax))) {
    refuse(fmt::format("the tensor's amax must be finite and not negative, not {}", *o.amax));
  }
  if (o.hadamard && job.columns % hadamard_points != 0) {
    refuse(fmt::format("the 16-point Hadamard transform needs a multiple of 16 columns, not {}",
                       job.columns));
  }
  if (o.rounding == ElementRounding::nearest) return;
  check_random(job, o.random0, "rand0");
  const bool selects =
      rule == ScaleRule::mse || rule == ScaleRule::mae || rule == ScaleRule::abs_max;
  if (selects) check_random(job, o.random1, "rand1");
}

float sanitized(float x, InputType type) {
  if (std::isnan(x)) return 0.0F;
  return std::isinf(x) ? std::copysign(largest_finite(type), x) : x;
}

/// Applies the caller's policy to one row in place.
/// \return whether non-finite elements remain (only under NonFinite::propagate).
bool apply_nonfinite_policy(std::span<float> row, std::size_t index, const QuantizeOptions& options,
                            std::string_view where) {
  std::int32_t top = 0;
  for (const float x : row) top = std::max(top, std::bit_cast<std::int32_t>(x) & 0x7FFFFFFF);
  if (top < 0x7F800000) return false;
  switch (options.nonfinite) {
    case NonFinite::error:
      for (std::size_t c = 0; c < row.size(); ++c) {
        if (std::isfinite(row[c])) continue;
        throw Error(
            ErrorKind::invalid_input,
            fmt::format("{} is {} at row {}, column {}; choose to saturate or to propagate it",
                        where, std::isnan(row[c]) ? "NaN" : "infinite", index, c));
      }
      break;
    case NonFinite::saturate:
      for (float& x : row) x = sanitized(x, options.input_type);
      return false;
    case NonFinite::propagate:
      break;
  }
  return true;
}

/// The elements of one row as the blocks see them, but for the power of two of AmaxRange.
/// \param out  columns floats. \return whether non-finite elements remain.
bool prepare_row(const Job& job, std::size_t row, std::span<float> out) {
  const auto in = job.values.subspan(row * job.columns, job.columns);
  std::copy(in.begin(), in.end(), out.begin());
  bool nonfinite = apply_nonfinite_policy(out, row, job.options, "the value");
  if (job.options.hadamard) {
    hadamard_transform(out, job.options.input_type);
    nonfinite = apply_nonfinite_policy(out, row, job.options, "the Hadamard transform");
  }
  return nonfinite;
}

float measure(const Job& job) {
  std::vector<float> row(job.columns);
  float amax = 0.0F;
  for (std::size_t r = 0; r < job.rows; ++r) {
    if (prepare_row(job, r, row)) {
      for (const float x : row) {
        if (std::isfinite(x)) amax = std::max(amax, std::fabs(x));
      }
    } else {
      amax = std::max(amax, detail::amax_of(row));
    }
  }
  return amax;
}

/// The blocks of a strip of rows, one after another.
class Strip {
 public:
  Strip(const Job& job, const TensorConstants& constants)
      : job_(job),
        range_exponent_(constants.range_exponent),
        elements_(job.strip_rows() * job.padded_columns()) {
    if (!job.options.block_2d) return;
    const std::size_t n = job.block_size() * job.strip_rows();
    for (auto* buffer : {&block_, &random0_, &random1_}) buffer->resize(n);
  }

  void load(std::size_t first_row) {
    first_row_ = first_row;
    rows_ = std::min(job_.strip_rows(), job_.rows - first_row);
    nonfinite_ = false;
    std::fill(elements_.begin(), elements_.end(), 0.0F);
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::span<float> row(elements_.data() + r * job_.padded_columns(), job_.columns);
      nonfinite_ |= prepare_row(job_, first_row + r, row);
      if (range_exponent_ == 0) continue;
      const double factor = std::ldexp(1.0, -range_exponent_);
      for (float& x : row) x = static_cast<float>(x * factor);
    }
  }

  [[nodiscard]] std::size_t rows() const { return rows_; }

  detail::BlockInput block(std::size_t index) {
    const std::size_t size = job_.block_size();
    const std::size_t count = size * job_.strip_rows();
    detail::BlockInput in{.count = static_cast<int>(count)};
    const std::size_t column = index * size;
    const std::size_t random_base = first_row_ * job_.padded_columns() + column;
    const bool random = job_.options.rounding != ElementRounding::nearest;
    const bool second = random && !job_.options.random1.empty();
    if (!job_.options.block_2d) {
      in.x = elements_.data() + column;
      if (random) in.random0 = job_.options.random0.data() + random_base;
      if (second) in.random1 = job_.options.random1.data() + random_base;
      return in;
    }
    for (std::size_t r = 0; r < job_.strip_rows(); ++r) {
      const std::size_t offset = r * job_.padded_columns();
      std::copy_n(elements_.data() + offset + column, size, block_.data() + r * size);
      if (r >= rows_) continue;
      if (random)
        std::copy_n(job_.options.random0.data() + random_base + offset, size,
                    random0_.data() + r * size);
      if (second)
        std::copy_n(job_.options.random1.data() + random_base + offset, size,
                    random1_.data() + r * size);
    }
    in.x = block_.data();
    if (random) in.random0 = random0_.data();
    if (second) in.random1 = random1_.data();
    return in;
  }

  /// Whether a block that block() returned has to be propagated as NaN.
  [[nodiscard]] bool has_nonfinite(const detail::BlockInput& in) const {
    if (!nonfinite_) return false;
    for (int i = 0; i < in.count; ++i) {
      if (!std::isfinite(in.x[i])) return true;
    }
    return false;
  }

 private:
  const Job& job_;
  int range_exponent_;
  std::size_t first_row_ = 0;
  std::size_t rows_ = 0;
  bool nonfinite_ = false;
  std::vector<float> elements_;
  std::vector<float> block_;
  std::vector<float> random0_;
  std::vector<float> random1_;
};

void store_codes(std::uint8_t* out, const std::uint8_t* codes, std::size_t count,
                 int storage_bits) {
  if (storage_bits == 8) {
    std::copy_n(codes, count, out);
    return;
  }
  for (std::size_t i = 0; i < count; i += 2) {
    out[i / 2] = static_cast<std::uint8_t>(codes[i] | codes[i + 1] << 4);
  }
}

/// Padding has code 0 whatever its rounding would have given (a random number can lift no zero, but
/// a dialect might).
void clear_padding(std::uint8_t* codes, std::size_t from, std::size_t size) {
  if (from < size) std::fill(codes + from, codes + size, std::uint8_t{0});
}

template <typename Engine>
void quantize_all(const Job& job, const TensorConstants& constants, BlockTensor& out,
                  std::span<BlockChoice> choices) {
  const auto scratch = std::make_unique<detail::BlockScratch>();
  Engine engine(constants, *scratch);
  Strip strip(job, constants);
  const std::size_t size = job.block_size();
  const std::size_t blocks = job.blocks();
  const int bits = job.format().storage_bits();
  const std::size_t block_bytes = size * static_cast<std::size_t>(bits) / 8;
  const auto nan_byte = static_cast<std::uint8_t>(job.format().scale().nan_code());
  std::array<std::uint8_t, 32> codes{};
  for (std::size_t first = 0; first < job.rows; first += job.strip_rows()) {
    strip.load(first);
    for (std::size_t k = 0; k < blocks; ++k) {
      const detail::BlockInput in = strip.block(k);
      const bool propagate = strip.has_nonfinite(in);
      const detail::Candidate* chosen = propagate ? nullptr : &engine.run(in);
      for (std::size_t r = 0; r < strip.rows(); ++r) {
        const std::size_t at = (first + r) * blocks + k;
        out.scales[at] = propagate ? nan_byte : chosen->scale_byte;
        if (!choices.empty()) choices[at] = propagate ? BlockChoice::only : chosen->kind;
        if (propagate) continue;
        std::copy_n(chosen->codes.data() + r * size, size, codes.data());
        clear_padding(codes.data(), job.columns - k * size, size);
        store_codes(out.values.data() + at * block_bytes, codes.data(), size, bits);
      }
    }
  }
}

/// Calls f with the engine of the format as its template argument.
template <typename F>
void with_engine(const BlockFormat& format, F&& f) {
  const ElementFormat& e = *format.element;
  if (format.is_adaptive()) {
    if (e == e2m0) return f(std::type_identity<BlockEngine<e2m0, int3>>{});
    if (e == e2m1) return f(std::type_identity<BlockEngine<e2m1, int4>>{});
    if (e == e2m3) return f(std::type_identity<BlockEngine<e2m3, int6>>{});
    if (e == e3m2) return f(std::type_identity<BlockEngine<e3m2, int6>>{});
  } else {
    if (e == e2m0) return f(std::type_identity<BlockEngine<e2m0>>{});
    if (e == e2m1) return f(std::type_identity<BlockEngine<e2m1>>{});
    if (e == e2m3) return f(std::type_identity<BlockEngine<e2m3>>{});
    if (e == e3m2) return f(std::type_identity<BlockEngine<e3m2>>{});
    if (e == e4m3) return f(std::type_identity<BlockEngine<e4m3>>{});
    if (e == e5m2) return f(std::type_identity<BlockEngine<e5m2>>{});
    if (e == int3) return f(std::type_identity<BlockEngine<int3>>{});
    if (e == int4) return f(std::type_identity<BlockEngine<int4>>{});
    if (e == int6) return f(std::type_identity<BlockEngine<int6>>{});
    if (e == int8) return f(std::type_identity<BlockEngine<int8>>{});
  }
  throw Error(ErrorKind::internal, fmt::format("format {} has no engine", format.name));
}

float amax_of(const Job& job) {
  // Measured even where it is given, for the non-finite elements.
  const float measured = measure(job);
  return job.options.amax.value_or(measured);
}

}  // namespace

float measure_amax(std::span<const float> values, std::size_t rows, std::size_t columns,
                   const QuantizeOptions& options) {
  QuantizeOptions nearest = options;
  nearest.rounding = ElementRounding::nearest;
  const Job job{values, rows, columns, nearest};
  check(job);
  return measure(job);
}

BlockTensor quantize(std::span<const float> values, std::size_t rows, std::size_t columns,
                     const QuantizeOptions& options, std::span<BlockChoice> choices) {
  const Job job{values, rows, columns, options};
  check(job);
  BlockTensor out;
  out.format = options.format;
  out.rows = rows;
  out.columns = columns;
  if (!choices.empty() && choices.size() != rows * out.blocks_per_row()) {
    refuse(fmt::format("{} choices are given for {} blocks", choices.size(),
                       rows * out.blocks_per_row()));
  }
  const TensorConstants constants = detail::make_constants(options, amax_of(job));
  out.values.resize(rows * out.value_bytes_per_row());
  out.scales.resize(rows * out.blocks_per_row());
  out.amax = constants.amax;
  out.encode_constant = constants.encode_constant;
  with_engine(*options.format, [&]<typename Engine>(std::type_identity<Engine>) {
    quantize_all<Engine>(job, constants, out, choices);
  });
  return out;
}

BlockTrace trace_block(std::span<const float> values, std::size_t rows, std::size_t columns,
                       const QuantizeOptions& options, std::size_t row, std::size_t block) {
  const Job job{values, rows, columns, options};
  check(job);
  if (row >= rows || block >= job.blocks()) {
    refuse(fmt::format("there is no block {} in row {} of {} x {} blocks", block, row, rows,
                       job.blocks()));
  }
  const TensorConstants constants = detail::make_constants(options, amax_of(job));
  BlockTrace trace;
  trace.tensor_amax = constants.amax;
  trace.range_exponent = constants.range_exponent;
  trace.scaled_amax = constants.scaled_amax;
  trace.largest_element = constants.largest_element;
  trace.encode_constant = constants.encode_constant;
  trace.encode_scale = constants.encode_scale;
  trace.decode_scale = constants.decode_scale;
  trace.error_constant = constants.error_constant;
  Strip strip(job, constants);
  strip.load(row - row % job.strip_rows());
  const detail::BlockInput in = strip.block(block);
  if (strip.has_nonfinite(in)) {
    trace.propagated = true;
    trace.elements.assign(in.x, in.x + in.count);
    trace.scale_byte = static_cast<std::uint8_t>(job.format().scale().nan_code());
    return trace;
  }
  with_engine(*options.format, [&]<typename Engine>(std::type_identity<Engine>) {
    const auto scratch = std::make_unique<detail::BlockScratch>();
    Engine(constants, *scratch).run(in, &trace);
  });
  return trace;
}

}  // namespace lowbit
