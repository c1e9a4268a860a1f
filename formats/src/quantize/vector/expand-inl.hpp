// SPDX-License-Identifier: MIT
// Codes to values: a block's scale byte names a row of values, a code one of them. Compiled once
// per target.
#if defined(LOWBIT_EXPAND_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LOWBIT_EXPAND_INL
#undef LOWBIT_EXPAND_INL
#else
#define LOWBIT_EXPAND_INL
#endif

#include <cstring>

#include "dequantize/value_table.hpp"
#include "quantize/vector/lanes-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace lowbit::detail::HWY_NAMESPACE {

/// Sixteen codes. \param row  sixteen values
HWY_INLINE void expand_sixteen(const std::uint8_t* HWY_RESTRICT codes,
                               const float* HWY_RESTRICT row, float* HWY_RESTRICT out) {
#if LOWBIT_IS_AVX512
  std::int32_t low, high;
  std::memcpy(&low, codes, 4);
  std::memcpy(&high, codes + 4, 4);
  // A permutation reads the low four bits of each index alone.
  const __m512i words = _mm512_mask_set1_epi32(_mm512_set1_epi32(low), 0xFF00, high);
  const __m512i shifts = _mm512_set_epi32(28, 24, 20, 16, 12, 8, 4, 0, 28, 24, 20, 16, 12, 8, 4, 0);
  _mm512_storeu_ps(out,
                   _mm512_permutexvar_ps(_mm512_srlv_epi32(words, shifts), _mm512_loadu_ps(row)));
#elif HWY_TARGET == HWY_AVX2
  const __m256i shifts = _mm256_set_epi32(28, 24, 20, 16, 12, 8, 4, 0);
  const __m256 lower = _mm256_loadu_ps(row);
  const __m256 upper = _mm256_loadu_ps(row + 8);
  for (int i = 0; i < 2; ++i) {
    std::int32_t word;
    std::memcpy(&word, codes + 4 * i, 4);
    // A permutation reads the low three bits, a blend the highest one.
    const __m256i index = _mm256_srlv_epi32(_mm256_set1_epi32(word), shifts);
    const __m256 fourth = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
    _mm256_storeu_ps(out + 8 * i, _mm256_blendv_ps(_mm256_permutevar8x32_ps(lower, index),
                                                   _mm256_permutevar8x32_ps(upper, index), fourth));
  }
#else
  for (int i = 0; i < 8; ++i) {
    out[2 * i] = row[codes[i] & 15];
    out[2 * i + 1] = row[codes[i] >> 4];
  }
#endif
}

/// \param size  elements per block, a multiple of sixteen
inline void expand_codes(const std::uint8_t* HWY_RESTRICT codes,
                         const std::uint8_t* HWY_RESTRICT scales, std::size_t blocks,
                         std::size_t size, ValueTable& values, float* HWY_RESTRICT out) {
  for (std::size_t k = 0; k < blocks; ++k) {
    const float* const row = values.row(scales[k]);
    for (std::size_t i = 0; i < size; i += 16, codes += 8, out += 16) {
      expand_sixteen(codes, row, out);
    }
  }
}

/// As many codes as there are lanes, a byte each, to lanes.
HWY_INLINE VU widened(const std::uint8_t* HWY_RESTRICT codes) {
  const hn::Rebind<std::uint8_t, DI> bytes;
  return hn::BitCast(DU(), hn::PromoteTo(DI(), hn::LoadU(bytes, codes)));
}

#if LOWBIT_IS_AVX512 || HWY_TARGET == HWY_AVX2
/// Codes of three bits: the row's eight values are one vector, or its half.
struct ThreeBits {
  HWY_INLINE explicit ThreeBits(const float* HWY_RESTRICT row) {
#if LOWBIT_IS_AVX512
    table = _mm512_broadcast_f32x8(_mm256_loadu_ps(row));
#else
    table = _mm256_loadu_ps(row);
#endif
  }
  /// Permutations read the low bits of an index alone.
  HWY_INLINE VF operator()(VU code) const {
#if LOWBIT_IS_AVX512
    return VF{_mm512_permutexvar_ps(code.raw, table)};
  }
  __m512 table;
#else
    return VF{_mm256_permutevar8x32_ps(table, code.raw)};
  }
  __m256 table;
#endif
};
#endif

#if LOWBIT_IS_AVX512
/// Codes of six bits: two permutations of 32 values each.
struct SixBits {
  HWY_INLINE explicit SixBits(const float* HWY_RESTRICT row)
      : a(_mm512_loadu_ps(row)),
        b(_mm512_loadu_ps(row + 16)),
        c(_mm512_loadu_ps(row + 32)),
        d(_mm512_loadu_ps(row + 48)) {}
  HWY_INLINE VF operator()(VU code) const {
    const __mmask16 is_upper = _mm512_test_epi32_mask(code.raw, _mm512_set1_epi32(32));
    return VF{_mm512_mask_mov_ps(_mm512_permutex2var_ps(a, code.raw, b), is_upper,
                                 _mm512_permutex2var_ps(c, code.raw, d))};
  }
  __m512 a, b, c, d;
};
#endif

/// Codes of any number of bits.
struct Gathered {
  HWY_INLINE Gathered(const float* HWY_RESTRICT from, std::uint32_t bits) : row(from), mask(bits) {}
  HWY_INLINE VF operator()(VU code) const {
    return hn::GatherIndex(DF(), row, hn::BitCast(DI(), hn::And(code, set_bits(mask))));
  }
  const float* HWY_RESTRICT row;
  std::uint32_t mask;
};

/// \param make  from the row of a scale byte to what looks codes up in it
template <typename Make>
HWY_INLINE void expand_bytes_with(const std::uint8_t* HWY_RESTRICT codes,
                                  const std::uint8_t* HWY_RESTRICT scales, std::size_t blocks,
                                  std::size_t size, ValueTable& values, float* HWY_RESTRICT out,
                                  Make make) {
  const DF d;
  for (std::size_t k = 0; k < blocks; ++k) {
    const auto look_up = make(values.row(scales[k]));
    for (std::size_t i = 0; i < size; i += lanes, codes += lanes, out += lanes) {
      hn::StoreU(look_up(widened(codes)), d, out);
    }
  }
}

/// The same as expand_codes() of codes that take a byte each. \param mask  the bits of a code
inline void expand_bytes(const std::uint8_t* HWY_RESTRICT codes,
                         const std::uint8_t* HWY_RESTRICT scales, std::size_t blocks,
                         std::size_t size, std::uint32_t mask, ValueTable& values,
                         float* HWY_RESTRICT out) {
#if LOWBIT_IS_AVX512 || HWY_TARGET == HWY_AVX2
  if (mask == 7) {
    return expand_bytes_with(codes, scales, blocks, size, values, out,
                             [](const float* row) LOWBIT_INLINE_LAMBDA { return ThreeBits(row); });
  }
#endif
#if LOWBIT_IS_AVX512
  if (mask == 63) {
    return expand_bytes_with(codes, scales, blocks, size, values, out,
                             [](const float* row) LOWBIT_INLINE_LAMBDA { return SixBits(row); });
  }
#endif
  expand_bytes_with(codes, scales, blocks, size, values, out,
                    [&](const float* row) LOWBIT_INLINE_LAMBDA { return Gathered(row, mask); });
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
