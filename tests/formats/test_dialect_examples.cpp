// SPDX-License-Identifier: MIT
// Blocks on which dialects differ, one case per axis, each with what the implementations return.
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catch.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"

using namespace lowbit;

namespace {

/// Scale byte and codes as two words of hexadecimal digits: "72 0d50793cb6ca5d4c".
std::string coded(const std::string& dialect, float amax, std::vector<float> x,
                  InputType type = InputType::bfloat16) {
  x.resize(16);
  QuantizeOptions options;
  options.format = find_block_format("nvfp4");
  options.dialect = find_dialect(dialect);
  INFO(dialect);
  REQUIRE(options.dialect != nullptr);
  options.amax = amax;
  options.input_type = type;
  const BlockTensor t = quantize(x, 1, x.size(), options);
  constexpr const char* digits = "0123456789abcdef";
  std::string text{digits[t.scale(0, 0) >> 4], digits[t.scale(0, 0) & 15], ' '};
  for (std::size_t c = 0; c < x.size(); ++c) text += digits[t.code(0, c)];
  return text;
}

void check(float amax, const std::vector<float>& x,
           const std::map<std::string, std::vector<std::string>>& expected) {
  for (const auto& [result, names] : expected) {
    for (const std::string& name : names) {
      INFO(name);
      CHECK(coded(name, amax, x) == result);
    }
  }
}

}  // namespace

TEST_CASE("a block scale next to an E4M3 tie") {
  check(5.875F,
        {.0751953125F, -.90234375F, 1.109375F, .052734375F, 2.203125F, -.155273438F, .515625F,
         -.86328125F, -.6015625F, 1.2734375F, -.80859375F, -.302734375F, .96875F, -1.1875F,
         .72265625F, -.84765625F},
        {{"72 0d50793cb6ca5d4c",
          {"canonical", "fos_pytorch", "fos_triton", "fos_cuda", "te_le_2.13", "te_jax",
           "mlx_metal", "vllm_ref", "modelopt", "torchao", "te_tuned_2412", "mslk"}},
         {"73 0c50793cb5ca5d4c",
          {"te_ge_2.14", "te_4over6", "te_python_ref", "te_fast",
           // With S as Transformer Engine divides; FlashInfer's callers let PyTorch compute
           // fl(1 / A) * 2688, as captured.
           "fi_strict+tensor_scale=quotient", "flashinfer_te_class+tensor_scale=quotient"}}});
}

TEST_CASE("(b / 6) * S and b * (S / 6) at an exact tie, at any power of two") {
  for (const auto& [b, low, high] :
       {std::tuple{0.76171875F, "7a", "7b"}, std::tuple{0.380859375F, "72", "73"}}) {
    CHECK(coded("te_le_2.13", 1.015625F, {b}).substr(0, 2) == low);
    CHECK(coded("te_ge_2.14", 1.015625F, {b}).substr(0, 2) == high);
  }
}

TEST_CASE("a block scale that rounds to zero") {
  std::vector<float> x(16);
  for (int i = 0; i < 15; ++i) {
    x[static_cast<std::size_t>(i)] =
        static_cast<float>(i + 1) * (i % 2 == 0 ? 0x1p-14F : -0x1p-14F);
  }
  check(1024.0F, x,
        {{"00 0000000000000000", {"canonical", "fos_pytorch", "fos_triton"}},
         {"00 7f7f7f7f7f7f7f70", {"fos_cuda", "te_le_2.13", "te_ge_2.14", "fi_strict"}},
         {"00 7f7f7f7f7f7f7f77", {"fi_default", "trtllm"}},
         {"00 0808080808080800", {"vllm", "sglang", "mlx_metal"}},
         // Negative values that are not zero keep their sign; only -0 itself loses it.
         {"00 0808080808080800", {"vllm_ref"}},
         {"01 080919191a2a2a20", {"modelopt"}},
         {"08 0808080808080800", {"torchao"}},
         {"20 0808080808080800", {"compressed_tensors"}}});
  // MSLK's scale is at least 2^-9, as captured; earlier versions let it become 0.
  CHECK(coded("mslk", 1024.0F, x).substr(0, 2) == "01");
}

