// SPDX-License-Identifier: MIT
// The models against recorded hardware words and against another public model.
#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "lowbit/sim/mma.hpp"
#include "recorded_rows.hpp"

using namespace lowbit;
using namespace lowbit::sim;
using lowbit::test::RecordedRows;
using lowbit::test::RecordedSet;

namespace {

std::size_t matches(const Instruction& i, const RecordedRows& rows) {
  std::size_t equal = 0;
  for (std::size_t r = 0; r < rows.rows; ++r) {
    const auto a = std::span(rows.a).subspan(r * rows.k, rows.k);
    const auto b = std::span(rows.b).subspan(r * rows.k, rows.k);
    if (dot(i, a, b, rows.c[r]) == rows.d[r]) ++equal;
  }
  return equal;
}

}  // namespace

TEST_CASE("recorded hardware rows are reproduced bit for bit") {
  const TensorFile file = TensorFile::open(test::golden_file("recorded.safetensors"));
  CHECK(test::recorded_sets().size() == 48);
  CHECK(file.tensors().size() == 48 * 4);
  std::size_t total = 0;
  for (const RecordedSet& set : test::recorded_sets()) {
    const Instruction& i = instruction(set.instruction);
    const RecordedRows rows = test::read_rows(file, set, i);
    INFO(set.gpu << ' ' << set.input << ' ' << set.output << ": " << set.instruction);
    CHECK(rows.rows >= 40);
    CHECK(matches(i, rows) == rows.rows);
    total += rows.rows;
  }
  CHECK(total == (std::getenv("LOWBIT_GOLDEN_DIR") != nullptr ? 33600 : 48 * 40));
}

TEST_CASE("recorded rows tell fraction bits, terms and rounding from their neighbours") {
  const TensorFile file = TensorFile::open(test::golden_file("recorded.safetensors"));
  using Change = void (*)(MmaParameters&);
  const std::map<std::string, Change> mutants{
      {"fraction bits - 1", [](MmaParameters& p) { --p.fraction_bits; }},
      {"fraction bits + 1", [](MmaParameters& p) { ++p.fraction_bits; }},
      {"half the terms", [](MmaParameters& p) { p.terms /= 2; }},
      {"other final rounding",
       [](MmaParameters& p) {
         switch (p.rounding) {
           case FinalRounding::f32_toward_zero:
             p.rounding = FinalRounding::f32_nearest_even;
             break;
           case FinalRounding::e8m13_toward_zero:
             p.rounding = FinalRounding::e8m13_nearest_even;
             break;
           default:
             p.rounding = FinalRounding::f16_toward_zero;
         }
       }},
      {"fused multiply-add chain", [](MmaParameters& p) { p.rule = MmaRule::fma_chain; }},
  };
  for (const auto& [name, change] : mutants) {
    // By arithmetic, named for one instruction that has it: rows that the mutant gets wrong.
    std::map<std::string, std::size_t> noticed;
    const auto same_arithmetic = [&](const Instruction& i) {
      for (const RecordedSet& other : test::recorded_sets()) {
        const Instruction& first = instruction(other.instruction);
        if (first.parameters == i.parameters && first.a == i.a && first.d == i.d) return first.name;
      }
      return i.name;
    };
    for (const RecordedSet& set : test::recorded_sets()) {
      Instruction mutant = instruction(set.instruction);
      const RecordedRows rows = test::read_rows(file, set, mutant);
      const std::string name_of_arithmetic = same_arithmetic(mutant);
      change(mutant.parameters);
      noticed[name_of_arithmetic] += rows.rows - matches(mutant, rows);
    }
    for (const auto& [instruction_name, count] : noticed) {
      INFO(name << " of " << instruction_name);
      // An FP16 result keeps so few bits that one more fraction bit of the sum rarely shows, and
      // the FP8 rows of emulated instructions sum exactly whatever the window; directed probes and
      // the H100 campaign catch those.
      const Instruction& i = instruction(instruction_name);
      const bool blind =
          (i.d == &f16 && name.starts_with("fraction")) ||
          (i.parameters.rule == MmaRule::emulated && name != "fused multiply-add chain");
      if (!blind) CHECK(count > 0);
    }
  }
}

