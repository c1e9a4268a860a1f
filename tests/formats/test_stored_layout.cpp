// SPDX-License-Identifier: MIT
// Layouts of codes, scale bytes and tensor scales: every order is a permutation, every layout goes
// there and back, and the orders are those that the libraries' own reshapes give.
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/layout.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_file.hpp"

using namespace lowbit;

namespace {

std::vector<std::uint8_t> random_bytes(std::size_t n, std::mt19937& g) {
  std::vector<std::uint8_t> bytes(n);
  for (auto& b : bytes) b = static_cast<std::uint8_t>(g());
  return bytes;
}

/// A tensor of random codes and scale bytes; 2D: the same bytes in all rows of a 2D block.
BlockTensor random_tensor(const BlockFormat& format, std::size_t rows, std::size_t columns,
                          bool block_2d, std::mt19937& g) {
  BlockTensor t;
  t.format = &format;
  t.rows = rows;
  t.columns = columns;
  t.values = random_bytes(rows * t.value_bytes_per_row(), g);
  t.scales = random_bytes(rows * t.blocks_per_row(), g);
  const auto side = static_cast<std::size_t>(format.block_rows_2d());
  for (std::size_t r = 0; block_2d && r < rows; ++r) {
    for (std::size_t b = 0; b < t.blocks_per_row(); ++b) {
      t.scales[r * t.blocks_per_row() + b] = t.scale(r / side * side, b);
    }
  }
  return t;
}

/// Every layout but those that differ in words alone.
std::vector<Layout> every_layout() {
  std::vector<Layout> all;
  for (const CodeOrder codes : code_orders()) {
    for (const ScaleLayout scales : scale_layouts()) {
      for (const bool once : {false, true}) {
        all.push_back({.codes = codes, .scales = scales, .once_per_2d_block = once});
      }
    }
    for (const int fused : {1, 2, 4}) all.push_back({.codes = codes, .fused_blocks = fused});
  }
  return all;
}

}  // namespace

TEST_CASE("every order of scale bytes gives each (row, block) a byte of its own") {
  for (const ScaleLayout layout : scale_layouts()) {
    for (const std::size_t rows : {1U, 7U, 8U, 9U, 31U, 32U, 33U, 127U, 128U, 129U, 257U}) {
      for (std::size_t blocks = 1; blocks <= 9; ++blocks) {
        const std::size_t size = scale_bytes_of(layout, rows, blocks);
        std::vector<bool> taken(size);
        bool distinct = true;
        for (std::size_t r = 0; r < rows; ++r) {
          for (std::size_t b = 0; b < blocks; ++b) {
            const std::size_t at = scale_offset_of(layout, r, b, rows, blocks);
            distinct = distinct && at < size && !taken[at];
            if (at < size) taken[at] = true;
          }
        }
        INFO(name_of(layout) << " " << rows << " x " << blocks);
        REQUIRE(distinct);
        std::vector<std::uint8_t> linear(rows * blocks);
        std::iota(linear.begin(), linear.end(), std::uint8_t{1});
        const auto arranged = arrange_scales(layout, linear, rows, blocks);
        REQUIRE(linear_scales(layout, arranged, rows, blocks) == linear);
        for (std::size_t i = 0; i < size; ++i) REQUIRE((taken[i] || arranged[i] == 0));
        CHECK_THROWS_AS(linear_scales(layout, std::vector<std::uint8_t>(size + 1), rows, blocks),
                        Error);
      }
    }
  }
}

TEST_CASE("tiles are those of the libraries' reshapes") {
  // view(rows / 128, 4, 32, blocks / 4, 4).permute(0, 3, 2, 1, 4), as FlashInfer, vLLM and torchao
  // write it, and view(rows / 8, 8, blocks / 4, 4).permute(0, 2, 1, 3) for 8x4.
  constexpr std::size_t rows = 256;
  constexpr std::size_t blocks = 12;
  std::vector<std::uint8_t> linear(rows * blocks);
  std::mt19937 g(1);
  for (auto& b : linear) b = static_cast<std::uint8_t>(g());
  std::vector<std::uint8_t> wide;
  for (std::size_t i = 0; i < rows / 128; ++i) {
    for (std::size_t k = 0; k < blocks / 4; ++k) {
      for (std::size_t m = 0; m < 32; ++m) {
        for (std::size_t j = 0; j < 4; ++j) {
          for (std::size_t l = 0; l < 4; ++l) {
            wide.push_back(linear[((i * 4 + j) * 32 + m) * blocks + k * 4 + l]);
          }
        }
      }
    }
  }
  CHECK(arrange_scales(ScaleLayout::swizzled, linear, rows, blocks) == wide);
  std::vector<std::uint8_t> narrow;
  for (std::size_t i = 0; i < rows / 8; ++i) {
    for (std::size_t k = 0; k < blocks / 4; ++k) {
      for (std::size_t m = 0; m < 8; ++m) {
        for (std::size_t l = 0; l < 4; ++l) {
          narrow.push_back(linear[(i * 8 + m) * blocks + k * 4 + l]);
        }
      }
    }
  }
  CHECK(arrange_scales(ScaleLayout::tiles_8x4, linear, rows, blocks) == narrow);
}