TEST_CASE("a subnormal scale that was rounded down") {
  check(4096.0F, {.02197265625F, -.02197265625F, .015625F, .0078125F},
        {{"01 8875000000000000", {"fos_pytorch"}},
         {"01 7f75000000000000", {"canonical", "fos_cuda", "te_le_2.13", "te_ge_2.14"}},
         {"08 2a11000000000000", {"torchao"}},
         {"02 7f64000000000000", {"ggml_nvfp4_cpu"}}});
}

TEST_CASE("signed zeros") {
  const std::vector<float> x{6.0F, -0.0F, -0.1F};
  check(
      6.0F, x,
      {{"7e 7080000000000000",
        {"fos_pytorch", "vllm_ref", "modelopt", "compressed_tensors", "te_fast", "te_python_ref"}},
       {"7e 7880000000000000",
        {"canonical", "fos_cuda", "te_le_2.13", "fi_strict", "vllm", "mslk", "torchao"}},
       // MLX on the CPU searches the nearest code, and the first one is +0, as captured.
       {"7e 7000000000000000", {"mlx"}}});
  CHECK(coded("ggml_nvfp4_cpu", 6.0F, x) == "38 7000000000000000");
}

TEST_CASE("a block of zeros in a tensor that is not zero") {
  check(1.0F, {},
        {{"00 0000000000000000",
          {"canonical", "fos_pytorch", "te_ge_2.14", "fi_strict", "vllm", "vllm_ref", "mlx",
           "ggml_nvfp4_cpu"}},
         {"38 0000000000000000", {"modelopt"}},
         {"08 0000000000000000", {"torchao"}},
         {"20 0000000000000000", {"compressed_tensors"}},
         // As captured: the floor of 2^-9 keeps the codes 0.
         {"01 0000000000000000", {"mslk"}}});
}

TEST_CASE("a tensor of zeros, as captured") {
  check(0.0F, {},
        {{"00 0000000000000000", {"canonical", "fos_pytorch", "te_python_ref", "te_ge_2.14"}},
         {"20 0000000000000000", {"compressed_tensors"}},
         {"ff cccccccccccccccc", {"torchao"}},
         {"7f 4444444444444444", {"torchao_cuda"}},
         {"ff 7777777777777777", {"modelopt", "vllm_ref"}},
         {"7f 7777777777777777", {"vllm_ref_cuda"}},
         {"7f 0000000000000000", {"flashinfer_te_class"}},
         {"01 7777777777777777", {"mslk"}},
         {"fe 0000000000000000", {"mlx"}}});
}

TEST_CASE("exact ties of E2M1") {
  const std::vector<float> x{.75F, 1.75F, 3.5F, .25F, 1.25F, 2.5F, 5.0F, 6.0F};
  CHECK(coded("canonical", 2688.0F, x) == "38 2460246700000000");
  CHECK(coded("torchao_nvfp4_single", 6.0F, x) == "38 2460246700000000");
  CHECK(coded("ggml_nvfp4_cpu", 6.0F, x) == "38 1350246700000000");
}

TEST_CASE("a subnormal tensor") {
  const float a = 1.6e-40F;
  const std::vector<float> x{a, a / 2};
  CHECK(coded("fos_pytorch", a, x, InputType::float32).substr(0, 2) == "7f");
  CHECK(coded("fos_triton", a, x, InputType::float32).substr(0, 2) == "7e");
  CHECK(coded("fos_cuda", a, x, InputType::float32) == "7e 0000000000000000");
  CHECK(coded("te_ge_2.14", a, x, InputType::float32) == "05 0000000000000000");
}

TEST_CASE("scales of ggml") {
  const auto byte = [](float h) { return coded("ggml_nvfp4_cpu", 1.0F, {6.0F * h}).substr(0, 2); };
  CHECK(byte(248.0F) == "7e");
  CHECK(byte(1.0625F) == "39");
  CHECK(byte(0.0151367188F) == "07");
}

