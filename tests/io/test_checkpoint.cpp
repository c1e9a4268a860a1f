// SPDX-License-Identifier: MIT
// Conventions of quantized checkpoints: what belongs together and what it holds, faults of which
// each is one line, verification, hostile files. Checkpoints that the libraries themselves wrote
// are in tests/interop.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "io/checkpoint_maker.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "lowbit/verify_checkpoint.hpp"

using namespace lowbit;
using namespace lowbit::test;

TEST_CASE("Model-Optimizer: names, format, tensor scale as a multiplier") {
  const Scratch scratch;
  const Small s;
  Maker maker;
  add_modelopt(maker, "a", s.t);
  maker.add("norm.weight", 1.0F);
  maker.write(scratch / "m.safetensors");
  const Checkpoint c = Checkpoint::open(scratch / "m.safetensors");
  REQUIRE(c.quantized().size() == 1);
  const QuantizedTensor& q = c.quantized()[0];
  CHECK(q.name == "a.weight");
  CHECK(q.convention->name == "modelopt");
  CHECK(q.format->name == "nvfp4");
  CHECK(q.shape == std::vector<std::uint64_t>{128, 64});
  CHECK(q.layout.tensor_scale == TensorScaleKind::multiplier);
  CHECK(q.input_scale != nullptr);
  const BlockTensor read = c.read(q);
  CHECK(read.values == s.t.values);
  CHECK(read.scales == s.t.scales);
  CHECK(read.amax == s.t.amax / s.t.encode_constant);
  CHECK(read.encode_constant == 1.0F);
  REQUIRE(c.plain().size() == 1);
  CHECK(c.plain()[0]->name == "norm.weight");
  // code * scale * number: 3 + 4 + 24 bits, exact in binary64, so the cast rounds once.
  const std::vector<float> values = c.dequantize(q);
  constexpr double e2m1_values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  std::size_t different = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint8_t byte = s.t.values[i / 2];
    const int code = i % 2 == 0 ? byte & 0xF : byte >> 4;
    const std::uint8_t scale = s.t.scales[i / 16];
    const double e4m3_value = (scale & 0x78) != 0 ? std::ldexp(8 + (scale & 7), (scale >> 3) - 10)
                                                  : std::ldexp(scale & 7, -9);
    const double exact = e2m1_values[code & 7] * e4m3_value * static_cast<double>(read.amax);
    different += values[i] != static_cast<float>((code & 8) != 0 ? -exact : exact) ? 1 : 0;
  }
  CHECK(different == 0);
}

