// SPDX-License-Identifier: MIT
// Each usual mistake of a GEMM kernel, planted, is named.
#include <algorithm>
#include <bit>
#include <random>

#include "catch.hpp"
#include "lowbit/scale_layout.hpp"
#include "lowbit/sim/diagnose.hpp"
#include "random_tensor.hpp"

using namespace lowbit;
using namespace lowbit::sim;
using lowbit_test::random_tensor;

namespace {

BlockTensor tensor(const char* name, std::size_t rows, std::size_t columns, std::mt19937& random,
                   float amax = 3.7F) {
  BlockTensor t = random_tensor(*find_block_format(name), rows, columns, random);
  // Scales within a few binades of 1, as quantizers give.
  for (auto& s : t.scales) s = static_cast<std::uint8_t>((s & 0x80) | (0x30 + random() % 0x20));
  t.amax = amax;
  t.encode_constant = 2688.0F;
  return t;
}

bool named(const Diagnosis& d, const std::string& part) {
  return std::any_of(d.hypotheses.begin(), d.hypotheses.end(), [&](const Hypothesis& h) {
    return h.explains_all && h.name.find(part) != std::string::npos;
  });
}

std::string all_names(const Diagnosis& d) {
  std::string text;
  for (const auto& h : d.hypotheses) text += h.name + (h.explains_all ? " (all); " : "; ");
  for (const auto& o : d.observations) text += o + "; ";
  return text;
}

}  // namespace

TEST_CASE("planted mistakes are named, under the exact model and under an instruction") {
  std::mt19937 random(1);
  const BlockTensor a = tensor("nvfp4", 136, 256, random);
  const BlockTensor b = tensor("nvfp4", 24, 256, random, 0.9F);
  GemmModel exact;
  GemmModel mma;
  mma.instruction =
      &instruction("mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3");
  mma.schedule.epilogue.scale = AlphaRule::product;
  for (const GemmModel* model : {&exact, &mma}) {
    const auto check = [&](const GemmOperand& wrong_a, const GemmOperand& wrong_b,
                           const std::string& name) {
      const Diagnosis d =
          diagnose(a, b, *model, run_gemm(a, b, *model), run_gemm(wrong_a, wrong_b, *model));
      CAPTURE(name, all_names(d));
      CHECK(named(d, name));
    };
    BlockTensor wrong = a;
    for (auto& pair : wrong.values) pair = static_cast<std::uint8_t>(pair << 4 | pair >> 4);
    check(wrong, b, "nibble order swapped in the codes of A");
    // One more wrong word, in a row that is not sampled: not every word is explained any more.
    auto and_another = run_gemm(wrong, b, *model);
    and_another[77 * 24 + 5] ^= 1;
    CHECK_FALSE(named(diagnose(a, b, *model, run_gemm(a, b, *model), and_another), "nibble"));
    wrong = b;
    for (auto& pair : wrong.values) pair = static_cast<std::uint8_t>(pair << 4 | pair >> 4);
    check(a, wrong, "nibble order swapped in the codes of B");

    const auto swizzled = swizzle_scales(a.scales, a.rows, a.blocks_per_row());
    wrong = a;
    std::copy_n(swizzled.begin(), a.scales.size(), wrong.scales.begin());
    check(wrong, b, "swizzled (128x4) block scales read as row-major of A");
    std::vector<std::uint8_t> memory = b.scales;
    memory.resize(swizzled_scale_bytes(b.rows, b.blocks_per_row()));
    wrong = b;
    wrong.scales = unswizzle_scales(memory, b.rows, b.blocks_per_row());
    check(a, wrong, "row-major block scales read as swizzled (128x4) of B");

    wrong = b;
    std::fill(wrong.scales.begin(), wrong.scales.end(), 0x38);
    check(a, wrong, "block scales not applied of B");
    wrong = a;
    wrong.amax = wrong.encode_constant = 1;
    check(wrong, b, "tensor scale of A not applied");
    wrong = b;
    std::swap(wrong.amax, wrong.encode_constant);
    check(a, wrong, "tensor scale of B inverted");
    wrong = a;
    for (std::size_t r = 0; r < a.rows; ++r) {
      std::fill_n(wrong.values.begin() + static_cast<std::ptrdiff_t>(r * 128 + 64), 32,
                  std::uint8_t{0});
    }
    check(wrong, b, "columns 128 to 191 of K left out");
    for (std::size_t r = 0; r < a.rows; ++r) {
      std::fill_n(wrong.values.begin() + static_cast<std::ptrdiff_t>(r * 128 + 64), 64,
                  std::uint8_t{0});
    }
    check(wrong, b, "K ends after column 127");

    // Another scale altogether: a constant ratio.
    wrong = a;
    wrong.amax *= 4;
    const auto expected = run_gemm(a, b, *model);
    Diagnosis d = diagnose(a, b, *model, expected, run_gemm(wrong, b, *model));
    CAPTURE(all_names(d));
    REQUIRE(d.observations.size() == 1);
    CHECK(d.observations[0] == "the output is the model's times 4 throughout: a scale");

    d = diagnose(a, b, *model, expected, std::vector<std::uint32_t>(expected.size()));
    CHECK(d.observations.at(0) == "every word of the output is zero");
    auto rows = expected;
    for (std::size_t i = 128 * 24; i < rows.size(); ++i) rows[i] ^= 0x00400000;
    d = diagnose(a, b, *model, expected, rows);
    CHECK(d.observations.at(0) == "all mismatches lie in rows 128 to 135 of 136");
    // D rounded to BF16 and widened.
    GemmModel narrow = *model;
    narrow.schedule.epilogue.output = &bf16;
    auto widened = run_gemm(a, b, narrow);
    for (auto& w : widened) w <<= 16;
    CHECK(named(diagnose(a, b, *model, expected, widened), "D rounded to bf16 and widened"));
  }
  // Square outputs can be transposed.
  const BlockTensor square = tensor("nvfp4", 24, 256, random);
  const auto transposed = run_gemm(b, square, exact);
  CHECK(named(diagnose(square, b, exact, run_gemm(square, b, exact), transposed), "transposed"));
}