TEST_CASE("divisions of scalars") {
  // Of the 128 mantissas of BF16.
  int amax = 0;
  int encode = 0;
  int sixth = 0;
  for (int m = 0; m < 128; ++m) {
    const float a = 1.0F + static_cast<float>(m) / 128.0F;
    amax += a / 2688.0F != a * (1.0F / 2688.0F);
    encode += 2688.0F / a != 1.0F / a * 2688.0F;
    sixth += a / 6.0F != a * (1.0F / 6.0F);
  }
  CHECK(amax == 28);
  CHECK(encode == 30);
  CHECK(sixth == 42);
  // A / 2688 and A * fl(1 / 2688); 2688 / A and fl(1 / A) * 2688.
  CHECK(1.03125F / 2688.0F == 0x1.924924p-12F);
  CHECK(1.03125F * (1.0F / 2688.0F) == 0x1.924926p-12F);
  CHECK(2688.0F / 1.0234375F == 0x1.484e2ap+11F);
  CHECK(1.0F / 1.0234375F * 2688.0F == 0x1.484e2cp+11F);
}

TEST_CASE("scale bytes of all pairs of BF16 mantissas") {
  // A in [1, 2), b at most A down to 8 binades below: 128 * 128 * 9 pairs but those with b above A.
  std::size_t pairs = 0;
  std::map<std::string, std::size_t> differs;
  QuantizeOptions o;
  o.format = find_block_format("nvfp4");
  o.input_type = InputType::bfloat16;
  for (int a = 0; a < 128; ++a) {
    std::vector<float> x;
    for (int gap = 0; gap < 9; ++gap) {
      for (int m = 0; m < (gap == 0 ? a + 1 : 128); ++m) {
        x.push_back(std::ldexp(1.0F + static_cast<float>(m) / 128.0F, -gap));
        x.resize(x.size() + 15);
      }
    }
    o.amax = 1.0F + static_cast<float>(a) / 128.0F;
    pairs += x.size() / 16;
    const auto scales = [&](const char* name) {
      o.dialect = find_dialect(name);
      return quantize(x, 1, x.size(), o).scales;
    };
    const auto reference = scales("te_le_2.13");
    for (const char* name : {"te_ge_2.14", "modelopt", "vllm_ref", "te_tuned_2412"}) {
      const auto other = scales(name);
      for (std::size_t i = 0; i < other.size(); ++i) differs[name] += other[i] != reference[i];
    }
  }
  CHECK(pairs == 139328);
  CHECK(differs["te_ge_2.14"] == 139);
  CHECK(differs["modelopt"] == 75);
  CHECK(differs["vllm_ref"] == 118);
  CHECK(differs["te_tuned_2412"] == 0);
}

namespace {

QuantizeOptions selecting(const char* dialect, ScaleRule rule, std::optional<float> amax) {
  QuantizeOptions o;
  o.format = find_block_format("nvfp4");
  o.dialect = find_dialect(dialect);
  o.rule = rule;
  o.amax = amax;
  o.input_type = InputType::bfloat16;
  return o;
}

BlockChoice choice(const char* dialect, ScaleRule rule, const std::vector<float>& x) {
  std::vector<BlockChoice> choices(1);
  static_cast<void>(quantize(x, 1, 16, selecting(dialect, rule, 5.875F), choices));
  return choices[0];
}

}  // namespace

TEST_CASE(
    "4 or 6 by the expression of the candidate's values, the order of the sum and the fusion") {
  const std::vector<float> order{.625F,      1.171875F,   .5546875F,    2.578125F,
                                 .66015625F, .345703125F, -.087890625F, .104980469F,
                                 .65234375F, -1.0546875F, .41015625F,   .69140625F,
                                 .9921875F,  1.515625F,   -.88671875F,  .4921875F};
  CHECK(choice("te_4over6", ScaleRule::mse, order) == BlockChoice::four);
  CHECK(choice("te_python_ref", ScaleRule::mse, order) == BlockChoice::four);
  CHECK(choice("te_4over6+error_order=lanes_8", ScaleRule::mse, order) == BlockChoice::six);
  CHECK(choice("te_4over6+error_value=decode_scale", ScaleRule::mse, order) == BlockChoice::six);
  const std::vector<float> fused{-1.21875F,   1.1640625F,    .0966796875F, -.333984375F,
                                 1.4609375F,  -.0200195312F, -.5546875F,   .89453125F,
                                 -1.9296875F, -.43359375F,   -.224609375F, 1.5234375F,
                                 .87890625F,  -.104492188F,  -1.4453125F,  .0947265625F};
  CHECK(choice("te_4over6", ScaleRule::mse, fused) == BlockChoice::four);
  CHECK(choice("fos_cuda", ScaleRule::mse, fused) == BlockChoice::six);
  CHECK(choice("fos_cuda+error_fusion=none", ScaleRule::mse, fused) == BlockChoice::four);
  const std::vector<float> tree{-1.375F,    1.265625F,   -1.625F,    -.466796875F,
                                .12890625F, -1.078125F,  1.0078125F, 1.1171875F,
                                1.1953125F, -.53125F,    -.234375F,  -1.46875F,
                                1.25F,      .287109375F, -.890625F,  .19140625F};
  CHECK(choice("te_4over6", ScaleRule::mae, tree) == BlockChoice::four);
  CHECK(choice("te_4over6+error_order=neighbour_tree", ScaleRule::mae, tree) == BlockChoice::six);
}

