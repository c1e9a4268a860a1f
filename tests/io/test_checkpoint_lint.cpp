// SPDX-License-Identifier: MIT
// What lint finds: each planted mistake, and nothing in clean checkpoints.
#include <algorithm>
#include <functional>
#include <random>

#include "io/checkpoint_maker.hpp"

using namespace lowbit;
using namespace lowbit::test;

TEST_CASE("lint: a clean checkpoint has no findings, each planted mistake its own") {
  const Scratch scratch;
  const Small s;
  Maker original;
  original.add("a.weight", s.x, {128, 64});
  original.write(scratch / "o.safetensors");
  const Checkpoint o = Checkpoint::open(scratch / "o.safetensors");
  const auto findings = [&](const std::function<void(Maker&)>& damage, bool with_original = true) {
    Maker maker;
    add_modelopt(maker, "a", s.t);
    damage(maker);
    maker.write(scratch / "m.safetensors");
    return kinds(lint(Checkpoint::open(scratch / "m.safetensors"), with_original ? &o : nullptr));
  };
  CHECK(findings([](Maker&) {}).empty());
  CHECK(findings([](Maker&) {}, false).empty());
  CHECK(findings([](Maker& m) {
          for (auto& b : m.bytes("a.weight")) b = static_cast<std::uint8_t>(b << 4 | b >> 4);
        }) == Kinds{"nibble_order"});
  CHECK(findings([&](Maker& m) {
          m.bytes("a.weight") = pack({.codes = CodeOrder::halves}, s.t).values;
        }) == Kinds{"nibble_order"});
  for (const ScaleLayout layout : scale_layouts()) {
    // Rows of 4 blocks lie the same in several orders.
    const bool is_same = arrange_scales(layout, s.t.scales, 128, 4) == s.t.scales;
    CHECK(is_same == (layout == ScaleLayout::linear || layout == ScaleLayout::padded ||
                      layout == ScaleLayout::tiles_8x4));
    const Kinds expected = is_same ? Kinds{} : Kinds{"scale_layout"};
    INFO(name_of(layout));
    CHECK(findings([&](Maker& m) {
            m.bytes("a.weight_scale") = arrange_scales(layout, s.t.scales, 128, 4);
          }) == expected);
  }
  CHECK(findings([&](Maker& m) {
          m.add("a.weight_scale_2", s.t.encode_constant / s.t.amax, {});
        }) == Kinds{"inverted_tensor_scale"});
  CHECK(findings([&](Maker& m) {
          m.add("a.weight_scale_2", 2.0F * s.t.amax / s.t.encode_constant, {});
        }) == Kinds{"tensor_scale"});
  // Two at once.
  CHECK(findings([&](Maker& m) {
          for (auto& b : m.bytes("a.weight")) b = static_cast<std::uint8_t>(b << 4 | b >> 4);
          m.bytes("a.weight_scale") = swizzle_scales(s.t.scales, 128, 4);
          m.add("a.weight_scale_2", s.t.encode_constant / s.t.amax, {});
        }) == Kinds{"nibble_order", "scale_layout", "inverted_tensor_scale"});
  CHECK(findings([](Maker& m) {
          std::mt19937 g(1);
          for (auto& b : m.bytes("a.weight")) b = static_cast<std::uint8_t>(g());
        }) == Kinds{"other_weight"});
  // Without the original.
  CHECK(findings([](Maker& m) { m.bytes("a.weight_scale")[5] = 0x7F; }, false) ==
        Kinds{"nan_scale"});
  CHECK(findings([](Maker& m) { m.bytes("a.weight_scale")[5] |= 0x80; }, false) ==
        Kinds{"negative_scale"});
  CHECK(findings([](Maker& m) { m.bytes("a.weight_scale")[5] = 0; }, false) == Kinds{"zero_scale"});
  CHECK(findings(
            [](Maker& m) {
              for (std::size_t i = 0; i < 40; ++i) m.bytes("a.weight_scale")[i] = 0x7E;
            },
            false) == Kinds{"saturated_scale"});
  CHECK(findings([](Maker& m) { m.add("a.weight_scale_2", 0.0F, {}); }, false) ==
        Kinds{"zero_tensor_scale"});
  CHECK(findings([](Maker& m) { m.remove("a.weight_scale_2"); }, false) ==
        Kinds{"missing_tensor_scale"});
  // A block of zeros may have any scale.
  CHECK(findings(
            [](Maker& m) {
              m.bytes("a.weight_scale")[0] = 0;
              std::fill_n(m.bytes("a.weight").begin(), 8, std::uint8_t{0x80});
            },
            false)
            .empty());
}