TEST_CASE("places of codes, by hand") {
  const BlockFormat& format = *find_block_format("nvfp4");
  BlockTensor t;
  t.format = &format;
  t.rows = 1;
  t.columns = 16;
  t.values = {0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE};  // codes 0 to 15
  t.scales = {0x38};
  using Bytes = std::vector<std::uint8_t>;
  CHECK(pack({}, t).values == t.values);
  CHECK(pack({.codes = CodeOrder::high_first}, t).values ==
        Bytes{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF});
  CHECK(pack({.codes = CodeOrder::halves}, t).values ==
        Bytes{0x80, 0x91, 0xA2, 0xB3, 0xC4, 0xD5, 0xE6, 0xF7});
  const StoredBlocks fused = pack({.codes = CodeOrder::halves, .fused_blocks = 1}, t);
  CHECK(fused.values == Bytes{0x38, 0x80, 0x91, 0xA2, 0xB3, 0xC4, 0xD5, 0xE6, 0xF7});
  CHECK(fused.scales.empty());
}

TEST_CASE("every layout, there and back, for every format") {
  std::mt19937 g(2);
  for (const BlockFormat& format : block_formats()) {
    const auto size = static_cast<std::size_t>(format.block_size);
    for (const Layout& layout : every_layout()) {
      for (const std::size_t rows : {std::size_t{1}, std::size_t{3}, size, size + 1, 130UL}) {
        for (const std::size_t columns : {std::size_t{1}, size, size + 1, 4 * size, 8 * size}) {
          const BlockTensor t = random_tensor(format, rows, columns, layout.once_per_2d_block, g);
          INFO(format.name << " " << describe(layout) << " " << rows << " x " << columns);
          const auto sizes = stored_sizes(layout, format, rows, columns);
          const bool keeps_levels = !format.has_levels() || (layout.codes == CodeOrder::low_first &&
                                                             !layout.once_per_2d_block);
          const auto group = static_cast<std::size_t>(std::max(1, layout.fused_blocks));
          const bool fits = keeps_levels && t.blocks_per_row() % group == 0;
          REQUIRE(sizes.has_value() == fits);
          if (!fits) {
            CHECK_THROWS_AS(pack(layout, t), Error);
            continue;
          }
          const StoredBlocks stored = pack(layout, t);
          REQUIRE(StoredSizes{stored.values.size(), stored.scales.size()} == *sizes);
          const BlockTensor back =
              unpack(layout, format, rows, columns, stored.values, stored.scales);
          REQUIRE(back.values == t.values);
          REQUIRE(back.scales == t.scales);
          REQUIRE(parse_layout(describe(layout)) == layout);
          auto longer = stored.values;
          longer.push_back(0);
          CHECK_THROWS_AS(unpack(layout, format, rows, columns, longer, stored.scales), Error);
        }
      }
    }
  }
}

TEST_CASE("ggml's blocks: unpacked and dequantized as the reader of GGUF files reads them") {
  const TensorFile file = TensorFile::open(std::string(LOWBIT_TEST_DATA_DIR) + "/io/blocks.gguf");
  std::size_t seen = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    const bool is_nv = *tensor.dtype == dtype_ggml_nvfp4;
    if (!is_nv && *tensor.dtype != dtype_ggml_mxfp4) continue;
    ++seen;
    const Layout layout{.codes = CodeOrder::halves, .fused_blocks = is_nv ? 4 : 1};
    const std::span<const std::uint8_t> bytes(
        reinterpret_cast<const std::uint8_t*>(tensor.bytes.data()), tensor.bytes.size());
    const BlockTensor t = unpack(layout, *find_block_format(is_nv ? "nvfp4" : "mxfp4"),
                                 tensor.rows(), tensor.columns(), bytes, {});
    BlockTensor unsigned_scales = t;  // ggml ignores the sign of an E4M3 scale
    for (auto& scale : unsigned_scales.scales) scale &= is_nv ? 0x7F : 0xFF;
    std::vector<float> ours(tensor.elements());
    dequantize(unsigned_scales, ours);
    const std::vector<float> theirs = to_f32(tensor);
    std::size_t different = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const std::uint8_t scale =
          t.scale(i / tensor.columns(),
                  i % tensor.columns() / static_cast<std::size_t>(t.format->block_size));
      // ggml has its own meaning for the bytes that are no numbers: docs/files.md.
      const bool is_nan = is_nv ? (scale & 0x7F) == 0x7F : scale == 0xFF;
      different += !is_nan && ours[i] != theirs[i] ? 1 : 0;
    }
    CHECK(different == 0);
    CHECK(std::any_of(theirs.begin(), theirs.end(), [](float v) { return v != 0.0F; }));
    CHECK(pack(layout, t).values == std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
  }
  CHECK(seen == 2);
}