TEST_CASE("the ways back from a code") {
  // 1.5 under the scale 1.375 where A = 1: A / 2688 is not fl(1 / (2688 / A)).
  BlockTensor t;
  t.format = find_block_format("nvfp4");
  t.rows = 1;
  t.columns = 16;
  t.values.assign(8, 0);
  t.values[0] = 3;
  t.scales = {0x3b};
  t.amax = 1.0F;
  t.encode_constant = 2688.0F;
  const auto value = [&](const char* dialect) {
    std::vector<float> out(16);
    dequantize(t, out, find_dialect(dialect));
    return out[0];
  };
  CHECK(value("canonical") == 0x1.924924p-11F);
  CHECK(value("canonical+dequantization=amax_product") == 0x1.924926p-11F);
  CHECK(value("canonical+dequantization=decode_product") == 0x1.924926p-11F);
  CHECK(value("canonical+dequantization=scale_quotient") == 0x1.924926p-11F);
}

TEST_CASE("a scale that the type of the weight cannot hold") {
  const auto coded_as = [](const char* dialect, float b, InputType type) {
    QuantizeOptions o;
    o.format = find_block_format("mxfp4");
    o.dialect = find_dialect(dialect);
    o.rule = ScaleRule::even;
    o.input_type = type;
    std::vector<float> x(32);
    x[0] = b;
    const BlockTensor t = quantize(x, 1, 32, o);
    return std::pair{int{t.scale(0, 0)}, int{t.code(0, 0)}};
  };
  const auto half = InputType::float16;
  // 57344 = 1.75 * 2^15 has the exponent of infinity when it is rounded: x / infinity is 0.
  CHECK(coded_as("compressed_tensors", 57344.0F, half) == std::pair{127, 0});
  CHECK(coded_as("compressed_tensors_cuda", 57344.0F, half) == std::pair{126, 0});
  CHECK(coded_as("compressed_tensors", 57312.0F, half) == std::pair{140, 7});
  CHECK(coded_as("compressed_tensors", 57344.0F, InputType::bfloat16) == std::pair{141, 6});
  // As captured: the same at the top of BF16.
  CHECK(coded_as("compressed_tensors", 0x1.d8p127F, InputType::bfloat16) == std::pair{127, 0});
  CHECK(coded_as("torchao", 0x1.d8p127F, InputType::bfloat16).first == 253);
  // A half below 2^-14 counts as nothing, or as 2^-14 from three quarters of it on.
  CHECK(coded_as("compressed_tensors", 0x1.4p-15F, half) == std::pair{127, 0});
  CHECK(coded_as("compressed_tensors", 0x1.8p-15F, half) == std::pair{111, 5});
}

TEST_CASE("an axis set by name") {
  const std::vector<float> x{6.0F, -0.0F, -0.1F};
  CHECK(coded("canonical+negative_zero=all_dropped", 6.0F, x) == "7e 7000000000000000");
  CHECK(find_dialect("canonical+negative_zero=all_dropped") ==
        find_dialect("canonical+negative_zero=all_dropped"));
  CHECK(find_dialect("nothing+negative_zero=kept") == nullptr);
}
