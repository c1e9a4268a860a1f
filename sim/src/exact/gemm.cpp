// SPDX-License-Identifier: MIT
// exact_gemm: both operands unpacked once to small integers and block weights, then for each output
// the narrowest sum whose bound holds (docs/exact.md, Fast paths).
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>

#include "gemm/operand_coding.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/exact.hpp"

namespace lowbit::sim {

using lowbit::detail::parallel_chunks;
namespace {

/// One operand on the grid of the smaller block size, K padded with zeros.
struct Prepared {
  const OperandCoding* coding = nullptr;
  std::size_t rows = 0;
  std::size_t blocks = 0;             ///< of the grid, per row
  std::vector<std::int16_t> narrow;   ///< rows x blocks x grid raw elements, or
  std::vector<std::int64_t> wide;     ///< the same where they exceed 16 bits (FP8)
  std::vector<std::int64_t> weights;  ///< rows x blocks: scale significand * factor
  std::vector<std::int16_t> shifts;   ///< rows x blocks, 0 where scales have no shifts
  std::vector<std::int16_t> lowest_shift, highest_shift;  ///< per row
  std::vector<std::uint8_t> has_nan;      ///< per row: a NaN scale byte, under NanScale::nan
  std::vector<std::uint8_t> has_special;  ///< per row: NaN or infinite elements
};

Prepared prepare(const BlockTensor& t, std::size_t grid, NanScale nan_scale, const char* name) {
  Prepared p;
  p.coding = &operand_coding(*t.format);
  const OperandCoding& c = *p.coding;
  p.rows = t.rows;
  p.blocks = (t.columns + grid - 1) / grid;
  const std::size_t padded = p.blocks * grid;
  const bool narrow = c.largest_raw <= std::numeric_limits<std::int16_t>::max();
  if (narrow) {
    p.narrow.resize(p.rows * padded);
  } else {
    p.wide.resize(p.rows * padded);
  }
  p.weights.resize(p.rows * p.blocks);
  p.shifts.resize(p.rows * p.blocks);
  p.lowest_shift.assign(p.rows, std::numeric_limits<std::int16_t>::max());
  p.highest_shift.assign(p.rows, 0);
  p.has_nan.resize(p.rows);
  p.has_special.resize(p.rows);
  const auto size = static_cast<std::size_t>(t.format->block_size);
  for (std::size_t r = 0; r < t.rows; ++r) {
    for (std::size_t block = 0; block < p.blocks; ++block) {
      const std::size_t first = block * grid;
      const std::uint8_t scale = t.scale(r, first / size);
      if (c.scale_is_nan[scale] && nan_scale != NanScale::largest) {
        if (nan_scale == NanScale::error) {
          throw Error(ErrorKind::invalid_input,
                      fmt::format("{}: NaN scale byte 0x{:02x} at row {}, block {}; choose what it "
                                  "means (--nan-scale nan or 448)",
                                  name, scale, r, first / size));
        }
        p.has_nan[r] = 1;
      }
      const std::size_t kind = c.block_kind[scale];
      const std::size_t at = r * p.blocks + block;
      p.weights[at] = static_cast<std::int64_t>(c.scale_significand[scale]) * c.factor[kind];
      p.shifts[at] = c.scale_shift[scale];
      p.lowest_shift[r] = std::min(p.lowest_shift[r], p.shifts[at]);
      p.highest_shift[r] = std::max(p.highest_shift[r], p.shifts[at]);
      const std::size_t last = std::min(first + grid, t.columns);
      for (std::size_t k = first; k < last; ++k) {
        const std::uint8_t code = t.code(r, k);
        if (narrow) {
          p.narrow[r * padded + k] = static_cast<std::int16_t>(c.raw[kind][code]);
        } else {
          p.wide[r * padded + k] = c.raw[kind][code];
          p.has_special[r] |= c.element_class[code] != NumberClass::finite ? 1 : 0;
        }
      }
    }
  }
  return p;
}

/// Sum over blocks [0, count) of (sum of grid products) * weight_a * weight_b in 64 bits: the
/// caller keeps count below the bound.
template <std::size_t grid>
[[gnu::always_inline]] inline std::int64_t weighted_sum_body(const std::int16_t* a,
                                                             const std::int16_t* b,
                                                             const std::int64_t* wa,
                                                             const std::int64_t* wb,
                                                             std::size_t count) {
  std::int64_t total = 0;
  for (std::size_t block = 0; block < count; ++block) {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < grid; ++i) {
      sum += static_cast<std::int32_t>(a[block * grid + i]) * b[block * grid + i];
    }
    total += sum * (wa[block] * wb[block]);
  }
  return total;
}

using WeightedSum = std::int64_t (*)(const std::int16_t*, const std::int16_t*, const std::int64_t*,
                                     const std::int64_t*, std::size_t);

template <std::size_t grid>
std::int64_t weighted_sum_portable(const std::int16_t* a, const std::int16_t* b,
                                   const std::int64_t* wa, const std::int64_t* wb,
                                   std::size_t count) {
  return weighted_sum_body<grid>(a, b, wa, wb, count);
}

#if defined(__x86_64__) && defined(__GNUC__)
// At -O2 GCC 12 leaves this loop without vectors; clang has no such attribute and needs none.
#if defined(__clang__)
#define LOWBIT_TARGET_AVX2 gnu::target("avx2")
#else
#define LOWBIT_TARGET_AVX2 gnu::target("avx2"), gnu::optimize("O3")
#endif
template <std::size_t grid>
[[LOWBIT_TARGET_AVX2]] std::int64_t weighted_sum_avx2(const std::int16_t* a, const std::int16_t* b,
                                                      const std::int64_t* wa,
                                                      const std::int64_t* wb, std::size_t count) {
  return weighted_sum_body<grid>(a, b, wa, wb, count);
}
#endif

WeightedSum choose_weighted_sum(std::size_t grid) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx2")) {
    return grid == 8    ? weighted_sum_avx2<8>
           : grid == 16 ? weighted_sum_avx2<16>
                        : weighted_sum_avx2<32>;
  }
