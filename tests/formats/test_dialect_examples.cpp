// SPDX-License-Identifier: MIT
// Blocks on which dialects differ, one case per axis, each with what the implementations return.
#include <map>
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
  // A / 2688 and A * fl(1 / 2688); 2688 / A and fl(1 / A) * 2688.
  CHECK(1.03125F / 2688.0F == 0x1.924924p-12F);
  CHECK(1.03125F * (1.0F / 2688.0F) == 0x1.924926p-12F);
  CHECK(2688.0F / 1.0234375F == 0x1.484e2ap+11F);
  CHECK(1.0F / 1.0234375F * 2688.0F == 0x1.484e2cp+11F);
}

TEST_CASE("an axis set by name") {
  const std::vector<float> x{6.0F, -0.0F, -0.1F};
  CHECK(coded("canonical+negative_zero=all_dropped", 6.0F, x) == "7e 7000000000000000");
  CHECK(find_dialect("canonical+negative_zero=all_dropped") ==
        find_dialect("canonical+negative_zero=all_dropped"));
  CHECK(find_dialect("nothing+negative_zero=kept") == nullptr);
}
