// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <random>

#include "catch.hpp"
#include "lowbit/block_tensor_file.hpp"
#include "lowbit/error.hpp"
#include "random_tensor.hpp"

using namespace lowbit;
using lowbit_test::random_tensor;

namespace {

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("lowbit_btf_" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

void check_equal(const BlockTensor& a, const BlockTensor& b) {
  CHECK(a.format == b.format);
  CHECK(a.rows == b.rows);
  CHECK(a.columns == b.columns);
  CHECK(a.values == b.values);
  CHECK(a.scales == b.scales);
  CHECK(a.amax == b.amax);
  CHECK(a.encode_constant == b.encode_constant);
}

}  // namespace

TEST_CASE("the 128x4 layout: published offsets, and back") {
  CHECK(swizzled_scale_offset(0, 1, 4) == 1);
  CHECK(swizzled_scale_offset(1, 0, 4) == 16);
  CHECK(swizzled_scale_offset(32, 0, 4) == 4);
  CHECK(swizzled_scale_offset(127, 3, 4) == 511);
  CHECK(swizzled_scale_offset(0, 4, 8) == 512);
  CHECK(swizzled_scale_offset(128, 0, 5) == 1024);
  std::mt19937 random(1);
  for (const auto& [rows, blocks] :
       {std::pair<std::size_t, std::size_t>{1, 1}, {128, 4}, {130, 5}}) {
    std::vector<std::uint8_t> linear(rows * blocks);
    for (auto& b : linear) b = static_cast<std::uint8_t>(random());
    const auto swizzled = swizzle_scales(linear, rows, blocks);
    CHECK(swizzled.size() % 512 == 0);
    CHECK(unswizzle_scales(swizzled, rows, blocks) == linear);
  }
  CHECK_THROWS_AS(unswizzle_scales(std::vector<std::uint8_t>(511), 128, 4), Error);
}

TEST_CASE("every format travels through a file, in both layouts") {
  const Folder folder;
  std::mt19937 random(2);
  for (const BlockFormat& f : block_formats()) {
    CAPTURE(f.name);
    NamedBlockTensor a{"layer.a", random_tensor(f, 3, 75, random), {}, {}};
    a.tensor.amax = 0.1F;
    a.tensor.encode_constant = f.family() == ScaleFamily::nv ? 2529.8823F : 1.0F;
    a.record.shape = {3, 75};
    a.attributes = {{"calibration", "none"}, {"note", "[3,75]"}};
    NamedBlockTensor b{"layer.b", random_tensor(f, 129, 33, random), {}, {}};
    b.record.scale_layout = ScaleLayout::swizzled;
    const auto path = folder.path / "t.safetensors";
    write_block_tensors(path, std::vector{a, b}, {{"note", "kept"}});
    const TensorFile file = TensorFile::open(path);
    CHECK(block_tensor_names(file) == std::vector<std::string>{"layer.a", "layer.b"});
    CHECK(file.metadata().at("note") == "kept");
    const NamedBlockTensor ra = read_block_tensor(path, "layer.a");
    check_equal(ra.tensor, a.tensor);
    CHECK(ra.attributes == a.attributes);
    const NamedBlockTensor rb = read_block_tensor(path, "layer.b");
    check_equal(rb.tensor, b.tensor);
    CHECK(rb.record.scale_layout == ScaleLayout::swizzled);
    b.record.format = &f;
    CHECK(rb.record == b.record);
    CHECK_THROWS_AS(read_block_tensor(path), Error);
    CHECK_THROWS_AS(read_block_tensor(path, "layer.c"), Error);
  }
}

TEST_CASE("malformed tensors are refused by name") {
  const Folder folder;
  const auto path = folder.path / "t.safetensors";
  std::mt19937 random(3);
  const BlockTensor good = random_tensor(*find_block_format("nvfp4"), 4, 40, random);
  using Texts = std::map<std::string, std::string>;
  const Texts texts = {
      {"x.format", "nvfp4"}, {"x.rows", "4"}, {"x.columns", "40"}, {"x.encode_constant", "2688"}};
  const auto refused = [&](const Texts& metadata, const BlockTensor& t, const std::string& needle,
                           const Dtype& dtype = dtype_u8, float amax = 1.0F) {
    std::vector<std::uint64_t> shape = {t.values.size()};
    if (dtype == dtype_f32) shape[0] /= 4;
    const std::vector<OutputTensor> entries = {
        {"x.values", &dtype, shape, std::as_bytes(std::span(t.values))},
        {"x.scales", &dtype_u8, {t.scales.size()}, std::as_bytes(std::span(t.scales))},
        {"x.amax", &dtype_f32, {1}, std::as_bytes(std::span(&amax, 1))}};
    write_safetensors(path, entries, metadata);
    try {
      (void)read_block_tensor(path, "x");
    } catch (const Error& error) {
      CAPTURE(error.what(), needle);
      CHECK(error.kind() == ErrorKind::invalid_input);
      CHECK(std::string(error.what()).find(needle) != std::string::npos);
      CHECK(std::string(error.what()).find(path.string()) != std::string::npos);
      return;
    }
    FAIL("accepted: " << needle);
  };
  const auto with = [&](const std::string& key, const std::string& value) {
    Texts changed = texts;
    changed[key] = value;
    return changed;
  };
  refused(with("x.format", "nvfp5"), good, "x.format");
  refused(with("x.rows", "5"), good, "x.values");
  refused(with("x.rows", "-4"), good, "x.rows");
  refused(with("x.rows", "18446744073709551615"), good, "x.values");
  refused(with("x.columns", "18446744073709551615"), good, "x.values");
  refused(with("x.columns", "64"), good, "x.values");
  refused(with("x.columns", "forty"), good, "x.columns");
  refused(with("x.encode_constant", "0"), good, "x.encode_constant");
  refused(with("x.encode_constant", "inf"), good, "x.encode_constant");
  refused(with("x.scale_layout", "zigzag"), good, "x.scale_layout");
  refused(with("x.scale_layout", "swizzled"), good, "x.scales");
  refused(texts, good, "x.values", dtype_f32);
  refused(texts, good, "x.amax", dtype_u8, -1.0F);
  refused(texts, good, "x.amax", dtype_u8, std::numeric_limits<float>::quiet_NaN());
  Texts missing = texts;
  missing.erase("x.columns");
  refused(missing, good, "x.columns");
  Texts tall = with("x.columns", "0");
  tall["x.rows"] = "9223372036854775808";
  refused(tall, BlockTensor{}, "x.rows");
  missing = texts;
  missing.erase("x.encode_constant");
  refused(missing, good, "x.encode_constant");
  BlockTensor short_scales = good;
  short_scales.scales.pop_back();
  refused(texts, short_scales, "x.scales");
}
