// SPDX-License-Identifier: MIT
// Sixteen blocks side by side: what every vector kernel is built of. Compiled once per target.
#if defined(LOWBIT_LANES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_LANES_INL
#undef LOWBIT_LANES_INL
#else
#define LOWBIT_LANES_INL
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"

/// A lambda is a function of its own: it needs the target's attributes, and inlining for speed.
#if HWY_COMPILER_MSVC
#define LOWBIT_INLINE_LAMBDA HWY_ATTR
#else
#define LOWBIT_INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))
#endif
/// Targets whose vectors hold a block of sixteen elements.
#define LOWBIT_IS_AVX512 (HWY_TARGET == HWY_AVX3)

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Blocks of a group: as many as there are lanes of 32 bits in the widest vector.
inline constexpr std::size_t group_blocks = 16;
/// Elements per block of the NV and IF families.
inline constexpr std::size_t nv_size = 16;

using DF = hn::ScalableTag<float>;
using DU = hn::RebindToUnsigned<DF>;
using DI = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VU = hn::Vec<DU>;
/// 16, 8, 4 or 1: targets whose vectors have no fixed size are not compiled.
inline constexpr std::size_t lanes = HWY_LANES(float);
static_assert(group_blocks % lanes == 0);

HWY_INLINE VU bits_of(VF v) {
  return hn::BitCast(DU(), v);
}
HWY_INLINE VF float_of(VU v) {
  return hn::BitCast(DF(), v);
}
HWY_INLINE VU set_bits(std::uint32_t v) {
  return hn::Set(DU(), v);
}
HWY_INLINE VF set(float v) {
  return hn::Set(DF(), v);
}

/// (mask & yes) | (~mask & no)
HWY_INLINE VU select_bits(VU mask, VU yes, VU no) {
#if LOWBIT_IS_AVX512
  return VU{_mm512_ternarylogic_epi32(mask.raw, yes.raw, no.raw, 0xCA)};
#else
  return hn::Or(hn::And(mask, yes), hn::AndNot(mask, no));
#endif
}

/// Lane i of the mask in bit i.
template <typename Mask>
HWY_INLINE std::uint32_t mask_bits(Mask mask) {
#if LOWBIT_IS_AVX512
  return static_cast<std::uint32_t>(mask.raw);
#else
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(DF(), mask, bytes);
  return bytes[0];
#endif
}

/// Lane i from bit i.
HWY_INLINE hn::Mask<DU> mask_of(std::uint32_t bits) {
#if LOWBIT_IS_AVX512
  return hn::Mask<DU>{static_cast<__mmask16>(bits)};
#else
  HWY_ALIGN std::uint32_t wanted[lanes];
  for (std::size_t i = 0; i < lanes; ++i) wanted[i] = bits >> i & 1;
  return hn::Ne(hn::Load(DU(), wanted), hn::Zero(DU()));
#endif
}

struct Larger {
  HWY_INLINE VF operator()(VF a, VF b) const { return hn::Max(a, b); }
#if LOWBIT_IS_AVX512
  HWY_INLINE VF first(VF a, VF b) const {
    return (*this)(a, b);
  }
#endif
};
/// Whether any of many vectors may hold NaN or infinities, for half an operation per vector: a
/// fused product of two of them is added to the sum. A NaN stays in the sum, an infinity becomes an
/// infinity or NaN. Products that overflow only look like it. The sum starts at 1, so that products
/// below the normal numbers are lost in it at no cost.
class NonfiniteWatch {
 public:
  HWY_INLINE NonfiniteWatch() : sum_(set(1.0F)) {}
  HWY_INLINE void see(VF a, VF b) { sum_ = hn::MulAdd(a, b, sum_); }
  [[nodiscard]] HWY_INLINE bool may_have_seen() const {
    return !hn::AllTrue(DF(), hn::Eq(hn::Sub(sum_, sum_), hn::Zero(DF())));
  }

 private:
  VF sum_;
};

