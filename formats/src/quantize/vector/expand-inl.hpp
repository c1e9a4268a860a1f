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

/// Eight codes. \param row  sixteen values
HWY_INLINE void expand_eight(const std::uint8_t* HWY_RESTRICT codes, const float* HWY_RESTRICT row,
                             float* HWY_RESTRICT out) {
#if LOWBIT_IS_AVX512 || HWY_TARGET == HWY_AVX2
  std::int32_t word;
  std::memcpy(&word, codes, 4);
  const __m256i shifts = _mm256_set_epi32(28, 24, 20, 16, 12, 8, 4, 0);
  // A permutation reads the low three bits, a blend the highest one.
  const __m256i index = _mm256_srlv_epi32(_mm256_set1_epi32(word), shifts);
  const __m256 fourth = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
  _mm256_storeu_ps(
      out, _mm256_blendv_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(row), index),
                            _mm256_permutevar8x32_ps(_mm256_loadu_ps(row + 8), index), fourth));
#else
  for (int i = 0; i < 4; ++i) {
    out[2 * i] = row[codes[i] & 15];
    out[2 * i + 1] = row[codes[i] >> 4];
  }
#endif
}

/// Blocks of eight.
inline void expand_codes_of_eight(const std::uint8_t* HWY_RESTRICT codes,
                                  const std::uint8_t* HWY_RESTRICT scales, std::size_t blocks,
                                  ValueTable& values, float* HWY_RESTRICT out) {
  std::size_t k = 0;
#if LOWBIT_IS_AVX512
  const __m512i shifts = _mm512_set_epi32(28, 24, 20, 16, 12, 8, 4, 0, 28, 24, 20, 16, 12, 8, 4, 0);
  for (; k + 2 <= blocks; k += 2, codes += 8, out += 16) {
    const float* const lower = values.row(scales[k]);
    const float* const upper = values.row(scales[k + 1]);
    std::int32_t low, high;
    std::memcpy(&low, codes, 4);
    std::memcpy(&high, codes + 4, 4);
    const __m512i words = _mm512_mask_set1_epi32(_mm512_set1_epi32(low), 0xFF00, high);
    // A permutation reads the low four bits of each index alone.
    const __m512i index = _mm512_srlv_epi32(words, shifts);
    const __m512 first = _mm512_permutexvar_ps(index, _mm512_loadu_ps(lower));
    _mm512_storeu_ps(out, _mm512_mask_permutexvar_ps(first, 0xFF00, index, _mm512_loadu_ps(upper)));
  }
#endif
  for (; k < blocks; ++k, codes += 4, out += 8) expand_eight(codes, values.row(scales[k]), out);
}