TEST_CASE("compressed-tensors: a divisor; MXFP4 and MXFP8 in the same file") {
  const Scratch scratch;
  const Small s;
  const BlockTensor four = quantized("mxfp4", s.x, 128, 64);
  const BlockTensor eight = quantized("mxfp8_e4m3", s.x, 128, 64);
  Maker maker;
  maker.add("a.weight_packed", dtype_u8, {128, 32}, s.t.values);
  maker.add("a.weight_scale", dtype_f8_e4m3, {128, 4}, s.t.scales);
  maker.add("a.weight_global_scale", 2.0F);
  maker.add("b.weight_packed", dtype_u8, {128, 32}, four.values);
  maker.add("b.weight_scale", dtype_u8, {128, 2}, four.scales);
  maker.add("c.weight", dtype_f8_e4m3, {128, 64}, eight.values);
  maker.add("c.weight_scale", dtype_u8, {128, 2}, eight.scales);
  maker.write(scratch / "model.safetensors");
  write_file(scratch / "config.json",
             R"({"quantization_config": {"quant_method": "compressed-tensors",
      "config_groups": {
        "group_0": {"targets": ["a"], "weights": {"group_size": 16, "num_bits": 4}},
        "group_1": {"targets": ["re:b$"], "weights": {"group_size": 32, "num_bits": 4}},
        "group_2": {"targets": ["Linear"], "weights": {"group_size": 32, "num_bits": 8}}}}})");
  const Checkpoint c = Checkpoint::open(scratch.path());
  CHECK(c.faults().empty());
  REQUIRE(c.quantized().size() == 3);
  CHECK(c.read(c.quantized()[0]).encode_constant == 2.0F);
  CHECK(c.read(c.quantized()[0]).amax == 1.0F);
  CHECK(c.quantized()[1].format->name == "mxfp4");
  CHECK(c.read(c.quantized()[1]).scales == four.scales);
  CHECK(c.quantized()[2].format->name == "mxfp8_e4m3");
  CHECK(c.quantized()[2].convention->name == "compressed-tensors");
  CHECK(c.read(c.quantized()[2]).values == eight.values);

  // The same file where config.json says something else.
  write_file(scratch / "config.json",
             R"({"quantization_config": {"quant_method": "compressed-tensors",
      "config_groups": {"g": {"targets": ["a", "b"], "weights": {"group_size": 32, "num_bits": 4}}},
      "ignore": ["re:.*c"]}})");
  const Checkpoint other = Checkpoint::open(scratch.path());
  REQUIRE(other.faults().size() == 2);
  CHECK(other.faults()[0].text.find("groups of 32 (g), the shapes say 16") != std::string::npos);
  CHECK(other.faults()[1].text.find("not quantized") != std::string::npos);
  CHECK_THROWS_AS(require_no_faults(other), Error);
  write_file(scratch / "config.json", "{\"quantization_config\": ");
  CHECK(Checkpoint::open(scratch.path()).faults().front().kind == "config");
}

TEST_CASE("gpt-oss: experts, with the original transposed") {
  const Scratch scratch;
  const std::vector<float> x = weights(2 * 32 * 64, 3);
  const BlockTensor t = quantized("mxfp4", x, 64, 64);
  Maker maker;
  maker.add("m.gate_up_proj_blocks", dtype_u8, {2, 32, 2, 16}, t.values);
  maker.add("m.gate_up_proj_scales", dtype_u8, {2, 32, 2}, t.scales);
  maker.write(scratch / "q.safetensors");
  const Checkpoint c = Checkpoint::open(scratch / "q.safetensors");
  REQUIRE(c.quantized().size() == 1);
  const QuantizedTensor& q = c.quantized()[0];
  CHECK(q.name == "m.gate_up_proj");
  CHECK(q.shape == std::vector<std::uint64_t>{2, 32, 64});
  CHECK(c.read(q).values == t.values);
  CHECK(c.read(q).scales == t.scales);
  std::vector<float> turned(x.size());
  for (std::size_t e = 0; e < 2; ++e) {
    for (std::size_t o = 0; o < 32; ++o) {
      for (std::size_t i = 0; i < 64; ++i) {
        turned[(e * 64 + i) * 32 + o] = x[(e * 32 + o) * 64 + i];
      }
    }
  }
  Maker original;
  original.add("m.gate_up_proj", turned, {2, 64, 32});
  original.write(scratch / "o.safetensors");
  const Checkpoint o = Checkpoint::open(scratch / "o.safetensors");
  const auto found = original_of(q, o);
  REQUIRE(found.has_value());
  CHECK(*found == x);
  CHECK(lint(c, &o).empty());
}