/// Of magnitudes: signs are dropped in the first step. A maximum may forget NaN; the watch does
/// not.
struct LargerMagnitude {
  NonfiniteWatch& watch;
  HWY_INLINE VF operator()(VF a, VF b) const { return hn::Max(a, b); }
#if LOWBIT_IS_AVX512
  HWY_INLINE VF first(VF a, VF b) const {
    watch.see(a, b);
    constexpr int largest_magnitude_without_sign = 0xB;
    return VF{_mm512_range_ps(a.raw, b.raw, largest_magnitude_without_sign)};
  }
#endif
};
struct Sum {
  HWY_INLINE VF operator()(VF a, VF b) const { return hn::Add(a, b); }
#if LOWBIT_IS_AVX512
  HWY_INLINE VF first(VF a, VF b) const {
    return (*this)(a, b);
  }
#endif
};

#if LOWBIT_IS_AVX512
/// Where block k has to enter the tree for its result to come out in lane k: the steps of
/// reduce_halves() interleave halves, 64-bit pairs, quarters and single lanes.
inline constexpr int tree_order[16] = {0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15};

/// Reduces the halves of eight vectors at once: 7 steps of one operation and at most two shuffles.
/// \param first  the operation of the first step
/// \return lane tree_order[2 * i]: the lower half of vector i reduced, the next of them the upper
template <typename First, typename Operation>
HWY_INLINE VF reduce_halves(First first, Operation op, const VF (&a)[8]) {
  VF b[4], c[2];
  HWY_UNROLL(4)
  for (std::size_t i = 0; i < 4; ++i) {
    const __m512d p = _mm512_castps_pd(a[2 * i].raw);
    const __m512d q = _mm512_castps_pd(a[2 * i + 1].raw);
    b[i] = first(VF{_mm512_castpd_ps(_mm512_mask_blend_pd(0xAA, p, q))},
                 VF{_mm512_castpd_ps(_mm512_shuffle_pd(p, q, 0x55))});
  }
  for (std::size_t i = 0; i < 2; ++i) {
    const __m512 p = b[2 * i].raw;
    const __m512 q = b[2 * i + 1].raw;
    c[i] = op(VF{_mm512_shuffle_f32x4(p, q, 0x88)}, VF{_mm512_shuffle_f32x4(p, q, 0xDD)});
  }
  return op(VF{_mm512_shuffle_ps(c[0].raw, c[1].raw, 0x88)},
            VF{_mm512_shuffle_ps(c[0].raw, c[1].raw, 0xDD)});
}

/// Reduces sixteen vectors at once: 15 steps instead of a transposition's 64 shuffles.
/// \return lane k: vector k reduced over its lanes
template <typename Operation, typename Row>
HWY_INLINE VF reduce_rows(Operation op, Row row) {
  VF a[8];
  HWY_UNROLL(8)
  for (std::size_t i = 0; i < 8; ++i) {
    const VF p = row(static_cast<std::size_t>(tree_order[2 * i]));
    const VF q = row(static_cast<std::size_t>(tree_order[2 * i + 1]));
    a[i] = op.first(VF{_mm512_mask_blend_ps(0xFF00, p.raw, q.raw)},
                    VF{_mm512_shuffle_f32x4(p.raw, q.raw, 0x4E)});
  }
  return reduce_halves(op, op, a);
}

/// Reduces blocks of eight, two to a vector.
/// \param rows  eight vectors one after another. \return lane k: block k reduced
template <typename Operation>
HWY_INLINE VF reduce_pairs(Operation op, const float* HWY_RESTRICT rows) {
  VF a[8];
  HWY_UNROLL(8)
  for (std::size_t i = 0; i < 8; ++i) a[i] = hn::LoadU(DF(), rows + i * lanes);
  const auto first = [&](VF p, VF q) LOWBIT_INLINE_LAMBDA { return op.first(p, q); };
  const __m512i order = _mm512_loadu_si512(tree_order);
  return VF{_mm512_permutexvar_ps(order, reduce_halves(first, op, a).raw)};
}
#endif

/// What is left of a block of `size` elements before its last reduction: whole vectors of it
/// reduced to one, or as much as it has.
template <std::size_t size>
inline constexpr std::size_t row_lanes = size < lanes ? size : lanes;

