// SPDX-License-Identifier: MIT
#include "lowbit/layout.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace {

constexpr std::array all_orders{CodeOrder::low_first, CodeOrder::high_first, CodeOrder::halves};
constexpr std::array all_tensor_scales{TensorScaleKind::none, TensorScaleKind::amax,
                                       TensorScaleKind::multiplier, TensorScaleKind::divisor};
constexpr std::array all_scale_types{ScaleType::u8, ScaleType::f8_e4m3, ScaleType::f8_e8m0};
constexpr std::string_view fused_word = "fused=";
constexpr std::string_view once_word = "2d_once";

/// Where the nibble of element `column` is: its byte in the row and the shift within it.
struct NibblePlace {
  std::size_t byte;
  int shift;
};
constexpr NibblePlace place_of(CodeOrder order, std::size_t column, std::size_t block_size) {
  const int odd = static_cast<int>(column % 2);
  switch (order) {
    case CodeOrder::low_first:
      break;
    case CodeOrder::high_first:
      return {column / 2, (1 - odd) * 4};
    case CodeOrder::halves: {
      const std::size_t half = block_size / 2;
      const std::size_t within = column % block_size;
      return {column / block_size * half + within % half, within < half ? 0 : 4};
    }
  }
  return {column / 2, odd * 4};
}

/// Levels stand between the codes of a row: other orders of codes would tear them apart.
bool has_layout(const BlockFormat& format, const Layout& layout) {
  return !format.has_levels() ||
         (layout.codes == CodeOrder::low_first && !layout.once_per_2d_block);
}

/// Rows that have scale bytes of their own.
std::size_t scale_rows(const Layout& layout, const BlockFormat& format, std::size_t rows) {
  if (!layout.once_per_2d_block) return rows;
  const auto size = static_cast<std::size_t>(format.block_rows_2d());
  return (rows + size - 1) / size;
}

StoredSizes sizes_or_throw(const Layout& layout, const BlockFormat& format, std::size_t rows,
                           std::size_t columns) {
  const auto sizes = stored_sizes(layout, format, rows, columns);
  if (sizes) return *sizes;
  if (!has_layout(format, layout)) {
    throw Error(ErrorKind::usage,
                fmt::format("{} has levels between its codes: it is stored low_first and without "
                            "2D blocks, not as {}",
                            format.name, describe(layout)));
  }
  const auto size = static_cast<std::size_t>(format.block_size);
  throw Error(ErrorKind::usage,
              fmt::format("{} x {} of {} does not fit the layout {}: {} blocks per row are not a "
                          "multiple of {}",
                          rows, columns, format.name, describe(layout), (columns + size - 1) / size,
                          std::max(1, layout.fused_blocks)));
}

/// Moves the codes of one row from one order to another; both rows are `bytes` long.
void reorder(std::span<const std::uint8_t> in, CodeOrder from, std::span<std::uint8_t> out,
             CodeOrder to, std::size_t block_size) {
  if (from == to) {
    std::copy(in.begin(), in.end(), out.begin());
    return;
  }
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  for (std::size_t column = 0; column < 2 * in.size(); ++column) {
    const NibblePlace a = place_of(from, column, block_size);
    const NibblePlace b = place_of(to, column, block_size);
    out[b.byte] |= static_cast<std::uint8_t>((in[a.byte] >> a.shift & 0xF) << b.shift);
  }
}

/// a * b == c in exact arithmetic, for finite floats: products of two have 48 bits.
bool product_is(float a, float b, float c) {
  return static_cast<double>(a) * static_cast<double>(b) == static_cast<double>(c);
}

}  // namespace

std::vector<std::uint8_t> pack_nibbles(std::span<const std::uint8_t> codes) {
  std::vector<std::uint8_t> bytes((codes.size() + 1) / 2);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    bytes[i / 2] |= static_cast<std::uint8_t>((codes[i] & 0xF) << (i % 2 * 4));
  }
  return bytes;
}