TEST_CASE("rows of a 2D block with different scale bytes cannot share one") {
  std::mt19937 g(3);
  BlockTensor t = random_tensor(*find_block_format("nvfp4"), 32, 32, true, g);
  const Layout once{.once_per_2d_block = true};
  CHECK(pack(once, t).scales.size() == 4);
  t.scales[17 * 2 + 1] ^= 1;
  CHECK_THROWS_WITH(pack(once, t), Catch::Matchers::Contains("row 17, block 1"));
}

TEST_CASE("tensor scales in the three conventions") {
  BlockTensor t;
  t.format = find_block_format("nvfp4");
  set_tensor_scale(t, TensorScaleKind::amax, 3.0F, 2688.0F);
  CHECK((t.amax == 3.0F && t.encode_constant == 2688.0F));
  set_tensor_scale(t, TensorScaleKind::multiplier, 0.375F, 2688.0F);
  CHECK((t.amax == 0.375F && t.encode_constant == 1.0F));
  CHECK(stored_tensor_scale(t, TensorScaleKind::multiplier, 2688.0F).number == 0.375F);
  // 1 / 0.375 = 8/3 is no float; the nearest one is off by a third of an ulp.
  const ConvertedScale third = stored_tensor_scale(t, TensorScaleKind::divisor, 2688.0F);
  CHECK(third.number == 8.0F / 3.0F);
  CHECK_FALSE(third.exact);
  CHECK((third.relative_error > 0.0 && third.relative_error < 0x1p-24));
  CHECK(stored_tensor_scale(t, TensorScaleKind::amax, 2688.0F).number == 1008.0F);
  CHECK(stored_tensor_scale(t, TensorScaleKind::amax, 2688.0F).exact);
  set_tensor_scale(t, TensorScaleKind::divisor, 8.0F, 2688.0F);
  CHECK((t.amax == 1.0F && t.encode_constant == 8.0F));
  const ConvertedScale eighth = stored_tensor_scale(t, TensorScaleKind::multiplier, 2688.0F);
  CHECK((eighth.number == 0.125F && eighth.exact && eighth.relative_error == 0.0));
  CHECK_FALSE(stored_tensor_scale(t, TensorScaleKind::none, 1.0F).exact);
  set_tensor_scale(t, TensorScaleKind::none, 5.0F, 2688.0F);
  CHECK((t.amax == 1.0F && t.encode_constant == 1.0F));
  CHECK(stored_tensor_scale(t, TensorScaleKind::none, 1.0F).exact);
  set_tensor_scale(t, TensorScaleKind::multiplier, 0.0F, 1.0F);
  const ConvertedScale nothing = stored_tensor_scale(t, TensorScaleKind::divisor, 1.0F);
  CHECK((nothing.number == 1.0F && !nothing.exact && std::isinf(nothing.relative_error)));
}

TEST_CASE("a converted tensor scale is called exact where it is, and nowhere else") {
  // Against long double, whose 64 bits hold the products below without rounding.
  std::mt19937 g(4);
  std::uniform_real_distribution<float> any(0.01F, 100.0F);
  std::size_t exact = 0;
  for (int i = 0; i < 20000; ++i) {
    BlockTensor t;
    t.format = find_block_format("nvfp4");
    const float x = i % 2 == 0 ? any(g) : std::ldexp(1.0F, static_cast<int>(g() % 20) - 10);
    const auto from = i % 3 == 0   ? TensorScaleKind::amax
                      : i % 3 == 1 ? TensorScaleKind::multiplier
                                   : TensorScaleKind::divisor;
    set_tensor_scale(t, from, x, 2688.0F);
    for (const TensorScaleKind to :
         {TensorScaleKind::amax, TensorScaleKind::multiplier, TensorScaleKind::divisor}) {
      const ConvertedScale c = stored_tensor_scale(t, to, 2688.0F);
      BlockTensor u = t;
      set_tensor_scale(u, to, c.number, 2688.0F);
      const bool same = static_cast<long double>(t.amax) * u.encode_constant ==
                        static_cast<long double>(u.amax) * t.encode_constant;
      REQUIRE(c.exact == same);
      REQUIRE((from != to || c.exact));
      exact += c.exact ? 1 : 0;
      if (!c.exact) REQUIRE((c.relative_error > 0.0 && c.relative_error < 0x1p-23));
    }
  }
  CHECK(exact > 20000);
}