/// The same with any number of lanes. \param rows  row_lanes<size> of each of sixteen blocks
/// \param out  sixteen results
template <std::size_t size, typename D, typename Operation>
HWY_INLINE void reduce_stored_rows(D d, Operation op, const float* HWY_RESTRICT rows,
                                   float* HWY_RESTRICT out) {
#if LOWBIT_IS_AVX512
  if constexpr (size < lanes) {
    static_assert(2 * size == lanes);
    hn::Store(reduce_pairs(op, rows), d, out);
  } else {
    hn::Store(reduce_rows(op, [&](std::size_t k)
                                  LOWBIT_INLINE_LAMBDA { return hn::Load(d, rows + k * lanes); }),
              d, out);
  }
#elif HWY_TARGET == HWY_SCALAR
  (void)op;
  for (std::size_t k = 0; k < group_blocks; ++k) hn::Store(hn::Load(d, rows + k), d, out + k);
#else
  const hn::Repartition<double, D> pairs;
  const auto four = [&](const float* r) LOWBIT_INLINE_LAMBDA {
    const VF a = hn::Load(d, r), b = hn::Load(d, r + lanes);
    const VF c = hn::Load(d, r + 2 * lanes), e = hn::Load(d, r + 3 * lanes);
    const auto ab =
        hn::BitCast(pairs, op(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b)));
    const auto ce =
        hn::BitCast(pairs, op(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e)));
    return op(hn::BitCast(d, hn::InterleaveLower(pairs, ab, ce)),
              hn::BitCast(d, hn::InterleaveUpper(pairs, ab, ce)));
  };
  for (std::size_t k = 0; k < group_blocks; k += lanes) {
    const VF low = four(rows + k * lanes);
    if constexpr (lanes == 4) {
      hn::Store(low, d, out + k);
    } else {
      static_assert(lanes == 8 || lanes == 4);
      const VF high = four(rows + (k + 4) * lanes);
      hn::Store(op(hn::ConcatLowerLower(d, high, low), hn::ConcatUpperUpper(d, high, low)), d,
                out + k);
    }
  }
#endif
}

/// A number per block, as the elements of a vector need it.
/// \param values  of sixteen blocks of `size` elements. \param at  the vector's first element
template <std::size_t size>
HWY_INLINE VF of_blocks(const float* HWY_RESTRICT values, std::size_t at) {
#if LOWBIT_IS_AVX512
  if constexpr (size < lanes) {
    static_assert(2 * size == lanes);
    const __m512 lower = _mm512_set1_ps(values[at / size]);
    return VF{_mm512_mask_broadcastss_ps(lower, 0xFF00, _mm_load_ss(values + at / size + 1))};
  }
#endif
  return set(values[at / size]);
}

/// The largest magnitudes of sixteen blocks of `size` elements, finite ones in any case.
/// \return whether there may be NaN or infinities among the elements
template <std::size_t size>
HWY_INLINE bool block_maxima(const float* HWY_RESTRICT x, float* HWY_RESTRICT out) {
  const DF d;
  NonfiniteWatch watch;
  const LargerMagnitude larger{watch};
#if LOWBIT_IS_AVX512
  if constexpr (size < lanes) {
    hn::Store(reduce_pairs(larger, x), d, out);
  } else {
    hn::Store(reduce_rows(larger,
                          [&](std::size_t k) LOWBIT_INLINE_LAMBDA {
                            VF m = hn::LoadU(d, x + k * size);
                            for (std::size_t i = lanes; i < size; i += lanes) {
                              m = larger.first(m, hn::LoadU(d, x + k * size + i));
                            }
                            return m;
                          }),
              d, out);
  }
#else
  HWY_ALIGN float rows[group_blocks * lanes];
  for (std::size_t k = 0; k < group_blocks; ++k) {
    VF m = hn::Abs(hn::LoadU(d, x + k * size));
    if constexpr (size == lanes) watch.see(m, m);
    for (std::size_t i = lanes; i < size; i += lanes) {
      const VF next = hn::LoadU(d, x + k * size + i);
      watch.see(m, next);
      m = hn::Max(m, hn::Abs(next));
    }
    hn::Store(m, d, rows + k * lanes);
  }
  reduce_stored_rows<size>(d, larger, rows, out);
#endif
  if (HWY_LIKELY(!watch.may_have_seen())) return false;
  for (std::size_t k = 0; k < group_blocks; ++k) {
    out[k] = std::fmin(out[k], std::numeric_limits<float>::max());
  }
  return true;
}