std::vector<std::uint8_t> unpack_nibbles(std::span<const std::uint8_t> bytes, std::size_t count) {
  if (bytes.size() != (count + 1) / 2) {
    throw Error(ErrorKind::usage, fmt::format("unpacking 4-bit codes: {} bytes are given, {} are "
                                              "needed",
                                              bytes.size(), (count + 1) / 2));
  }
  std::vector<std::uint8_t> codes(count);
  for (std::size_t i = 0; i < count; ++i) codes[i] = bytes[i / 2] >> (i % 2 * 4) & 0xF;
  return codes;
}

std::string_view name_of(CodeOrder order) {
  switch (order) {
    case CodeOrder::low_first:
      return "low_first";
    case CodeOrder::high_first:
      return "high_first";
    case CodeOrder::halves:
      return "halves";
  }
  return "unknown";
}

std::string_view name_of(TensorScaleKind scale) {
  switch (scale) {
    case TensorScaleKind::none:
      return "no_tensor_scale";
    case TensorScaleKind::amax:
      return "amax";
    case TensorScaleKind::multiplier:
      return "multiplier";
    case TensorScaleKind::divisor:
      return "divisor";
  }
  return "unknown";
}

std::string_view name_of(ScaleType type) {
  switch (type) {
    case ScaleType::u8:
      return "u8";
    case ScaleType::f8_e4m3:
      return "e4m3";
    case ScaleType::f8_e8m0:
      return "e8m0";
  }
  return "unknown";
}

std::span<const CodeOrder> code_orders() {
  return all_orders;
}

std::string describe(const Layout& layout) {
  std::string text = fmt::format("{},{},{},{}", name_of(layout.codes), name_of(layout.scales),
                                 name_of(layout.scale_type), name_of(layout.tensor_scale));
  if (layout.fused_blocks != 0) text += fmt::format(",{}{}", fused_word, layout.fused_blocks);
  if (layout.once_per_2d_block) text += fmt::format(",{}", once_word);
  return text;
}

Layout parse_layout(std::string_view text, const Layout& base) {
  Layout layout = base;
  const auto take = [&](std::string_view word) {
    for (const CodeOrder order : all_orders) {
      if (name_of(order) == word) return static_cast<void>(layout.codes = order), true;
    }
    for (const TensorScaleKind scale : all_tensor_scales) {
      if (name_of(scale) == word) return static_cast<void>(layout.tensor_scale = scale), true;
    }
    for (const ScaleType type : all_scale_types) {
      if (name_of(type) == word) return static_cast<void>(layout.scale_type = type), true;
    }
    if (const auto scales = find_scale_layout(word)) {
      layout.scales = *scales;
      return true;
    }
    if (word == once_word) return layout.once_per_2d_block = true;
    if (!word.starts_with(fused_word)) return false;
    const std::string_view digits = word.substr(fused_word.size());
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, layout.fused_blocks);
    return error == std::errc{} && stop == end && layout.fused_blocks >= 1 &&
           layout.fused_blocks <= 64;
  };
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view word = text.substr(0, comma);
    if (!take(word)) {
      std::vector<std::string_view> known;
      for (const CodeOrder order : all_orders) known.push_back(name_of(order));
      for (const ScaleLayout scales : scale_layouts()) known.push_back(name_of(scales));
      for (const ScaleType type : all_scale_types) known.push_back(name_of(type));
      for (const TensorScaleKind scale : all_tensor_scales) known.push_back(name_of(scale));
      throw Error(ErrorKind::usage,
                  fmt::format("no word of a layout: '{}'; there are {}, fused=N, {}",
                              printable(word), fmt::join(known, ", "), once_word));
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return layout;
}

bool says_tensor_scale(std::string_view text) {
  const auto [none, amax] = std::pair{Layout{.tensor_scale = TensorScaleKind::none}, Layout{}};
  // A word that says it leaves the same layout, whatever was there before.
  return parse_layout(text, none).tensor_scale == parse_layout(text, amax).tensor_scale;
}

