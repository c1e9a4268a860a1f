// SPDX-License-Identifier: MIT
// A run quantized, dequantized and compared without leaving the cache. Compiled once per target.
#if defined(LOWBIT_MEASURE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_MEASURE_INL
#undef LOWBIT_MEASURE_INL
#else
#define LOWBIT_MEASURE_INL
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "evaluate/block_errors.hpp"
#include "quantize/vector/expand-inl.hpp"
#include "quantize/vector/groups-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

using D64 = hn::ScalableTag<double>;
inline constexpr std::size_t lanes64 = HWY_LANES(double);

/// The larger magnitude; where b is NaN, a or NaN. \param a  not negative
HWY_INLINE auto larger_magnitude(hn::Vec<D64> a, hn::Vec<D64> b) {
#if LOWBIT_IS_AVX512
  constexpr int largest_magnitude_without_sign = 0xB;
  return hn::Vec<D64>{_mm512_range_pd(a.raw, b.raw, largest_magnitude_without_sign)};
#else
  return hn::Max(a, hn::Abs(b));
#endif
}

/// The sums in binary64: lane i of `used` takes elements i, i + used, ... one after another, as
/// BlockErrors::add() does in blocks of that many elements, or of a multiple of sixteen.
/// \param count  a multiple of `used`
template <std::size_t used>
inline void add_sums(const float* HWY_RESTRICT x, const float* HWY_RESTRICT q, std::size_t count,
                     LaneSums& sums) {
  static_assert(used <= LaneSums::count && used % lanes64 == 0);
  const D64 d;
  const hn::Rebind<float, D64> half;
  for (std::size_t lane = 0; lane < used; lane += lanes64) {
    auto squared_error = hn::LoadU(d, sums.squared_error.data() + lane);
    auto squared_value = hn::LoadU(d, sums.squared_value.data() + lane);
    auto squared_result = hn::LoadU(d, sums.squared_result.data() + lane);
    auto product = hn::LoadU(d, sums.product.data() + lane);
    auto largest = hn::LoadU(d, sums.max_abs_error.data() + lane);
    for (std::size_t i = lane; i < count; i += used) {
      const auto value = hn::PromoteTo(d, hn::LoadU(half, x + i));
      const auto result = hn::PromoteTo(d, hn::LoadU(half, q + i));
      const auto error = hn::Sub(result, value);
      squared_error = hn::Add(squared_error, hn::Mul(error, error));
      // Products of binary32 numbers are exact in binary64: fused or not, the sums are the same.
      squared_value = hn::MulAdd(value, value, squared_value);
      squared_result = hn::MulAdd(result, result, squared_result);
      product = hn::MulAdd(value, result, product);
      largest = larger_magnitude(largest, error);
    }
    // A maximum forgets NaN, a sum of squares has it exactly where an error was NaN.
    largest = hn::IfThenElse(hn::IsNaN(squared_error), squared_error, largest);
    hn::StoreU(squared_error, d, sums.squared_error.data() + lane);
    hn::StoreU(squared_value, d, sums.squared_value.data() + lane);
    hn::StoreU(squared_result, d, sums.squared_result.data() + lane);
    hn::StoreU(product, d, sums.product.data() + lane);
    hn::StoreU(largest, d, sums.max_abs_error.data() + lane);
  }
}

/// A vector of which `left` elements are there; the others are zeros.
/// \tparam size  elements per block: only where a vector holds several may it be too long
template <std::size_t size>
HWY_INLINE VF load_up_to(const float* HWY_RESTRICT x, std::size_t left) {
  const DF d;
  if constexpr (size < lanes) {
    if (left < lanes) return hn::MaskedLoad(hn::FirstN(d, left), d, x);
  }
  return hn::LoadU(d, x);
}

/// What quantizes a run, and the choice that counts as the second.
struct Quantizer {
  void (*quantize)(const TensorConstants&, const BlockRun&, BlockScratch&, const CodedRun&);
  BlockChoice second;
};

/// \tparam size  elements per block. \tparam is_packed  whether codes have four bits
template <std::size_t size, bool is_packed>
void measure_blocks(const Quantizer& by, const TensorConstants& t, const BlockRun& run,
                    BlockScratch& scratch, ValueTable& values, ErrorStatistics& sums) {
  // Originals are taken from x, where padding is 0 and adds nothing to any sum.
  if (run.block_rows != 1 || run.nonfinite || t.range_exponent != 0) {
    scalar_engine(*t.format).measure(t, run, scratch, values, sums);
    return;
  }
  const BlockErrors errors(*t.format, t.amax, t.encode_constant);
  constexpr std::size_t batch = 64;
  HWY_ALIGN std::uint8_t codes[batch * (is_packed ? size / 2 : size)];
  HWY_ALIGN std::uint8_t scales[batch];
  HWY_ALIGN float q[batch * size];
  BlockChoice choices[batch];
  float limits[256];
  std::fill(std::begin(limits), std::end(limits), -1.0F);
  LaneSums lane_sums;
  const DF d;
  std::size_t nonzero = 0, zeroed = 0, clipped = 0;
  for (std::size_t k = 0; k < run.blocks; k += batch) {
    const std::size_t blocks = std::min(batch, run.blocks - k);
    BlockRun part = run;
    part.x = run.x + k * size;
    part.blocks = blocks;
    part.blocks_per_row = blocks;
    by.quantize(t, part, scratch, {codes, scales, t.selects ? choices : nullptr});
    if constexpr (is_packed) {
      expand_codes(codes, scales, blocks, size, values, q);
    } else {
      expand_bytes(codes, scales, blocks, size, *t.format->element, values, q);
    }
    add_sums<std::min(size, LaneSums::count)>(part.x, q, blocks * size, lane_sums);
    // The last vector may end in a block that is not there.
    HWY_ALIGN float held[batch + 1];
    for (std::size_t b = 0; b < blocks; ++b) {
      float& limit = limits[scales[b]];
      if (limit < 0.0F) limit = errors.largest_held(scales[b]);
      held[b] = limit;
    }
    held[blocks] = 0.0F;
    for (std::size_t i = 0; i < blocks * size; i += lanes) {
      const VF x = load_up_to<size>(part.x + i, blocks * size - i);
      const VF result = load_up_to<size>(q + i, blocks * size - i);
      const auto is_zero = hn::Eq(x, hn::Zero(d));
      nonzero += lanes - hn::CountTrue(d, is_zero);
      zeroed += hn::CountTrue(d, hn::AndNot(is_zero, hn::Eq(result, hn::Zero(d))));
      clipped += hn::CountTrue(d, hn::Gt(hn::Abs(x), of_blocks<size>(held, i)));
    }
    if (!t.selects) continue;
    for (std::size_t b = 0; b < blocks; ++b) sums.four_or_int += choices[b] == by.second;
  }
  const std::size_t rows = run.blocks / std::max<std::size_t>(run.blocks_per_row, 1);
  errors.count_blocks(run.blocks, sums);
  sums.elements += rows * ((run.blocks_per_row - 1) * size + run.last_columns);
  sums.nonzero += nonzero;
  sums.zeroed += zeroed;
  sums.clipped += clipped;
  lane_sums.add_to(sums);
}

/// \tparam Kernel  as for quantize_groups()
template <typename Kernel>
void measure_groups(const TensorConstants& t, const BlockRun& run, BlockScratch& scratch,
                    ValueTable& values, ErrorStatistics& sums) {
  constexpr bool is_packed = Kernel::block_bytes != Kernel::size;
  measure_blocks<Kernel::size, is_packed>({quantize_groups<Kernel>, Kernel::second}, t, run,
                                          scratch, values, sums);
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
