// SPDX-License-Identifier: MIT
/// \file
/// How a block-quantized tensor lies in memory: the one description that readers, verification,
/// conversion and lint share. It says nothing about arithmetic: two programs that compute the same
/// codes, scale bytes and tensor scale may store them in different layouts. Thread-safe.
///
/// lowbit's own layout (BlockTensor) is the default `Layout{}`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/block_tensor.hpp"
#include "lowbit/scale_layout.hpp"

namespace lowbit {

/// Two 4-bit codes per byte, the even one in the low nibble; an odd last code stands alone.
[[nodiscard]] std::vector<std::uint8_t> pack_nibbles(std::span<const std::uint8_t> codes);
/// \param bytes  two codes each
/// \param count  codes wanted, at most twice the bytes. \throws Error(usage)
[[nodiscard]] std::vector<std::uint8_t> unpack_nibbles(std::span<const std::uint8_t> bytes,
                                                       std::size_t count);

/// Which two elements of a row share a byte of 4-bit codes. Wider codes take one byte each, in
/// order.
enum class CodeOrder : std::uint8_t {
  low_first,   ///< byte j holds element 2j in its low nibble and 2j + 1 in its high one
  high_first,  ///< byte j holds element 2j in its high nibble and 2j + 1 in its low one
  halves,      ///< ggml: in a block of n, byte j holds element j (low) and n/2 + j (high)
};
/// What the FP32 number beside the blocks is.
enum class TensorScaleKind : std::uint8_t {
  none,        ///< there is none: blocks are scaled by their bytes alone
  amax,        ///< A: an element is code * scale * A / C
  multiplier,  ///< an element is code * scale * number
  divisor,     ///< an element is code * scale / number
};
/// The dtype that a file declares for scale bytes. The bytes are the same.
enum class ScaleType : std::uint8_t {
  u8,       ///< U8
  f8_e4m3,  ///< F8_E4M3
  f8_e8m0,  ///< F8_E8M0
};
/// The names, as the command spells them.
[[nodiscard]] std::string_view name_of(CodeOrder order);
/// The names, as the command spells them.
[[nodiscard]] std::string_view name_of(TensorScaleKind scale);
/// The names, as the command spells them.
[[nodiscard]] std::string_view name_of(ScaleType type);
/// Every order, low_first first.
[[nodiscard]] std::span<const CodeOrder> code_orders();

/// How codes, scale bytes and tensor scale lie in memory.
struct Layout {
  CodeOrder codes = CodeOrder::low_first;                ///< of 4-bit codes
  ScaleLayout scales = ScaleLayout::linear;              ///< of scale bytes; linear where fused
  ScaleType scale_type = ScaleType::u8;                  ///< declared for the scale bytes
  TensorScaleKind tensor_scale = TensorScaleKind::amax;  ///< of the number beside the blocks
  /// Blocks whose scale bytes stand together before their codes, in one tensor (ggml: 4 in NVFP4, 1
  /// in MXFP4); 0 where scale bytes are a tensor of their own.
  int fused_blocks = 0;
  /// A 2D block has one scale byte; false: its byte is repeated in each of its rows.
  bool once_per_2d_block = false;
  /// Whether all fields are equal.
  friend bool operator==(const Layout&, const Layout&) = default;
};
/// The layout in words that parse_layout() reads: "low_first,linear,u8,amax". Members that are not
/// the default of `fused_blocks` and `once_per_2d_block` add "fused=4" and "2d_once".
[[nodiscard]] std::string describe(const Layout& layout);
/// The layout of such words, in any order; what no word says is as in `base`.
/// \param text  words with commas between them
/// \param base  lowbit's own layout, or the one that a file declares
/// \throws Error(usage) that names the unknown word and lists what there is.
[[nodiscard]] Layout parse_layout(std::string_view text, const Layout& base = {});
/// Whether one of such words says what the tensor scale is.
[[nodiscard]] bool says_tensor_scale(std::string_view text);

/// The bytes of a tensor in some layout.
struct StoredBlocks {
  std::vector<std::uint8_t> values;  ///< codes; where fused, scale bytes too
  std::vector<std::uint8_t> scales;  ///< empty where fused
};
/// Bytes that a tensor takes.
struct StoredSizes {
  std::size_t values = 0;  ///< of codes; where fused, of scale bytes too
  std::size_t scales = 0;  ///< 0 where fused
  /// Whether all fields are equal.
  friend bool operator==(const StoredSizes&, const StoredSizes&) = default;
};
/// Bytes of a rows x columns tensor of the format. Columns are padded to whole blocks.
/// \return nullopt where the layout cannot hold it: a number of blocks per row that fused groups do
///         not divide, or a size beyond 64 bits.
[[nodiscard]] std::optional<StoredSizes> stored_sizes(const Layout& layout,
                                                      const BlockFormat& format, std::size_t rows,
                                                      std::size_t columns);

/// The tensor's codes and scale bytes in a layout.
/// \throws Error(usage) for a shape that the layout cannot hold, and for 2D blocks whose rows have
///         different scale bytes where one byte per 2D block is wanted.
[[nodiscard]] StoredBlocks pack(const Layout& layout, const BlockTensor& tensor);

/// Stored bytes as lowbit's rows of codes and scale bytes. amax and encode_constant stay 1.
/// \param layout  of the stored bytes
/// \param format  of the tensor
/// \param rows  of the matrix
/// \param columns  of the matrix, before padding
/// \param values  stored_sizes().values bytes
/// \param scales  stored_sizes().scales bytes
/// \throws Error(usage), with both numbers, for spans of the wrong size.
[[nodiscard]] BlockTensor unpack(const Layout& layout, const BlockFormat& format, std::size_t rows,
                                 std::size_t columns, std::span<const std::uint8_t> values,
                                 std::span<const std::uint8_t> scales);

/// Gives the tensor the scale that a file stores: A over the given C, number over 1, or 1 over
/// number, so that the exact dequantization of docs/formats.md is that of the convention.
/// \param tensor  amax and encode_constant are set
/// \param kind  what the number is
/// \param number  as stored; ignored for none
/// \param encode_constant  C, where the number is an amax
void set_tensor_scale(BlockTensor& tensor, TensorScaleKind kind, float number,
                      float encode_constant);

/// A tensor scale in another convention.
struct ConvertedScale {
  float number = 1.0F;  ///< to store, rounded to nearest even
  bool exact = true;    ///< whether it stands for exactly the same factor amax / C
  /// |number's factor / the tensor's factor - 1|; 0 where exact.
  double relative_error = 0.0;
};
/// The number that a convention stores for the tensor's factor amax / encode_constant.
/// \param tensor  whose factor is wanted
/// \param kind  the convention; none: exact only where the factor is 1
/// \param encode_constant  C, where the number is an amax
[[nodiscard]] ConvertedScale stored_tensor_scale(const BlockTensor& tensor, TensorScaleKind kind,
                                                 float encode_constant);

/// Every combination of code order and order of scale bytes in which a tensor of that format and
/// shape takes just these bytes, the likeliest first: what the shape of the scales declares, then
/// linear ones, then low_first codes. Fused layouts are among them where no scale bytes are apart.
/// Tensor scale and declared dtype do not follow from sizes and are as in Layout{}.
/// \param format  of the tensor
/// \param rows  of the matrix
/// \param columns  of the matrix
/// \param value_bytes  of the codes that are stored
/// \param scale_shape  of the scale bytes that are stored; empty where there are none apart
/// \throws Error(invalid_input), with what was tried and what it would take, where no layout fits.
[[nodiscard]] std::vector<Layout> consistent_layouts(const BlockFormat& format, std::size_t rows,
                                                     std::size_t columns, std::size_t value_bytes,
                                                     std::span<const std::uint64_t> scale_shape);

}  // namespace lowbit