std::optional<StoredSizes> stored_sizes(const Layout& layout, const BlockFormat& format,
                                        std::size_t rows, std::size_t columns) {
  constexpr std::size_t most = std::size_t{1} << 62;
  const auto size = static_cast<std::size_t>(format.block_size);
  if (columns > most || rows > most || !has_layout(format, layout)) return std::nullopt;
  const std::size_t blocks = (columns + size - 1) / size;
  const std::size_t row_bytes = blocks * format.block_bytes();
  // Padding at most 128-folds the rows and quadruples the blocks.
  std::size_t bound = 0;
  if (__builtin_mul_overflow(rows + 128, row_bytes + blocks + 4, &bound) || bound > most) {
    return std::nullopt;
  }
  if (layout.fused_blocks == 0) {
    return StoredSizes{rows * row_bytes,
                       scale_bytes_of(layout.scales, scale_rows(layout, format, rows), blocks)};
  }
  if (blocks % static_cast<std::size_t>(layout.fused_blocks) != 0) return std::nullopt;
  return StoredSizes{rows * (row_bytes + blocks), 0};
}

StoredBlocks pack(const Layout& layout, const BlockTensor& tensor) {
  const BlockFormat& format = *tensor.format;
  const std::size_t blocks = tensor.blocks_per_row();
  const std::size_t row_bytes = tensor.value_bytes_per_row();
  const auto size = static_cast<std::size_t>(format.block_size);
  const StoredSizes sizes = sizes_or_throw(layout, format, tensor.rows, tensor.columns);
  const CodeOrder order = format.storage_bits() == 4 ? layout.codes : CodeOrder::low_first;

  StoredBlocks out;
  out.values.resize(tensor.rows * row_bytes);
  for (std::size_t r = 0; r < tensor.rows; ++r) {
    const std::span<const std::uint8_t> in(tensor.values.data() + r * row_bytes, row_bytes);
    reorder(in, CodeOrder::low_first, {out.values.data() + r * row_bytes, row_bytes}, order, size);
  }
  if (layout.fused_blocks != 0) {
    const auto group = static_cast<std::size_t>(layout.fused_blocks);
    const std::size_t code_bytes = row_bytes / std::max<std::size_t>(blocks, 1) * group;
    std::vector<std::uint8_t> fused;
    fused.reserve(sizes.values);
    for (std::size_t g = 0; g < tensor.rows * blocks / group; ++g) {
      const auto scale = tensor.scales.begin() + static_cast<std::ptrdiff_t>(g * group);
      fused.insert(fused.end(), scale, scale + layout.fused_blocks);
      const auto code = out.values.begin() + static_cast<std::ptrdiff_t>(g * code_bytes);
      fused.insert(fused.end(), code, code + static_cast<std::ptrdiff_t>(code_bytes));
    }
    out.values = std::move(fused);
    return out;
  }
  if (!layout.once_per_2d_block) {
    out.scales = arrange_scales(layout.scales, tensor.scales, tensor.rows, blocks);
    return out;
  }
  const auto side = static_cast<std::size_t>(format.block_rows_2d());
  std::vector<std::uint8_t> once;
  for (std::size_t r = 0; r < tensor.rows; ++r) {
    for (std::size_t b = 0; b < blocks; ++b) {
      if (r % side == 0) once.push_back(tensor.scale(r, b));
      if (tensor.scale(r, b) == once[r / side * blocks + b]) continue;
      throw Error(
          ErrorKind::usage,
          fmt::format("row {}, block {}: its scale byte differs from that of row {}, so one "
                      "byte per block of {} rows cannot hold both",
                      r, b, r / side * side, side));
    }
  }
  out.scales = arrange_scales(layout.scales, once, scale_rows(layout, format, tensor.rows), blocks);
  return out;
}