TEST_CASE("integer flags that are ignored, and the arithmetic of instructions, are named") {
  std::mt19937 random(2);
  const BlockTensor a = tensor("if4", 20, 128, random);
  const BlockTensor b = tensor("if4", 20, 128, random);
  const GemmModel exact;
  BlockTensor wrong = b;
  for (auto& s : wrong.scales) s &= 0x7F;
  Diagnosis d = diagnose(a, b, exact, run_gemm(a, b, exact), run_gemm(a, wrong, exact));
  CHECK(named(d, "integer flags ignored (all blocks read as float) of B"));

  BlockTensor x = random_tensor(*find_block_format("nvfp4"), 20, 512, random);
  BlockTensor y = random_tensor(*find_block_format("nvfp4"), 20, 512, random);
  x.encode_constant = y.encode_constant = 2688.0F;
  GemmModel mma;
  mma.instruction =
      &instruction("tcgen05mma_block_scale.Blackwell.m128n8k64.block16.f32.e2m1.e2m1.ue4m3");
  mma.schedule.epilogue.scale = AlphaRule::product;
  d = diagnose(x, y, exact, run_gemm(x, y, exact), run_gemm(x, y, mma));
  CAPTURE(all_names(d));
  CHECK(named(d, "k64.block16.f32.e2m1.e2m1"));
  GemmModel rounded;
  rounded.tensor_scale = TensorScale::fp32;
  d = diagnose(x, y, mma, run_gemm(x, y, mma), run_gemm(x, y, rounded));
  CAPTURE(all_names(d));
  CHECK(named(d, "the exact sums, rounded once"));
}

TEST_CASE("running sums: where the model leaves the exact ones") {
  std::mt19937 random(3);
  BlockTensor a = lowbit_test::make_tensor(*find_block_format("nvfp4"), 1, 256);
  BlockTensor b = a;
  // 36 * 448^2 in chunk 0; 2^-20 in chunk 2: gone in FP32.
  lowbit_test::set_code(a, 0, 0, 7);
  lowbit_test::set_code(b, 0, 0, 7);
  lowbit_test::set_code(a, 0, 130, 1);
  lowbit_test::set_code(b, 0, 130, 1);
  a.scales[0] = b.scales[0] = 0x7E;
  a.scales[8] = b.scales[8] = 0x01;
  lowbit_test::set_code(a, 0, 250, 2);
  lowbit_test::set_code(b, 0, 250, 1);
  a.scales[15] = b.scales[15] = 0x18;  // 2^-4 * 2^-4 / 2 = 2^-9, above half a unit of 2^22
  GemmModel mma;
  mma.instruction =
      &instruction("mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3");
  const OutputTrace trace = trace_output(a, b, mma, 0, 0);
  REQUIRE(trace.lines.size() == 4);
  CHECK(trace.lines[3].first_k == 192);
  CHECK(trace.lines[3].last_k == 256);
  CHECK(trace.lines[0].model == 36.0F * 448 * 448);
  CHECK(*trace.lines[0].exact == trace.lines[0].model);
  CHECK_FALSE(trace.part_at.has_value());
  // With a second large product in chunk 1 the sum is above 2^23, its last place 1: 7.91 more is
  // truncated to 7 by the instruction and rounded to 8 by the exact sum.
  lowbit_test::set_code(a, 0, 250, 0);
  lowbit_test::set_code(a, 0, 64, 7);
  lowbit_test::set_code(b, 0, 64, 7);
  a.scales[4] = b.scales[4] = 0x7E;
  lowbit_test::set_code(a, 0, 255, 7);
  lowbit_test::set_code(b, 0, 255, 7);
  a.scales[15] = b.scales[15] = 0x2F;
  const OutputTrace parted = trace_output(a, b, mma, 0, 0);
  REQUIRE(parted.part_at.has_value());
  CHECK(*parted.part_at == 3);
  // Under the exact model: the same sums by FP32 additions to nearest.
  CHECK(trace_output(a, b, GemmModel{}, 0, 0).lines[1].model == 2 * 36.0F * 448 * 448);
}

TEST_CASE("a diagnosis can be ended, and says so") {
  std::mt19937 random(3);
  const BlockTensor a = tensor("nvfp4", 40, 256, random);
  const BlockTensor b = tensor("nvfp4", 24, 256, random);
  BlockTensor wrong = a;
  for (auto& pair : wrong.values) pair = static_cast<std::uint8_t>(pair << 4 | pair >> 4);
  const GemmModel exact;
  const auto expected = run_gemm(a, b, exact);
  const auto output = run_gemm(wrong, b, exact);
  Watch watch;
  int left = 5;
  watch.stop = [&] { return --left < 0; };
  const Diagnosis ended = diagnose(a, b, exact, expected, output, {}, watch);
  CHECK_FALSE(ended.complete);
  CHECK(ended.tried <= 5);
  const Diagnosis whole = diagnose(a, b, exact, expected, output);
  CHECK(whole.complete);
  REQUIRE(named(whole, "nibble order swapped in the codes of A"));
  CHECK(whole.hypotheses[0].confirmed == 40 * 24);
}
