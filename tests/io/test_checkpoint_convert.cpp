// SPDX-License-Identifier: MIT
// Conversions between conventions: exact, or said where not.
#include <algorithm>

#include "io/checkpoint_maker.hpp"
#include "lowbit/checkpoint_convert.hpp"
#include "lowbit/checkpoint_diff.hpp"
#include "lowbit/error.hpp"

using namespace lowbit;
using namespace lowbit::test;

TEST_CASE("conversions: exact where both scales are of the same kind, and said where not") {
  const Scratch scratch;
  const Small s;
  Maker maker;
  add_modelopt(maker, "a", s.t);
  maker.add("a.weight_scale_2", 0.375F, {});  // 1 / 0.375 is no float
  maker.add("norm.weight", 1.0F);
  maker.write(scratch / "m.safetensors");
  const Checkpoint m = Checkpoint::open(scratch / "m.safetensors");
  const auto convert = [&](const char* to, const char* file) {
    return convert_checkpoint(m, *find_checkpoint_convention(to), scratch / file);
  };
  for (const auto& [to, file] : {std::pair{"modelopt", "a.safetensors"},
                                 {"gguf", "b.gguf"},
                                 {"lowbit", "c.safetensors"},
                                 {"compressed-tensors", "d.safetensors"},
                                 {"mlx", "e.safetensors"}}) {
    INFO(to);
    const Conversion done = convert(to, file);
    const bool is_exact =
        std::string_view(to) != "compressed-tensors" && std::string_view(to) != "mlx";
    CHECK(done.weights == 1);
    CHECK(done.exact == (is_exact ? 1U : 0U));
    CHECK(done.copied == 1);
    const Checkpoint back = Checkpoint::open(scratch / file);
    CHECK(back.faults().empty());
    REQUIRE(back.quantized().size() == 1);
    CHECK(back.quantized()[0].convention->name == to);
    CHECK(back.quantized()[0].name == "a.weight");
    const auto different = compare_dumps(m, back).differences;
    CHECK(different.empty() == is_exact);
    if (!is_exact) {
      CHECK(std::any_of(done.notes.begin(), done.notes.end(),
                        [](const auto& n) { return n.is_loss; }));
    }
    if (std::string_view(to) == "compressed-tensors") {
      REQUIRE(different.size() == 1);
      CHECK(different[0].text.find("tensor scales") != std::string::npos);
      CHECK(back.read(back.quantized()[0]).encode_constant == 8.0F / 3.0F);
      REQUIRE(back.quantized()[0].input_scale != nullptr);
      CHECK(to_f32(*back.quantized()[0].input_scale) == std::vector<float>{2.0F});  // of 0.5
    }
  }
  // A power of two has an exact reciprocal.
  maker.add("a.weight_scale_2", 0.25F, {});
  maker.write(scratch / "m.safetensors");
  const Checkpoint p = Checkpoint::open(scratch / "m.safetensors");
  const Conversion done =
      convert_checkpoint(p, *find_checkpoint_convention("compressed-tensors"), scratch / "folder");
  CHECK(done.exact == 1);
  const Checkpoint back = Checkpoint::open(scratch / "folder");
  CHECK(back.faults().empty());
  CHECK(compare_dumps(p, back).differences.empty());
  CHECK_THROWS_AS(convert_checkpoint(p, *find_checkpoint_convention("gpt-oss"), scratch / "x"),
                  Error);
}

TEST_CASE("conversions: NaN scale bytes, a tensor scale of 1, experts of which one is rounded") {
  const Scratch scratch;
  const Small s;
  Maker maker;
  add_modelopt(maker, "a", s.t);
  maker.add("a.weight_scale_2", 1.0F, {});
  maker.bytes("a.weight_scale")[5] = 0xFF;
  maker.write(scratch / "m.safetensors");
  const auto convert = [&](const char* to, const char* file) {
    const Checkpoint m = Checkpoint::open(scratch / "m.safetensors");
    return convert_checkpoint(m, *find_checkpoint_convention(to), scratch / file);
  };
  // ggml has no NaN among its scales.
  const Conversion ggml = convert("gguf", "g.gguf");
  CHECK(ggml.exact == 0);
  REQUIRE(ggml.notes.size() == 1);
  CHECK(ggml.notes[0].text == "1 scale bytes are NaN, which ggml reads as numbers");
  // Nothing to take over: no byte changes, not even the sign of NaN.
  CHECK(convert("mlx", "x.safetensors").exact == 1);
  const Checkpoint mlx = Checkpoint::open(scratch / "x.safetensors");
  CHECK(mlx.read(mlx.quantized()[0]).scales == maker.bytes("a.weight_scale"));

  Maker experts;
  experts.add("e.weight", dtype_u8, {2, 64, 32}, s.t.values);
  experts.add("e.weight_scale", dtype_f8_e4m3, {2, 64, 4}, s.t.scales);
  const float two[] = {0.375F, 0.25F};  // only the second has an exact reciprocal
  experts.add("e.weight_scale_2", two, {2});
  experts.write(scratch / "m.safetensors");
  const Conversion divided = convert("compressed-tensors", "c.safetensors");
  CHECK(divided.exact == 0);
  CHECK(std::any_of(divided.notes.begin(), divided.notes.end(),
                    [](const auto& n) { return n.text.find("is rounded") != n.text.npos; }));
}

