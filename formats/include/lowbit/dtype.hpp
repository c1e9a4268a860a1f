// SPDX-License-Identifier: MIT
/// \file
/// How the elements of a stored tensor are laid out: one record a type, in the spelling of
/// safetensors (https://github.com/huggingface/safetensors) or, with the prefix GGML_, of GGUF.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lowbit {

/// What a reader makes of the bytes.
enum class DtypeKind : std::uint8_t {
  floating,  ///< readable as FP32: to_f32
  packed,    ///< FP4 and FP6 codes, listed, and read as bytes
  integer,   ///< integers and booleans, listed, and read as bytes
  opaque,    ///< anything else that has a known size: listed only
};

/// One element type. Types that pack several elements together state the smallest whole unit:
/// `block_elements` elements in `block_bytes` bytes (F4: 2 in 1; GGML_NVFP4: 64 in 36).
struct Dtype {
  std::string_view name;  ///< as safetensors spells it, or GGML_ and ggml's name
  DtypeKind kind;         ///< what a reader makes of the bytes
  int block_elements;     ///< elements in a whole unit
  int block_bytes;        ///< bytes of a whole unit

  /// Whether to_f32 reads it.
  [[nodiscard]] constexpr bool is_float() const { return kind == DtypeKind::floating; }
  /// Bits of one element, its share of the block's scales included.
  [[nodiscard]] constexpr double bits_per_element() const {
    return 8.0 * block_bytes / block_elements;
  }
  /// Whether all fields are equal.
  friend constexpr bool operator==(const Dtype& a, const Dtype& b) { return a.name == b.name; }
};

/// IEEE binary64.
inline constexpr Dtype dtype_f64{"F64", DtypeKind::floating, 1, 8};
/// IEEE binary32.
inline constexpr Dtype dtype_f32{"F32", DtypeKind::floating, 1, 4};
/// IEEE binary16.
inline constexpr Dtype dtype_f16{"F16", DtypeKind::floating, 1, 2};
/// bfloat16.
inline constexpr Dtype dtype_bf16{"BF16", DtypeKind::floating, 1, 2};
/// E4M3FN, one per byte.
inline constexpr Dtype dtype_f8_e4m3{"F8_E4M3", DtypeKind::floating, 1, 1};
/// E5M2, one per byte.
inline constexpr Dtype dtype_f8_e5m2{"F8_E5M2", DtypeKind::floating, 1, 1};
/// E8M0, one per byte.
inline constexpr Dtype dtype_f8_e8m0{"F8_E8M0", DtypeKind::floating, 1, 1};
/// E2M3, four in three bytes.
inline constexpr Dtype dtype_f6_e2m3{"F6_E2M3", DtypeKind::packed, 4, 3};
/// E3M2, four in three bytes.
inline constexpr Dtype dtype_f6_e3m2{"F6_E3M2", DtypeKind::packed, 4, 3};
/// E2M1, two per byte.
inline constexpr Dtype dtype_f4{"F4", DtypeKind::packed, 2, 1};
/// Unsigned bytes.
inline constexpr Dtype dtype_u8{"U8", DtypeKind::integer, 1, 1};
/// Signed bytes.
inline constexpr Dtype dtype_i8{"I8", DtypeKind::integer, 1, 1};
/// Unsigned, 16 bits.
inline constexpr Dtype dtype_u16{"U16", DtypeKind::integer, 1, 2};
/// Signed, 16 bits.
inline constexpr Dtype dtype_i16{"I16", DtypeKind::integer, 1, 2};
/// Unsigned, 32 bits.
inline constexpr Dtype dtype_u32{"U32", DtypeKind::integer, 1, 4};
/// Signed, 32 bits.
inline constexpr Dtype dtype_i32{"I32", DtypeKind::integer, 1, 4};
/// Unsigned, 64 bits.
inline constexpr Dtype dtype_u64{"U64", DtypeKind::integer, 1, 8};
/// Signed, 64 bits.
inline constexpr Dtype dtype_i64{"I64", DtypeKind::integer, 1, 8};
/// Booleans, one per byte.
inline constexpr Dtype dtype_bool{"BOOL", DtypeKind::integer, 1, 1};
/// GGUF block formats that are decoded: an E8M0 byte and 32 E2M1 codes; four E4M3 bytes and 64.
inline constexpr Dtype dtype_ggml_mxfp4{"GGML_MXFP4", DtypeKind::floating, 32, 17};
/// GGUF's NVFP4 block: four E4M3 bytes and 64 E2M1 codes.
inline constexpr Dtype dtype_ggml_nvfp4{"GGML_NVFP4", DtypeKind::floating, 64, 36};

/// Every type that some reader knows, the ones above first.
[[nodiscard]] std::span<const Dtype> dtypes();
/// The record of that name (exact case), or nullptr.
[[nodiscard]] const Dtype* find_dtype(std::string_view name);

}  // namespace lowbit