#endif
  return grid == 8    ? weighted_sum_portable<8>
         : grid == 16 ? weighted_sum_portable<16>
                      : weighted_sum_portable<32>;
}

/// The sum of one block in the type that holds it.
template <typename Sum, typename A, typename B>
Int128 block_sum(const A* a, const B* b, std::size_t grid) {
  Sum sum = 0;
  for (std::size_t i = 0; i < grid; ++i) sum += static_cast<Sum>(a[i]) * static_cast<Sum>(b[i]);
  return sum;
}

int bits_of(std::uint64_t x) {
  return static_cast<int>(std::bit_width(x));
}

/// All outputs of A * B^T; the thread that computes an output calls `consume(i, j, value)`.
class ExactGemm {
 public:
  ExactGemm(const BlockTensor& a, const BlockTensor& b, NanScale nan_scale)
      : tensor_a_(a), tensor_b_(b), nan_scale_(nan_scale) {
    if (a.format == nullptr || b.format == nullptr) {
      throw Error(ErrorKind::usage, "tensor without a block format");
    }
    if (a.columns != b.columns) {
      throw Error(ErrorKind::usage, fmt::format("A is {} x {} and B {} x {}: D = A * B^T needs the "
                                                "same number of columns (K)",
                                                a.rows, a.columns, b.rows, b.columns));
    }
    grid_ = static_cast<std::size_t>(std::min(a.format->block_size, b.format->block_size));
    a_ = prepare(a, grid_, nan_scale, "A");
    b_ = prepare(b, grid_, nan_scale, "B");
    unit_ = exact_unit(*a.format, *b.format);

    const OperandCoding& ca = *a_.coding;
    const OperandCoding& cb = *b_.coding;
    const UInt128 raw_bound =
        static_cast<UInt128>(ca.largest_raw) * static_cast<UInt128>(cb.largest_raw) * grid_;
    raw_fits_32_ = raw_bound <= std::numeric_limits<std::int32_t>::max();
    raw_fits_64_ = raw_bound <= std::numeric_limits<std::int64_t>::max();
    const UInt128 value_bound =
        static_cast<UInt128>(ca.largest_value) * static_cast<UInt128>(cb.largest_value) * grid_;
    const bool no_shifts = !ca.has_shifts && !cb.has_shifts;
    // A block with its weights: before the shift, where there is one.
    const auto weight_bound =
        static_cast<UInt128>(ca.largest_significand) * static_cast<UInt128>(cb.largest_significand);
    const UInt128 weighted = value_bound * weight_bound;
    weighted_bits_ = bits_of(static_cast<std::uint64_t>(weighted >> 64)) + 64;
    if (weighted >> 64 == 0) weighted_bits_ = bits_of(static_cast<std::uint64_t>(weighted));
    if (no_shifts && raw_fits_32_ && weighted_bits_ <= 62) {
      blocks_in_64_ = (std::size_t{1} << 62) / static_cast<std::size_t>(weighted);
      weighted_sum_ = choose_weighted_sum(grid_);
    }
  }