TEST_CASE("conversions leave what config.json says of the old blocks out") {
  const Scratch scratch;
  const Small s;
  Maker maker;
  add_modelopt(maker, "a", s.t);
  std::filesystem::create_directory(scratch / "in");
  maker.write(scratch / "in" / "model.safetensors");
  write_file(scratch / "in" / "config.json",
             R"({"hidden_size": 64, "quantization": {"old": 1}, "quantization_config":
             {"quant_method": "modelopt", "quant_algo": "NVFP4"}})");
  const Checkpoint m = Checkpoint::open(scratch / "in");
  convert_checkpoint(m, *find_checkpoint_convention("mlx"), scratch / "mlx");
  const std::string mlx = lowbit::test::read_file(scratch / "mlx" / "config.json");
  CHECK(mlx.find("\"hidden_size\": 64") != mlx.npos);
  CHECK(mlx.find("group_size") != mlx.npos);
  CHECK(mlx.find("quantization_config") == mlx.npos);
  CHECK(mlx.find("old") == mlx.npos);
}

TEST_CASE("conversions keep values that the target has no blocks for") {
  const Scratch scratch;
  const std::vector<float> x = weights(64 * 48, 5);
  const BlockTensor t = quantized("nvfp4", x, 64, 48);  // ggml needs rows of a multiple of 64
  Maker maker;
  add_modelopt(maker, "a", t);
  maker.write(scratch / "m.safetensors");
  const Checkpoint m = Checkpoint::open(scratch / "m.safetensors");
  const Conversion done =
      convert_checkpoint(m, *find_checkpoint_convention("gguf"), scratch / "g.gguf");
  REQUIRE(done.notes.size() == 1);
  CHECK(done.notes[0].text.find("written in F32") != std::string::npos);
  const TensorFile g = TensorFile::open(scratch / "g.gguf");
  CHECK(to_f32(g.at("a.weight")) == m.dequantize(m.quantized()[0]));
  // 96 columns are whole blocks of ggml's MXFP4, but not of its NVFP4.
  const std::vector<float> y = weights(64 * 96, 6);
  const BlockTensor four = quantized("mxfp4", y, 64, 96);
  Maker wide;
  add_modelopt(wide, "a", quantized("nvfp4", y, 64, 96));
  wide.add("b_blocks", dtype_u8, {64, 3, 16}, four.values);
  wide.add("b_scales", dtype_u8, {64, 3}, four.scales);
  wide.write(scratch / "w.safetensors");
  const Conversion mixed =
      convert_checkpoint(Checkpoint::open(scratch / "w.safetensors"),
                         *find_checkpoint_convention("gguf"), scratch / "w.gguf");
  REQUIRE(mixed.notes.size() == 1);
  CHECK(mixed.notes[0].text.find("needs rows of a multiple of 64, not 96") != std::string::npos);
  REQUIRE(Checkpoint::open(scratch / "w.gguf").quantized().size() == 1);
  // GGUF has at most four dimensions.
  wide.add("five", std::vector<float>(32), {1, 2, 2, 2, 4});
  wide.write(scratch / "w.safetensors");
  CHECK_THROWS_AS(convert_checkpoint(Checkpoint::open(scratch / "w.safetensors"),
                                     *find_checkpoint_convention("gguf"), scratch / "5.gguf"),
                  Error);
  CHECK(!std::filesystem::exists(scratch / "5.gguf"));
}

TEST_CASE("GGUF: a tensor scale per expert") {
  const Scratch scratch;
  const std::vector<float> x = weights(2 * 32 * 64, 13);
  const BlockTensor t = quantized("nvfp4", x, 64, 64);
  Maker maker;
  maker.add("e.weight", dtype_u8, {2, 32, 32}, t.values);
  maker.add("e.weight_scale", dtype_f8_e4m3, {2, 32, 4}, t.scales);
  const float two[] = {0.5F, 4.0F};
  maker.add("e.weight_scale_2", two, {2});
  maker.write(scratch / "m.safetensors");
  const Checkpoint m = Checkpoint::open(scratch / "m.safetensors");
  REQUIRE(m.quantized().size() == 1);
  CHECK(m.quantized()[0].parts() == 2);
  CHECK(convert_checkpoint(m, *find_checkpoint_convention("gguf"), scratch / "g.gguf").exact == 1);
  const Checkpoint g = Checkpoint::open(scratch / "g.gguf");
  CHECK(g.quantized().front().parts() == 2);
  CHECK(g.read(g.quantized()[0], 1).amax == 4.0F);
  CHECK(compare_dumps(m, g).differences.empty());
  CHECK(g.dequantize(g.quantized()[0]) == m.dequantize(m.quantized()[0]));
}