TEST_CASE("layouts that sizes allow") {
  const BlockFormat& nvfp4 = *find_block_format("nvfp4");
  using Shape = std::vector<std::uint64_t>;
  const auto has = [](const std::vector<Layout>& found, ScaleLayout scales, CodeOrder codes) {
    return std::any_of(found.begin(), found.end(), [&](const Layout& l) {
      return l.scales == scales && l.codes == codes && l.fused_blocks == 0 && !l.once_per_2d_block;
    });
  };
  // Whole tiles: every order without further padding is possible.
  const auto whole = consistent_layouts(nvfp4, 128, 64, 128 * 32, Shape{128, 4});
  CHECK(whole.front() == Layout{});
  for (const ScaleLayout scales : scale_layouts()) {
    for (const CodeOrder codes : code_orders()) CHECK(has(whole, scales, codes));
  }
  // 48 rows of 3 blocks: only the tiles of 8 x 4 take 192 bytes.
  const auto narrow = consistent_layouts(nvfp4, 48, 48, 48 * 24, Shape{192});
  CHECK(narrow.size() == 3);
  CHECK((narrow.front().scales == ScaleLayout::tiles_8x4 &&
         narrow.front().codes == CodeOrder::low_first));
  // What the shape declares comes first.
  CHECK(consistent_layouts(nvfp4, 48, 48, 48 * 24, Shape{3, 48}).front().scales ==
        ScaleLayout::transposed);
  CHECK(consistent_layouts(nvfp4, 48, 48, 48 * 24, Shape{128, 4}).front().scales ==
        ScaleLayout::padded);
  CHECK(consistent_layouts(nvfp4, 48, 48, 48 * 24, Shape{512}).front().scales ==
        ScaleLayout::swizzled);
  // One byte per 2D block.
  const auto once = consistent_layouts(nvfp4, 48, 48, 48 * 24, Shape{3, 3});
  CHECK((once.front().once_per_2d_block && once.front().scales == ScaleLayout::linear));
  // ggml's groups.
  const auto fused = consistent_layouts(nvfp4, 2, 128, 2 * 2 * 36, {});
  CHECK((fused.front().fused_blocks == 4 && fused.front().codes == CodeOrder::halves));
  CHECK(
      consistent_layouts(*find_block_format("mxfp4"), 2, 64, 2 * 2 * 17, {}).front().fused_blocks ==
      1);
  // 8-bit codes have one order.
  CHECK(consistent_layouts(*find_block_format("mxfp8_e4m3"), 4, 32, 128, Shape{4, 1}).size() == 2);

  CHECK_THROWS_WITH(consistent_layouts(nvfp4, 48, 48, 48 * 24, Shape{48, 2}),
                    Catch::Matchers::Contains("96 scale bytes fit no layout") &&
                        Catch::Matchers::Contains("linear: 1152 + 144") &&
                        Catch::Matchers::Contains("swizzled: 1152 + 512") &&
                        Catch::Matchers::Contains("fused: not in this shape"));
  const std::uint64_t vast = std::numeric_limits<std::uint64_t>::max();
  CHECK_THROWS_AS(consistent_layouts(nvfp4, 48, 48, 1, Shape{vast, vast}), Error);
  CHECK_THROWS_AS(consistent_layouts(nvfp4, vast, vast, 1, Shape{1}), Error);
}

TEST_CASE("words of a layout") {
  CHECK(describe({}) == "low_first,linear,u8,amax");
  const Layout other{.codes = CodeOrder::halves,
                     .scale_type = ScaleType::f8_e4m3,
                     .tensor_scale = TensorScaleKind::multiplier,
                     .fused_blocks = 4};
  CHECK(parse_layout(describe(other)) == other);
  CHECK(parse_layout("128x4") == Layout{.scales = ScaleLayout::swizzled});
  CHECK(parse_layout("2d_once,row_major").once_per_2d_block);
  CHECK(parse_layout("") == Layout{});
  for (const char* bad : {"swizled", "fused=0", "fused=65", "fused=x", "linear,,u8"}) {
    CHECK_THROWS_WITH(parse_layout(bad), Catch::Matchers::Contains("no word of a layout"));
  }
}