namespace {

std::string b200_instruction(const nlohmann::json& word) {
  const std::string kind = word["kind"];
  const std::string types =
      word["a_format"].get<std::string>() + "." + word["b_format"].get<std::string>();
  if (kind == "dense") {
    const std::size_t k = word["a"].size();
    return "tcgen05mma.Blackwell.m64n8k" + std::to_string(k) + "." +
           word["d_type"].get<std::string>() + "." + types;
  }
  return "tcgen05mma_block_scale.Blackwell.m128n8k" + std::to_string(word["a"].size()) + ".block" +
         std::to_string(word["block"].get<int>()) + ".f32." + types + "." +
         word["scale_format"].get<std::string>();
}

nlohmann::json b200_words() {
  std::ifstream in(test::golden_file("b200_words.json"));
  return nlohmann::json::parse(in)["cases"];
}

std::uint32_t b200_result(const Instruction& i, const nlohmann::json& word) {
  auto a = word["a"].get<std::vector<std::uint32_t>>();
  auto b = word["b"].get<std::vector<std::uint32_t>>();
  if (i.a == &bf16) {  // given in 32-bit containers
    for (std::uint32_t& x : a) x >>= 16;
    for (std::uint32_t& x : b) x >>= 16;
  }
  const auto scales = [&](const char* key) {
    return word.contains(key) ? word[key].get<std::vector<std::uint8_t>>()
                              : std::vector<std::uint8_t>{};
  };
  return dot(i, a, b, word["c_fp32"].get<std::uint32_t>(), scales("scale_a"), scales("scale_b"));
}

}  // namespace

TEST_CASE("all 63 frozen B200 words are reproduced") {
  const nlohmann::json words = b200_words();
  CHECK(words.size() == 63);
  for (const nlohmann::json& word : words) {
    const Instruction& i = instruction(b200_instruction(word));
    INFO(word["name"] << " under " << i.name);
    CHECK(b200_result(i, word) == word["d"].get<std::uint32_t>());
  }
}

TEST_CASE("B200 words fix the exponent of zero of BF16 and TF32 at -133") {
  const nlohmann::json words = b200_words();
  for (const int other : {-126, -132, -134}) {
    std::size_t wrong = 0;
    for (const nlohmann::json& word : words) {
      Instruction i = instruction(b200_instruction(word));
      if (i.parameters.rule == MmaRule::grouped) continue;
      i.parameters.exponent_of_zero = other;
      if (b200_result(i, word) != word["d"].get<std::uint32_t>()) ++wrong;
    }
    INFO(other);
    CHECK(wrong > 0);
  }
}

// Its exponent of zero is -126 everywhere, but these inputs never reach that low, and it has no
// emulated instructions: the two must agree on every output.
TEST_CASE("another public model agrees on 15,744 outputs") {
  const TensorFile file = TensorFile::open(test::golden_file("mma_sim.safetensors"));
  std::size_t outputs = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    if (!tensor.name.ends_with(".D")) continue;
    const std::string key = tensor.name.substr(0, tensor.name.size() - 2);
    const std::string name = key.substr(0, key.rfind(".mode"));
    const Instruction* i = find_instruction(name);
    INFO(key);
    REQUIRE(i != nullptr);
    CHECK(i->name == name);
    const auto bytes = [&](const std::string& part) {
      const TensorInfo* t = file.find(key + part);
      if (t == nullptr) return std::vector<std::uint8_t>{};
      const auto* data = reinterpret_cast<const std::uint8_t*>(t->bytes.data());
      return std::vector<std::uint8_t>(data, data + t->bytes.size());
    };
    // B and its scales come as [K, N]; an operand's vectors have K contiguous.
    const auto transposed = [](const std::vector<std::uint8_t>& x, std::size_t columns,
                               std::size_t width) {
      std::vector<std::uint8_t> out(x.size());
      if (x.empty()) return out;
      const std::size_t rows = x.size() / columns / width;
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t col = 0; col < columns; ++col) {
          std::copy_n(&x[(r * columns + col) * width], width, &out[(col * rows + r) * width]);
        }
      }
      return out;
    };
    const std::size_t m = tensor.shape.at(0);
    const std::size_t n = tensor.shape.at(1);
    const std::size_t width = std::max(1, container_bits(*i->a) / 8);
    const MmaOperand a(*i, MmaSide::a, bytes(".A"), m, static_cast<std::size_t>(i->k),
                       bytes(".scale_A"));
    const MmaOperand b(*i, MmaSide::b, transposed(bytes(".B"), n, width), n,
                       static_cast<std::size_t>(i->k), transposed(bytes(".scale_B"), n, 1));
    const std::vector<std::uint32_t> expected = test::words_of(tensor);
    std::vector<std::uint32_t> d = test::words_of(file.at(key + ".C"));
    mma(*i, a, b, d);
    CHECK(d == expected);
    outputs += d.size();
  }
  CHECK(outputs == 15744);
}