TEST_CASE("lint: layers that one kernel multiplies need one tensor scale") {
  const Scratch scratch;
  const Small s;
  Maker maker;
  for (const char* layer : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    add_modelopt(maker, std::string("l.0.") + layer, s.t);
    add_modelopt(maker, std::string("l.1.") + layer, s.t);
  }
  const auto found = [&] {
    maker.write(scratch / "m.safetensors");
    return lint(Checkpoint::open(scratch / "m.safetensors"));
  };
  CHECK(found().empty());
  maker.add("l.0.o_proj.weight_scale_2", 9.0F, {});
  CHECK(found().empty());
  maker.add("l.1.v_proj.weight_scale_2", 9.0F, {});
  maker.add("l.0.k_proj.input_scale", 9.0F, {});
  // k_proj comes first by name: the others differ from it.
  Kinds all = kinds(found());
  std::sort(all.begin(), all.end());
  CHECK(all == Kinds{"fused_input_scale", "fused_input_scale", "fused_scale"});
}

TEST_CASE("lint: bit 7 of an IF scale is a flag, not a sign") {
  const Scratch scratch;
  const std::vector<float> x = weights(64 * 64, 21);
  NamedBlockTensor own = named("a", "if4", x, 64, 64);
  REQUIRE(std::ranges::any_of(own.tensor.scales, [](std::uint8_t b) { return b >= 0x80; }));
  write_block_tensors(scratch / "if4.safetensors", std::span(&own, 1));
  CHECK(lint(Checkpoint::open(scratch / "if4.safetensors")).empty());
  // Layers in two formats are not multiplied by one kernel: their scales may differ.
  NamedBlockTensor layers[] = {own, own};
  layers[0].name = "l.q_proj";
  layers[1].name = "l.k_proj";
  layers[1].tensor = quantized("nvfp4", std::span(x).first(32 * 64), 32, 64);
  layers[1].record.format = layers[1].tensor.format;
  layers[1].record.shape = {32, 64};
  REQUIRE(layers[0].tensor.amax != layers[1].tensor.amax);
  write_block_tensors(scratch / "two.safetensors", layers);
  CHECK(lint(Checkpoint::open(scratch / "two.safetensors")).empty());
}

TEST_CASE("lint: an order is named only where it fits the reference clearly better") {
  const Scratch scratch;
  for (const unsigned seed : {31U, 32U, 33U, 34U, 35U, 36U}) {
    Maker maker;
    add_modelopt(maker, "a", quantized("nvfp4", weights(128 * 64, seed), 128, 64));
    maker.write(scratch / "m.safetensors");
    Maker unlike;
    unlike.add("a.weight", weights(128 * 64, seed + 100), {128, 64});
    unlike.write(scratch / "o.safetensors");
    const Checkpoint o = Checkpoint::open(scratch / "o.safetensors");
    CHECK(kinds(lint(Checkpoint::open(scratch / "m.safetensors"), &o)) == Kinds{"other_weight"});
  }
}

TEST_CASE("lint: weights that are read in several strips, and experts") {
  const Scratch scratch;
  const std::size_t strip = std::size_t{1} << 19;
  for (const bool in_one_row : {false, true}) {
    // Experts of two and a half strips each; a row of three and a bit.
    const std::size_t rows = in_one_row ? 1 : 2 * 2560;
    const std::size_t columns = in_one_row ? 3 * strip + 48 : 512;
    const std::vector<float> x = weights(rows * columns, 10);
    const BlockTensor t = quantized("nvfp4", x, rows, columns);
    const float scale = t.amax / t.encode_constant;
    std::vector<std::uint64_t> shape{rows, columns};
    if (!in_one_row) shape = {2, rows / 2, columns};
    Maker original;
    original.add("a.weight", x, shape).write(scratch / "o.safetensors");
    Maker maker;
    shape.back() = columns / 2;
    maker.add("a.weight", dtype_u8, shape, t.values);
    shape.back() = columns / 16;
    maker.add("a.weight_scale", dtype_f8_e4m3, shape, t.scales);
    const std::vector<float> scales(in_one_row ? 1 : 2, scale);
    maker.add("a.weight_scale_2", scales, {scales.size()});
    const auto findings = [&] {
      maker.write(scratch / "m.safetensors");
      const Checkpoint o = Checkpoint::open(scratch / "o.safetensors");
      return kinds(lint(Checkpoint::open(scratch / "m.safetensors"), &o));
    };
    CAPTURE(in_one_row);
    CHECK(findings().empty());
    maker.bytes("a.weight_scale").back() = 0x7F;
    CHECK(findings() == Kinds{"nan_scale"});
  }
}