BlockTensor unpack(const Layout& layout, const BlockFormat& format, std::size_t rows,
                   std::size_t columns, std::span<const std::uint8_t> values,
                   std::span<const std::uint8_t> scales) {
  const StoredSizes sizes = sizes_or_throw(layout, format, rows, columns);
  if (values.size() != sizes.values || scales.size() != sizes.scales) {
    throw Error(ErrorKind::usage,
                fmt::format("{} x {} of {} in the layout {} takes {} value bytes and {} scale "
                            "bytes, not {} and {}",
                            rows, columns, format.name, describe(layout), sizes.values,
                            sizes.scales, values.size(), scales.size()));
  }
  BlockTensor t;
  t.format = &format;
  t.rows = rows;
  t.columns = columns;
  const std::size_t blocks = t.blocks_per_row();
  const std::size_t row_bytes = t.value_bytes_per_row();
  const auto size = static_cast<std::size_t>(format.block_size);
  const CodeOrder order = format.storage_bits() == 4 ? layout.codes : CodeOrder::low_first;
  std::vector<std::uint8_t> apart;
  if (layout.fused_blocks != 0) {
    const auto group = static_cast<std::size_t>(layout.fused_blocks);
    const std::size_t code_bytes = row_bytes / std::max<std::size_t>(blocks, 1) * group;
    apart.reserve(rows * row_bytes);
    t.scales.reserve(rows * blocks);
    for (std::size_t g = 0; g < rows * blocks / group; ++g) {
      const auto at = values.begin() + static_cast<std::ptrdiff_t>(g * (group + code_bytes));
      t.scales.insert(t.scales.end(), at, at + layout.fused_blocks);
      apart.insert(apart.end(), at + layout.fused_blocks,
                   at + static_cast<std::ptrdiff_t>(group + code_bytes));
    }
    values = apart;
  }
  t.values.resize(rows * row_bytes);
  for (std::size_t r = 0; r < rows; ++r) {
    reorder(values.subspan(r * row_bytes, row_bytes), order,
            {t.values.data() + r * row_bytes, row_bytes}, CodeOrder::low_first, size);
  }
  if (layout.fused_blocks != 0) return t;
  const std::size_t held = scale_rows(layout, format, rows);
  std::vector<std::uint8_t> linear = linear_scales(layout.scales, scales, held, blocks);
  if (!layout.once_per_2d_block) {
    t.scales = std::move(linear);
    return t;
  }
  const auto side = static_cast<std::size_t>(format.block_rows_2d());
  t.scales.resize(rows * blocks);
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy_n(linear.begin() + static_cast<std::ptrdiff_t>(r / side * blocks), blocks,
                t.scales.begin() + static_cast<std::ptrdiff_t>(r * blocks));
  }
  return t;
}

void set_tensor_scale(BlockTensor& tensor, TensorScaleKind kind, float number,
                      float encode_constant) {
  tensor.amax = 1.0F;
  tensor.encode_constant = 1.0F;
  if (kind == TensorScaleKind::amax) {
    tensor.amax = number;
    tensor.encode_constant = encode_constant;
  } else if (kind == TensorScaleKind::multiplier) {
    tensor.amax = number;
  } else if (kind == TensorScaleKind::divisor) {
    tensor.encode_constant = number;
  }
}

ConvertedScale stored_tensor_scale(const BlockTensor& tensor, TensorScaleKind kind,
                                   float encode_constant) {
  // The tensor's factor is a / c.
  const float a = tensor.amax;
  const float c = tensor.encode_constant;
  ConvertedScale out;
  if (a == 0.0F && kind != TensorScaleKind::multiplier && kind != TensorScaleKind::amax) {
    // No finite divisor makes everything 0.
    return {1.0F, false, std::numeric_limits<double>::infinity()};
  }
  double factor = 0.0;  // of the number that is stored
  switch (kind) {
    case TensorScaleKind::none:
      out.exact = a == c;
      factor = 1.0;
      break;
    case TensorScaleKind::multiplier:
      out.number = a / c;
      out.exact = product_is(out.number, c, a);
      factor = static_cast<double>(out.number);
      break;
    case TensorScaleKind::divisor:
      out.number = c / a;
      out.exact = product_is(out.number, a, c);
      factor = 1.0 / static_cast<double>(out.number);
      break;
    case TensorScaleKind::amax: {
      // a / c * C, rounded once: the double product of two floats is exact, its quotient by a float
      // has 53 bits, and rounding those again to 24 is innocuous (53 >= 2 * 24 + 2).
      const double product = static_cast<double>(a) * static_cast<double>(encode_constant);
      out.number = static_cast<float>(product / static_cast<double>(c));
      out.exact = product == static_cast<double>(out.number) * static_cast<double>(c);
      factor = static_cast<double>(out.number) / static_cast<double>(encode_constant);
      break;
    }
  }
  if (!out.exact) {
    const double wanted = static_cast<double>(a) / static_cast<double>(c);
    out.relative_error = std::fabs(factor / wanted - 1.0);
  }
  return out;
}

}  // namespace lowbit