  template <typename Consume>
  void run(unsigned threads, const Consume& consume) const {
    parallel_chunks(a_.rows, 8, threads, [&](std::size_t first, std::size_t last) {
      for (std::size_t j = 0; j < b_.rows; ++j) {
        for (std::size_t i = first; i < last; ++i) consume(i, j, output(i, j));
      }
    });
  }

 private:
  [[nodiscard]] ExactValue output(std::size_t i, std::size_t j) const {
    ExactValue v;
    v.exponent = unit_.exponent;
    v.denominator = unit_.denominator;
    if (a_.has_nan[i] != 0 || b_.has_nan[j] != 0) {
      v.number_class = NumberClass::nan;
      return v;
    }
    if (a_.has_special[i] != 0 || b_.has_special[j] != 0) {
      return exact_dot(tensor_a_, i, tensor_b_, j, nan_scale_);
    }
    if (weighted_sum_ != nullptr) {
      v.integer = sum_in_64(i, j);
    } else {
      v.integer = sum_shifted(i, j);
    }
    if (!v.integer.is_zero()) {
      v.number_class = NumberClass::finite;
      v.negative = v.integer.is_negative();
    }
    return v;
  }

  [[nodiscard]] WideInteger sum_in_64(std::size_t i, std::size_t j) const {
    const std::size_t blocks = a_.blocks;
    const std::int16_t* a = a_.narrow.data() + i * blocks * grid_;
    const std::int16_t* b = b_.narrow.data() + j * blocks * grid_;
    const std::int64_t* wa = a_.weights.data() + i * blocks;
    const std::int64_t* wb = b_.weights.data() + j * blocks;
    Int128 total = 0;
    for (std::size_t first = 0; first < blocks; first += blocks_in_64_) {
      const std::size_t count = std::min(blocks_in_64_, blocks - first);
      total += weighted_sum_(a + first * grid_, b + first * grid_, wa + first, wb + first, count);
    }
    return WideInteger(total);
  }

  [[nodiscard]] WideInteger sum_shifted(std::size_t i, std::size_t j) const {
    if (a_.blocks == 0) return {};
    const int base = a_.lowest_shift[i] + b_.lowest_shift[j];
    const int span = a_.highest_shift[i] + b_.highest_shift[j] - base;
    const int bits = weighted_bits_ + span + bits_of(a_.blocks) + 1;
    WideInteger wide;
    if (bits <= 127) {
      Int128 total = 0;
      each_block(i, j, [&](Int128 sum, int shift) {
        // Negative numbers shift as integers: multiply by the power of two.
        total += sum * (static_cast<Int128>(1) << (shift - base));
      });
      wide.add_shifted(total, base);
    } else {
      each_block(i, j, [&](Int128 sum, int shift) { wide.add_shifted(sum, shift); });
    }
    return wide;
  }