/// \param size  elements per block: eight or a multiple of sixteen
inline void expand_codes(const std::uint8_t* HWY_RESTRICT codes,
                         const std::uint8_t* HWY_RESTRICT scales, std::size_t blocks,
                         std::size_t size, ValueTable& values, float* HWY_RESTRICT out) {
  if (size == 8) return expand_codes_of_eight(codes, scales, blocks, values, out);
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
  HWY_INLINE VF operator()(const std::uint8_t* HWY_RESTRICT codes) const {
    const VU code = widened(codes);
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
  HWY_INLINE VF operator()(const std::uint8_t* HWY_RESTRICT codes) const {
    const VU code = widened(codes);
    const __mmask16 is_upper = _mm512_test_epi32_mask(code.raw, _mm512_set1_epi32(32));
    return VF{_mm512_mask_mov_ps(_mm512_permutex2var_ps(a, code.raw, b), is_upper,
                                 _mm512_permutex2var_ps(c, code.raw, d))};
  }
  __m512 a, b, c, d;
};
#endif

/// Integers of eight bits whose values are multiples.
struct IntegerMultiples {
  HWY_INLINE explicit IntegerMultiples(const float* HWY_RESTRICT row) : unit(row[1]) {}
  HWY_INLINE VF operator()(const std::uint8_t* HWY_RESTRICT codes) const {
    const auto integer = hn::ShiftRight<24>(hn::BitCast(DI(), hn::ShiftLeft<24>(widened(codes))));
    return hn::Mul(hn::ConvertTo(DF(), integer), set(unit));
  }
  float unit;
};

#if LOWBIT_IS_AVX512 || HWY_TARGET == HWY_AVX2
/// E4M3 and E5M2 whose values are multiples. The eight bits of E5M2 are the upper ones of an F16
/// number. Those of E4M3, one place lower, are an F16 number of 2^-8 times the value: subnormals
/// too, as both have the same fraction of their smallest normal number. F16 to F32 is exact; these
/// targets have an instruction for it.
template <bool is_e4m3>
struct FloatMultiples {
  HWY_INLINE explicit FloatMultiples(const float* HWY_RESTRICT row)
      : unit(row[unit_code(is_e4m3 ? e4m3 : e5m2)]), nan(row[0x7F]) {}
  HWY_INLINE VF operator()(const std::uint8_t* HWY_RESTRICT codes) const {
    const hn::Rebind<std::uint8_t, DF> d8;
    const hn::Rebind<std::uint16_t, DF> d16;
    const hn::Rebind<std::int16_t, DF> di16;
    const hn::Rebind<hwy::float16_t, DF> half;
    auto bits = hn::ShiftLeft<8>(hn::PromoteTo(d16, hn::LoadU(d8, codes)));
    if constexpr (is_e4m3) {
      const auto lower = hn::BitCast(d16, hn::ShiftRight<1>(hn::BitCast(di16, bits)));
      bits = hn::And(lower, hn::Set(d16, 0xBFFF));
    }
    VF number = hn::PromoteTo(DF(), hn::BitCast(half, bits));
    if constexpr (is_e4m3) number = hn::Mul(number, set(256.0F));
    // What would be above the largest number of E4M3 is NaN.
    const auto is_nan = is_e4m3 ? hn::Gt(hn::Abs(number), set(448.0F)) : hn::IsNaN(number);
    return hn::IfThenElse(is_nan, set(nan), hn::Mul(number, set(unit)));
  }
  float unit;
  float nan;
};
#endif

/// Codes of any number of bits.
struct Gathered {
  HWY_INLINE Gathered(const float* HWY_RESTRICT from, std::uint32_t bits) : row(from), mask(bits) {}
  HWY_INLINE VF operator()(const std::uint8_t* HWY_RESTRICT codes) const {
    const VU code = hn::And(widened(codes), set_bits(mask));
    return hn::GatherIndex(DF(), row, hn::BitCast(DI(), code));
  }
  const float* HWY_RESTRICT row;
  std::uint32_t mask;
};

/// A block of codes. \param look_up  from as many codes as there are lanes to their values
template <typename LookUp>
HWY_INLINE void expand_block(const std::uint8_t* HWY_RESTRICT codes, std::size_t size,
                             LookUp look_up, float* HWY_RESTRICT out) {
  for (std::size_t i = 0; i < size; i += lanes) {
    hn::StoreU(look_up(codes + i), DF(), out + i);
  }
}

/// Blocks of eight codes of three bits.
inline void expand_three_bits_of_eight(const std::uint8_t* HWY_RESTRICT codes,
                                       const std::uint8_t* HWY_RESTRICT scales, std::size_t blocks,
                                       ValueTable& values, float* HWY_RESTRICT out) {
  std::size_t k = 0;
#if LOWBIT_IS_AVX512
  // Both blocks' values in one vector: an index's fourth bit says which block's.
  const __m512i upper = _mm512_set_epi32(8, 8, 8, 8, 8, 8, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m512i three_bits = _mm512_set1_epi32(7);
  for (; k + 2 <= blocks; k += 2, codes += 16, out += 16) {
    const __m256 first = _mm256_loadu_ps(values.row(scales[k]));
    const __m256 second = _mm256_loadu_ps(values.row(scales[k + 1]));
    const __m512 table = _mm512_insertf32x8(_mm512_castps256_ps512(first), second, 1);
    const VU index = select_bits(VU{three_bits}, widened(codes), VU{upper});
    _mm512_storeu_ps(out, _mm512_permutexvar_ps(index.raw, table));
  }
#endif
  for (; k < blocks; ++k, codes += 8, out += 8) {
    const float* const row = values.row(scales[k]);
#if LOWBIT_IS_AVX512 || HWY_TARGET == HWY_AVX2
    std::int64_t eight;
    std::memcpy(&eight, codes, 8);
    const __m256i index = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(eight));
    _mm256_storeu_ps(out, _mm256_permutevar8x32_ps(_mm256_loadu_ps(row), index));
#else
    for (int i = 0; i < 8; ++i) out[i] = row[codes[i] & 7];
#endif
  }
}

/// The same as expand_codes() of codes that take a byte each; of blocks of eight, codes of three
/// bits alone.
inline void expand_bytes(const std::uint8_t* HWY_RESTRICT codes,
                         const std::uint8_t* HWY_RESTRICT scales, std::size_t blocks,
                         std::size_t size, const ElementFormat& element, ValueTable& values,
                         float* HWY_RESTRICT out) {
  if (size == 8) return expand_three_bits_of_eight(codes, scales, blocks, values, out);
  const std::uint32_t mask = element.code_mask();
  for (std::size_t k = 0; k < blocks; ++k, codes += size, out += size) {
    const float* const row = values.row(scales[k]);
#if LOWBIT_IS_AVX512 || HWY_TARGET == HWY_AVX2
    if (mask == 7) {
      expand_block(codes, size, ThreeBits(row), out);
      continue;
    }
#endif
#if LOWBIT_IS_AVX512
    if (mask == 63) {
      expand_block(codes, size, SixBits(row), out);
      continue;
    }
#endif
    const bool are_multiples = values.shape(scales[k]) == RowShape::multiples;
    if (are_multiples && element.is_integer()) {
      expand_block(codes, size, IntegerMultiples(row), out);
      continue;
    }
#if LOWBIT_IS_AVX512 || HWY_TARGET == HWY_AVX2
    if (are_multiples) {
      if (element == e4m3) {
        expand_block(codes, size, FloatMultiples<true>(row), out);
      } else {
        expand_block(codes, size, FloatMultiples<false>(row), out);
      }
      continue;
    }
#endif
    expand_block(codes, size, Gathered(row, mask), out);
  }
}

}  // namespace lowbit::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