TEST_CASE("MLX: words of 32 bits, whose number tells the format") {
  const Scratch scratch;
  const Small s;
  for (const char* format : {"nvfp4", "mxfp4", "mxfp8_e4m3"}) {
    const BlockTensor t = quantized(format, s.x, 128, 64);
    Maker maker;
    const std::uint64_t words = t.values.size() / 128 / 4;
    maker.add("a.weight", dtype_u32, {128, words}, t.values);
    maker.add("a.scales", dtype_u8, {128, t.blocks_per_row()}, t.scales);
    maker.write(scratch / "m.safetensors");
    const Checkpoint c = Checkpoint::open(scratch / "m.safetensors");
    REQUIRE(c.quantized().size() == 1);
    CHECK(c.quantized()[0].format->name == format);
    CHECK(c.quantized()[0].columns == 64);
    CHECK(c.read(c.quantized()[0]).values == t.values);
    CHECK(c.read(c.quantized()[0]).encode_constant == 1.0F);
    maker.add("a.biases", dtype_bf16, {128, 2}, Bytes(512));
    maker.write(scratch / "m.safetensors");
    const Checkpoint affine = Checkpoint::open(scratch / "m.safetensors");
    CHECK(affine.quantized().empty());
    CHECK(affine.foreign().size() == 1);
  }
}

TEST_CASE("metadata that are null, as MLX writes them") {
  const Scratch scratch;
  std::string header =
      R"({"__metadata__":null,"a.weight":{"dtype":"U32","shape":[1,4],"data_offsets":[0,16]},)"
      R"("a.scales":{"dtype":"U8","shape":[1,1],"data_offsets":[16,17]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  write_file(scratch / "m.safetensors", file + header + std::string(16, '\x22') + '\x7f');
  const Checkpoint c = Checkpoint::open(scratch / "m.safetensors");
  REQUIRE(c.quantized().size() == 1);
  CHECK(c.quantized()[0].format->name == "mxfp4");
  CHECK(c.dequantize(c.quantized()[0]) == std::vector<float>(32, 1.0F));
}

TEST_CASE("fouroversix: padded, swizzled, amax over 6 * 256 or 6 * 448") {
  const Scratch scratch;
  const std::vector<float> x = weights(100 * 48, 11);
  const BlockTensor t = quantized("nvfp4", x, 100, 48);
  BlockTensor padded = t;
  padded.rows = 128;
  padded.columns = 64;
  padded.values.assign(128 * 32, 0);
  padded.scales.assign(128 * 4, 0);
  for (std::size_t r = 0; r < 100; ++r) {
    std::copy_n(t.values.begin() + static_cast<std::ptrdiff_t>(r * 24), 24,
                padded.values.begin() + static_cast<std::ptrdiff_t>(r * 32));
    std::copy_n(t.scales.begin() + static_cast<std::ptrdiff_t>(r * 3), 3,
                padded.scales.begin() + static_cast<std::ptrdiff_t>(r * 4));
  }
  Bytes sizes;
  for (const int n : {100, 48, 128, 64, 1, 1}) {
    for (int i = 0; i < 4; ++i) sizes.push_back(static_cast<std::uint8_t>(n >> (8 * i)));
  }
  Maker maker;
  maker.add("a.quantized_weight_values", dtype_u8, {128, 32}, padded.values);
  maker.add("a.quantized_weight_scale_factors", dtype_f8_e4m3, {512},
            swizzle_scales(padded.scales, 128, 4));
  maker.add("a.quantized_weight_amax", t.amax);
  maker.add("a.quantized_weight_metadata", dtype_i32, {6}, sizes);
  maker.write(scratch / "model.safetensors");
  for (const auto& [rule, constant] : {std::pair{"mse", 1536.0F}, {"static_6", 2688.0F}}) {
    write_file(
        scratch / "config.json",
        std::string(R"({"quantization_config": {"quant_method": "fouroversix", "dtype": "nvfp4",
                "scale_rule": ")") +
            rule + "\"}}");
    const Checkpoint c = Checkpoint::open(scratch.path());
    CHECK(c.faults().empty());
    REQUIRE(c.quantized().size() == 1);
    const BlockTensor read = c.read(c.quantized()[0]);
    CHECK(read.values == t.values);
    CHECK(read.scales == t.scales);
    CHECK(read.amax == t.amax);
    CHECK(read.encode_constant == constant);
    CHECK(c.quantized()[0].shape == std::vector<std::uint64_t>{100, 48});
  }
  maker.bytes("a.quantized_weight_metadata")[0] = 200;  // more rows than are stored
  maker.write(scratch / "model.safetensors");
  CHECK_THAT(only_fault(Checkpoint::open(scratch.path())), Catch::Matchers::Contains("shape"));
}