  template <typename Add>
  void each_block(std::size_t i, std::size_t j, const Add& add) const {
    for (std::size_t block = 0; block < a_.blocks; ++block) {
      const std::size_t at_a = i * a_.blocks + block;
      const std::size_t at_b = j * b_.blocks + block;
      const Int128 weight = a_.weights[at_a] * b_.weights[at_b];
      add(raw_sum(at_a * grid_, at_b * grid_) * weight, a_.shifts[at_a] + b_.shifts[at_b]);
    }
  }

  [[nodiscard]] Int128 raw_sum(std::size_t at_a, std::size_t at_b) const {
    const auto with = [&](const auto* a) -> Int128 {
      const auto sum = [&](const auto* b) -> Int128 {
        if (raw_fits_32_) return block_sum<std::int32_t>(a, b, grid_);
        if (raw_fits_64_) return block_sum<std::int64_t>(a, b, grid_);
        return block_sum<Int128>(a, b, grid_);
      };
      return b_.wide.empty() ? sum(b_.narrow.data() + at_b) : sum(b_.wide.data() + at_b);
    };
    return a_.wide.empty() ? with(a_.narrow.data() + at_a) : with(a_.wide.data() + at_a);
  }

  const BlockTensor& tensor_a_;
  const BlockTensor& tensor_b_;
  NanScale nan_scale_;
  std::size_t grid_ = 0;
  Prepared a_;
  Prepared b_;
  ExactUnit unit_{};
  bool raw_fits_32_ = false;
  bool raw_fits_64_ = false;
  int weighted_bits_ = 0;
  std::size_t blocks_in_64_ = 0;        ///< blocks whose sum surely fits 62 bits
  WeightedSum weighted_sum_ = nullptr;  ///< where the 64-bit path applies
};

void check_tensor_scale(const BlockTensor& t, const char* name) {
  if (std::isfinite(t.amax) && !std::signbit(t.amax) && std::isfinite(t.encode_constant) &&
      t.encode_constant > 0) {
    return;
  }
  throw Error(ErrorKind::invalid_input,
              fmt::format("{}: tensor scale {} / {} is not a finite number of at least 0", name,
                          t.amax, t.encode_constant));
}

}  // namespace

std::vector<std::uint32_t> exact_gemm(const BlockTensor& a, const BlockTensor& b,
                                      const ExactOptions& options) {
  const ExactGemm gemm(a, b, options.nan_scale);
  const ElementFormat& to = *options.output;
  if (options.tensor_scale != TensorScale::none) {
    check_tensor_scale(a, "A");
    check_tensor_scale(b, "B");
  }
  // One binary32 operation each, in this order: the expression of TensorScale::fp32.
  const float scale_a = a.amax / a.encode_constant;
  const float scale_b = b.amax / b.encode_constant;
  const float alpha = scale_a * scale_b;
  std::vector<std::uint32_t> words(a.rows * b.rows);
  gemm.run(options.threads, [&](std::size_t i, std::size_t j, const ExactValue& value) {
    std::uint32_t& word = words[i * b.rows + j];
    switch (options.tensor_scale) {
      case TensorScale::none:
        word = round_exact(value, to);
        break;
      case TensorScale::exact:
        word = round_exact_scaled(value, to, a.amax, a.encode_constant, b.amax, b.encode_constant);
        break;
      case TensorScale::fp32: {
        const float product = round_to_float(value) * alpha;
        ConversionPolicy policy;
        policy.overflow = Overflow::infinity;
        word = from_float(to, product, policy);
        break;
      }
    }
  });
  return words;
}

std::vector<ExactValue> exact_gemm_values(const BlockTensor& a, const BlockTensor& b,
                                          NanScale nan_scale) {
  const ExactGemm gemm(a, b, nan_scale);
  std::vector<ExactValue> values(a.rows * b.rows);
  gemm.run(0, [&](std::size_t i, std::size_t j, const ExactValue& value) {
    values[i * b.rows + j] = value;
  });
  return values;
}

}  // namespace lowbit::sim
