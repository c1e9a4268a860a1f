// SPDX-License-Identifier: MIT
// Packed 4-bit codes to values: a block's scale byte names a row of sixteen values, a code one of
// them. Compiled once per target.
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

/// The same of codes that take a byte each. \param mask  the bits of a code
inline void expand_bytes(const std::uint8_t* HWY_RESTRICT codes,
                         const std::uint8_t* HWY_RESTRICT scales, std::size_t blocks,
                         std::size_t size, std::uint32_t mask, ValueTable& values,
                         float* HWY_RESTRICT out) {
  const DF d;
  const hn::Rebind<std::uint8_t, DI> bytes;
  for (std::size_t k = 0; k < blocks; ++k) {
    const float* const row = values.row(scales[k]);
    for (std::size_t i = 0; i < size; i += lanes, codes += lanes, out += lanes) {
      const auto index = hn::BitCast(
          DI(),
          hn::And(hn::BitCast(DU(), hn::PromoteTo(DI(), hn::LoadU(bytes, codes))), set_bits(mask)));
      hn::StoreU(hn::GatherIndex(d, row, index), d, out);
    }
  }
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