TEST_CASE("torchao: scale bytes in the order that the file's metadata name") {
  const Scratch scratch;
  const Small s;
  Maker maker;
  maker.add("a._weight_qdata", dtype_u8, {128, 32}, s.t.values);
  maker.add("a._weight_scale", dtype_f8_e4m3, {32, 16}, swizzle_scales(s.t.scales, 128, 4));
  maker.add("a._weight_per_tensor_scale", 0.25F, {});
  maker.metadata["a.weight"] = R"({"_type": "NVFP4Tensor", "_data": {"is_swizzled_scales": true}})";
  maker.write(scratch / "m.safetensors");
  const Checkpoint c = Checkpoint::open(scratch / "m.safetensors");
  REQUIRE(c.quantized().size() == 1);
  CHECK(c.read(c.quantized()[0]).scales == s.t.scales);
  maker.metadata["a.weight"] = "{";
  maker.write(scratch / "m.safetensors");
  CHECK_THAT(only_fault(Checkpoint::open(scratch / "m.safetensors")),
             Catch::Matchers::Contains("no JSON"));
}

TEST_CASE("faults: one line each, and the rest is read") {
  const Scratch scratch;
  const Small s;
  const auto fault_of = [&](const std::function<void(Maker&)>& damage) {
    Maker maker;
    add_modelopt(maker, "a", s.t);
    add_modelopt(maker, "b", s.t);
    damage(maker);
    maker.write(scratch / "m.safetensors");
    const Checkpoint c = Checkpoint::open(scratch / "m.safetensors");
    CHECK(c.quantized().size() == 1);
    return only_fault(c);
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(fault_of([](Maker& m) { m.remove("a.weight_scale_2"); }),
             Contains("missing_tensor_scale: ") && Contains("no weight_scale_2 beside it"));
  CHECK_THAT(fault_of([](Maker& m) { m.remove("a.weight_scale"); }), Contains("missing_scales: "));
  CHECK_THAT(
      fault_of([](Maker& m) {
        m.add("a.weight_scale", dtype_f8_e4m3, {128, 2}, Bytes(256, 0x38));
      }),
      Contains("scale_shape: ") && Contains("[128x2] where nvfp4 needs [128x4]: half the size"));
  CHECK_THAT(fault_of([](Maker& m) {
               m.add("a.weight_scale", dtype_f8_e4m3, {4, 128}, Bytes(512, 0x38));
             }),
             Contains("they would fit the order transposed"));
  CHECK_THAT(fault_of([](Maker& m) {
               m.add("a.weight_scale", dtype_f8_e4m3, {128, 3}, Bytes(384, 0x38));
             }),
             Contains("they fit no known order"));
  CHECK_THAT(fault_of([](Maker& m) {
               m.add("a.weight_scale", dtype_bf16, {128, 4}, Bytes(1024));
             }),
             Contains("scale_dtype: "));
  CHECK_THAT(fault_of([](Maker& m) { m.add("a.weight_scale_2", std::nanf("")); }),
             Contains("tensor_scale: ") && Contains("is nan"));
  CHECK_THAT(fault_of([](Maker& m) { m.add("a.weight_scale_2", -1.0F); }), Contains("is -1"));
  CHECK_THAT(
      fault_of([](Maker& m) { m.add("a.weight_scale_2", std::numeric_limits<float>::infinity()); }),
      Contains("tensor_scale: ") && Contains("is inf"));
  CHECK_THAT(fault_of([](Maker& m) {
               const float two[] = {1.0F, 2.0F};
               m.add("a.weight_scale_2", two, {2});
             }),
             Contains("not one number"));
  // Scales without codes.
  Maker maker;
  add_modelopt(maker, "b", s.t);
  maker.add("c.weight_scale", dtype_f8_e4m3, {128, 4}, Bytes(512, 0x38));
  maker.write(scratch / "m.safetensors");
  CHECK_THAT(only_fault(Checkpoint::open(scratch / "m.safetensors")),
             Contains("missing_codes: ") && Contains("there is no c.weight"));
}

TEST_CASE("a folder whose shard is cut short: the fault, and what is left") {
  const Scratch scratch;
  const Small s;
  Maker a;
  add_modelopt(a, "a", s.t);
  a.write(scratch / "model-1.safetensors");
  Maker b;
  add_modelopt(b, "b", s.t);
  b.write(scratch / "model-2.safetensors");
  std::string map;
  for (const char* module : {"a", "b"}) {
    for (const char* key : {"weight", "weight_scale", "weight_scale_2", "input_scale"}) {
      map += (map.empty() ? "\"" : ",\"") + std::string(module) + "." + key + "\":\"model-" +
             (*module == 'a' ? "1" : "2") + ".safetensors\"";
    }
  }
  write_file(scratch / "model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
  CHECK(Checkpoint::open(scratch.path()).quantized().size() == 2);
  CHECK(Checkpoint::open(scratch.path()).faults().empty());
  const std::string whole = lowbit::test::read_file(scratch / "model-2.safetensors");
  write_file(scratch / "model-2.safetensors", whole.substr(0, whole.size() - 1));
  const Checkpoint cut = Checkpoint::open(scratch.path());
  CHECK(cut.quantized().size() == 1);
  CHECK(only_fault(cut).find("model-2.safetensors") != std::string::npos);
  CHECK(!lint(cut).empty());
  std::filesystem::remove(scratch / "model-2.safetensors");
  CHECK(Checkpoint::open(scratch.path()).faults().front().line().find("is missing") !=
        std::string::npos);
  write_file(scratch / "x.safetensors", "x");
  CHECK_THROWS_AS(Checkpoint::open(scratch / "x.safetensors"), Error);
}

TEST_CASE("verification: each expert by its own tensor scale, fused layers by the largest amax") {
  const Scratch scratch;
  const std::vector<float> x = weights(2 * 32 * 64, 13);
  const auto half = [&](std::size_t i) { return std::span(x).subspan(i * 32 * 64, 32 * 64); };
  const BlockTensor first = quantized("nvfp4", half(0), 32, 64);
  const BlockTensor second = quantized("nvfp4", half(1), 32, 64);
  REQUIRE(first.amax != second.amax);
  const auto both = [](const Bytes& p, const Bytes& q) {
    Bytes bytes = p;
    bytes.insert(bytes.end(), q.begin(), q.end());
    return bytes;
  };
  const float two[] = {first.amax / 2688.0F, second.amax / 2688.0F};
  Maker maker;
  maker.add("e.weight", dtype_u8, {2, 32, 32}, both(first.values, second.values));
  maker.add("e.weight_scale", dtype_f8_e4m3, {2, 32, 4}, both(first.scales, second.scales));
  maker.add("e.weight_scale_2", two, {2});
  Maker original;
  original.add("e.weight", std::span<const float>(x), {2, 32, 64});
  // q and k share the larger amax.
  const float shared = std::max(first.amax, second.amax);
  for (const std::size_t i : {0U, 1U}) {
    QuantizeOptions options;
    options.format = find_block_format("nvfp4");
    options.amax = shared;
    const std::string module = i == 0 ? "l.q_proj" : "l.k_proj";
    add_modelopt(maker, module, quantize(half(i), 32, 64, options));
    original.add(module + ".weight", half(i), {32, 64});
  }
  maker.write(scratch / "m.safetensors");
  original.write(scratch / "o.safetensors");
  const Checkpoint o = Checkpoint::open(scratch / "o.safetensors");
  CheckpointVerifyOptions options;
  options.adjust = [](VerifyRequest& r) { r.declared.dialect = &canonical; };
  std::vector<std::string> order;
  options.done = [&](const Verification& v) { order.push_back(v.name); };
  const auto verify = [&] {
    return verify_checkpoint(Checkpoint::open(scratch / "m.safetensors"), o, options);
  };
  const CheckpointVerification v = verify();
  CHECK(v.equal);
  CHECK(order == std::vector<std::string>{"e.weight[0]", "e.weight[1]", "l.k_proj.weight",
                                          "l.q_proj.weight"});
  REQUIRE(v.formats.size() == 1);
  CHECK(v.formats[0].weights == 4);
  REQUIRE(v.formats[0].combinations.size() == 1);
  CHECK(v.formats[0].combinations[0].dialect == "canonical");
  CHECK(as_text(v) == "nvfp4 static_6 explains all 4 weights: canonical\n4 of 4 weights equal\n");

  // The scales of the experts exchanged: each is stale, and named by its part.
  const float exchanged[] = {two[1], two[0]};
  maker.add("e.weight_scale_2", exchanged, {2});
  maker.write(scratch / "m.safetensors");
  const CheckpointVerification w = verify();
  CHECK(!w.equal);
  CHECK(w.formats[0].equal == 2);
  for (const std::size_t i : {0U, 1U}) {
    REQUIRE(w.weights[i].causes.size() == 1);
    CHECK(w.weights[i].causes[0].cause == Cause::stale_amax);
  }
  // Nothing to compare is not equal.
  Maker none;
  none.add("n", 1.0F);
  none.write(scratch / "n.safetensors");
  const Checkpoint n = Checkpoint::open(scratch / "n.safetensors");
  CHECK(!verify_checkpoint(n, o).equal);
  const CheckpointVerification left =
      verify_checkpoint(Checkpoint::open(scratch / "m.safetensors"), n);
  CHECK(left.left_out.size() == 3);
  CHECK(as_text(left).ends_with("0 of 3 weights equal; 3 not compared\n"));
}

TEST_CASE("expressions of a hostile config.json are not tried") {
  const Scratch scratch;
  const Small s;
  Maker maker;
  add_modelopt(maker, std::string(200, 'a'), s.t);
  maker.write(scratch / "model.safetensors");
  write_file(scratch / "config.json",
             R"({"quantization_config": {"quant_method": "compressed-tensors",
      "config_groups": {"g": {"targets": ["re:(a+)+$", "re:.*.*.*.*.*b", "re:("], "weights": {}}},
      "ignore": ["re:(a|aa)*b", 5]}})");
  CHECK(Checkpoint::open(scratch.path()).faults().empty());
}

TEST_CASE("checkpoints cut short and changed in every byte end in a line, never in a crash") {
  const Scratch scratch;
  const std::vector<float> x = weights(16 * 32, 2);
  const BlockTensor t = quantized("nvfp4", x, 16, 32);
  Maker maker;
  add_modelopt(maker, "a", t);
  maker.write(scratch / "m.safetensors");
  const std::string whole = lowbit::test::read_file(scratch / "m.safetensors");
  std::size_t opened = 0;
  const auto look = [&](const std::string& bytes) {
    write_file(scratch / "x.safetensors", bytes);
    try {
      const Checkpoint c = Checkpoint::open(scratch / "x.safetensors");
      for (const QuantizedTensor& q : c.quantized()) static_cast<void>(c.dequantize(q));
      for (const LintFinding& f : lint(c)) CHECK(f.line().find('\n') == std::string::npos);
      ++opened;
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::invalid_input);
    }
  };
  for (std::size_t n = 0; n < whole.size(); n += n < 400 ? 1 : 7) look(whole.substr(0, n));
  CHECK(opened == 0);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    look(changed);
  }
  CHECK(opened > 300);
}