/// Packs 128 codes, lane after lane of 128 / lanes vectors, into 64 bytes.
/// \param vector  vector(i): the codes of elements i * lanes and on
/// \tparam unit  8 or 4. \param keep  bit k: whether bytes unit * k and on are kept, or 0
template <std::size_t unit = 8, typename Vectors>
HWY_INLINE void pack_nibbles(Vectors vector, std::uint32_t keep, std::uint8_t* HWY_RESTRICT out) {
#if LOWBIT_IS_AVX512
  // The high half of a code is a word of 0, and packs to a byte of 0.
  const auto pair = [&](std::size_t i) LOWBIT_INLINE_LAMBDA {
    return _mm512_packus_epi16(vector(i).raw, vector(i + 1).raw);
  };
  const __m512i weights = _mm512_set1_epi16(0x1001);
  const auto four = [&](std::size_t i) LOWBIT_INLINE_LAMBDA {
    return _mm512_maddubs_epi16(_mm512_packus_epi16(pair(i), pair(i + 2)), weights);
  };
  __m512i bytes = _mm512_packus_epi16(four(0), four(4));
  // 128-bit lane L, word i: columns 4 L to 4 L + 3 of vector i.
  const __m512i order = _mm512_set_epi16(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4,
                                         27, 19, 11, 3, 26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
  bytes = _mm512_permutexvar_epi16(order, bytes);
  if constexpr (unit == 8) {
    _mm512_storeu_si512(out, _mm512_maskz_mov_epi64(static_cast<__mmask8>(keep), bytes));
  } else {
    _mm512_storeu_si512(out, _mm512_maskz_mov_epi32(static_cast<__mmask16>(keep), bytes));
  }
#else
#if HWY_TARGET == HWY_AVX2
  const __m256i weights = _mm256_set1_epi16(0x1001);
  for (std::size_t i = 0; i < 16; i += 8) {
    const auto pair = [&](std::size_t j) LOWBIT_INLINE_LAMBDA {
      return _mm256_packus_epi16(vector(i + j).raw, vector(i + j + 1).raw);
    };
    const auto four = [&](std::size_t j) LOWBIT_INLINE_LAMBDA {
      return _mm256_maddubs_epi16(_mm256_packus_epi16(pair(j), pair(j + 2)), weights);
    };
    const __m256i bytes = _mm256_packus_epi16(four(0), four(4));
    // Half L, word j: columns 4 L to 4 L + 3 of vector j.
    const __m128i low = _mm256_castsi256_si128(bytes);
    const __m128i high = _mm256_extracti128_si256(bytes, 1);
    auto* const to = reinterpret_cast<__m128i*>(out + i * 4);
    _mm_storeu_si128(to, _mm_unpacklo_epi16(low, high));
    _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(low, high));
  }
#else
  HWY_ALIGN std::uint32_t codes[128];
  for (std::size_t i = 0; i < 128 / lanes; ++i) hn::Store(vector(i), DU(), codes + i * lanes);
  for (std::size_t i = 0; i < 128; i += 2) {
    out[i / 2] = static_cast<std::uint8_t>(codes[i] | codes[i + 1] << 4);
  }
#endif
  for (std::size_t k = 0; k < 64 / unit; ++k) {
    if ((keep >> k & 1) != 0) continue;
    for (std::size_t i = 0; i < unit; ++i) out[k * unit + i] = 0;
  }
#endif
}

/// Stores the low byte of each lane, values 0 to 255.
HWY_INLINE void store_bytes(VU v, std::uint8_t* out) {
  const hn::Rebind<std::uint8_t, DI> bytes;
  hn::StoreU(hn::DemoteTo(bytes, hn::BitCast(DI(), v)), bytes, out);
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
