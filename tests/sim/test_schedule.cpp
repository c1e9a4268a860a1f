// SPDX-License-Identifier: MIT
// Schedules: plans, replay against a naive loop over the instruction, JSON, search.
#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "catch.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/sim/distinguishing.hpp"
#include "lowbit/sim/schedule_search.hpp"
#include "lowbit/sim/word_compare.hpp"
#include "random_tensor.hpp"

using namespace lowbit;
using namespace lowbit::sim;
using lowbit_test::random_tensor;

namespace {

const BlockFormat& format(const char* name) {
  return *find_block_format(name);
}

const Instruction& nvfp4_mma() {
  return instruction("mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3");
}
const Instruction& half_mma() {
  return instruction("mma.Hopper.m16n8k16.f32.f16.f16.f32");
}

/// Block scales over 14 binades, so that the order of addition matters.
BlockTensor spread_tensor(const char* name, std::size_t rows, std::size_t columns,
                          std::mt19937& random) {
  BlockTensor t = random_tensor(format(name), rows, columns, random);
  t.amax = 3.7F;
  t.encode_constant = 2688.0F;
  return t;
}

/// The NVFP4 instruction on chunk `step` of two rows, from c.
float one_step(const BlockTensor& a, std::size_t i, const BlockTensor& b, std::size_t j,
               std::size_t step, float c) {
  std::vector<std::uint32_t> x(64), y(64);
  std::vector<std::uint8_t> sx(4), sy(4);
  for (std::size_t k = 0; k < 64; ++k) {
    const std::size_t column = step * 64 + k;
    if (column >= a.columns) continue;
    x[k] = a.code(i, column);
    y[k] = b.code(j, column);
    sx[k / 16] = a.scale(i, column / 16) & 0x7F;
    sy[k / 16] = b.scale(j, column / 16) & 0x7F;
  }
  return std::bit_cast<float>(dot(nvfp4_mma(), x, y, std::bit_cast<std::uint32_t>(c), sx, sy));
}

std::uint32_t word(float x) {
  return std::bit_cast<std::uint32_t>(x);
}

}  // namespace

TEST_CASE("plans: which steps go where") {
  using Steps = std::vector<std::uint32_t>;
  using Slice = std::vector<Steps>;
  Schedule s;
  CHECK(plan(s, 3).slices == std::vector<Slice>{{{0, 1, 2}}});
  s.order = StepOrder::backward;
  CHECK(plan(s, 3).slices == std::vector<Slice>{{{2, 1, 0}}});
  s.order = StepOrder::forward;
  s.split_k = 2;  // ceil(5 / 2) = 3 in the first
  CHECK(plan(s, 5).slices == std::vector<Slice>{{{0, 1, 2}}, {{3, 4}}});
  s.split_run = 1;
  CHECK(plan(s, 5).slices == std::vector<Slice>{{{0, 2, 4}}, {{1, 3}}});
  s.split_run = 0;
  s.accumulators = 2;
  CHECK(plan(s, 8).slices == std::vector<Slice>{{{0, 2}, {1, 3}}, {{4, 6}, {5, 7}}});
  s.accumulator_run = 2;
  CHECK(plan(s, 8).slices == std::vector<Slice>{{{0, 1}, {2, 3}}, {{4, 5}, {6, 7}}});
  s.split_k = 16;  // more slices than steps
  CHECK(plan(s, 2).slices == std::vector<Slice>{{{0}}, {{1}}});
  CHECK(plan(s, 0).slices.empty());
  s.explicit_steps = {{2, 0}, {1}};
  CHECK(plan(s, 3).slices == std::vector<Slice>{{{2, 0}, {1}}});
  CHECK_THROWS_WITH(plan(s, 2), "schedule: step 2 of only 2");
  CHECK_THROWS_WITH(plan(s, 4), "schedule: 3 of 4 steps named");
  s.explicit_steps = {{0, 0}};
  CHECK_THROWS_WITH(plan(s, 2), "schedule: step 0 twice");
}

TEST_CASE("replay equals a naive loop over the instruction") {
  std::mt19937 random(1);
  // 500 is no multiple of 64: the last step is padded.
  const BlockTensor a = spread_tensor("nvfp4", 5, 500, random);
  const BlockTensor b = spread_tensor("nvfp4", 6, 500, random);
  const auto run = [&](const Schedule& s) {
    return run_gemm(a, b, {&nvfp4_mma(), NanScale::error, TensorScale::none, s, 2});
  };
  const auto each = [&](const Schedule& s, const auto& naive) {
    const auto words = run(s);
    for (std::size_t i = 0; i < 5; ++i) {
      for (std::size_t j = 0; j < 6; ++j) REQUIRE(words[i * 6 + j] == word(naive(i, j)));
    }
  };
  const auto chain = [&](std::size_t i, std::size_t j, std::initializer_list<std::size_t> steps) {
    float d = 0;
    for (const std::size_t s : steps) d = one_step(a, i, b, j, s, d);
    return d;
  };
  Schedule s;
  each(s, [&](auto i, auto j) { return chain(i, j, {0, 1, 2, 3, 4, 5, 6, 7}); });
  const auto forward = run(s);
  s.order = StepOrder::backward;
  each(s, [&](auto i, auto j) { return chain(i, j, {7, 6, 5, 4, 3, 2, 1, 0}); });
  CHECK(run(s) != forward);
  s = {};
  s.split_k = 3;
  each(s, [&](auto i, auto j) {
    return (chain(i, j, {0, 1, 2}) + chain(i, j, {3, 4, 5})) + chain(i, j, {6, 7});
  });
  s.reduction = Reduction::reverse;
  each(s, [&](auto i, auto j) {
    return (chain(i, j, {6, 7}) + chain(i, j, {3, 4, 5})) + chain(i, j, {0, 1, 2});
  });
  s = {};
  s.promote = 3;
  each(s, [&](auto i, auto j) {
    return ((0.0F + chain(i, j, {0, 1, 2})) + chain(i, j, {3, 4, 5})) + chain(i, j, {6, 7});
  });
  s = {};
  s.accumulators = 4;
  s.reduction = Reduction::pairwise;
  each(s, [&](auto i, auto j) {
    return (chain(i, j, {0, 4}) + chain(i, j, {1, 5})) +
           (chain(i, j, {2, 6}) + chain(i, j, {3, 7}));
  });
  s.split_k = 2;
  s.accumulators = 2;
  s.promote = 1;
  each(s, [&](auto i, auto j) {
    const auto two = [&](std::size_t x, std::size_t y) {
      return (0.0F + chain(i, j, {x})) + chain(i, j, {y});
    };
    return (two(0, 2) + two(1, 3)) + (two(4, 6) + two(5, 7));
  });
  s = {};
  s.explicit_steps = {{5, 1, 0}, {7, 6, 2, 3, 4}};
  each(s, [&](auto i, auto j) { return chain(i, j, {5, 1, 0}) + chain(i, j, {7, 6, 2, 3, 4}); });
  GemmModel one{&nvfp4_mma(), NanScale::error, TensorScale::none, s, 1};
  GemmModel seven = one;
  seven.threads = 7;
  CHECK(run_gemm(a, b, one) == run_gemm(a, b, seven));
}

TEST_CASE("epilogues: alpha, C and the output rounding") {
  const TensorScales scales{3.7F, 2688.0F, 0.3F, 1536.0F, 49, 20};
  const float acc = 12345.678F;
  const auto words = [&](AlphaRule rule, std::optional<float> alpha = std::nullopt) {
    Epilogue e;
    e.scale = rule;
    e.alpha = alpha;
    return apply_epilogue(e, scales, acc);
  };
  const float sa = 3.7F / 2688.0F;
  const float sb = 0.3F / 1536.0F;
  CHECK(words(AlphaRule::none) == word(acc * 0x1p20F / 49.0F));
  CHECK(words(AlphaRule::product) == word(acc * (sa * sb / 49.0F * 0x1p20F)));
  CHECK(words(AlphaRule::product, 0.7F) == word(acc * 0.7F));
  CHECK(words(AlphaRule::sequential) == word(acc * 0x1p20F * sa * sb / 49.0F));
  // All factors are floats, so 53 bits of double tell the correctly rounded quotient here.
  const double rational = double{3.7F} * double{0.3F} / (2688.0 * 1536.0 * 49.0) * 0x1p20;
  CHECK(words(AlphaRule::rational) == word(acc * static_cast<float>(rational)));
  CHECK(words(AlphaRule::exact) == word(static_cast<float>(double{acc} * rational)));

  Epilogue e;
  e.scale = AlphaRule::product;
  e.alpha = 1.1F;
  e.beta = -0.3F;
  // fma(alpha, acc, beta C) and the sum of two rounded products differ for this C.
  const float c = 45267.5F;
  const float source = -0.3F * c;
  CHECK(apply_epilogue(e, {}, acc, c) == word(std::fma(1.1F, acc, source)));
  e.combine = Combine::mul_add;
  CHECK(apply_epilogue(e, {}, acc, c) == word(1.1F * acc + source));
  e.combine = Combine::fma_source;
  CHECK(apply_epilogue(e, {}, acc, c) == word(std::fma(-0.3F, c, 1.1F * acc)));
  CHECK(word(1.1F * acc + source) != word(std::fma(1.1F, acc, source)));

  Epilogue half;
  half.output = &f16;
  CHECK(apply_epilogue(half, {}, 65520.0F) == 0x7C00);
  CHECK(apply_epilogue(half, {}, 1.00048828125F) == 0x3C00);  // a tie, to even
  half.output = &bf16;
  CHECK(apply_epilogue(half, {}, -1.01171875F) == 0xBF82);  // a tie, to even
  CHECK(apply_epilogue({}, {}, std::bit_cast<float>(0xFFFFFFFFU)) == 0x7FC00000);
}

TEST_CASE("expansion to FP16 is exact, by 7 and 6 over 49 for IF4") {
  std::mt19937 random(2);
  for (const char* name : {"nvfp4", "if4", "if3", "nvint4"}) {
    CAPTURE(name);
    const BlockFormat& f = format(name);
    // Every code under every scale byte but NaN, against 1.0.
    BlockTensor a = lowbit_test::make_tensor(f, 256, 16);
    for (std::size_t r = 0; r < 256; ++r) {
      a.scales[r] =
          static_cast<std::uint8_t>(lowbit_test::is_nan_scale(f, static_cast<unsigned>(r)) ? 0 : r);
      for (std::size_t k = 0; k < 16; ++k) lowbit_test::set_code(a, r, k, static_cast<unsigned>(k));
    }
    BlockTensor b = lowbit_test::make_tensor(format("nvint4"), 16, 16);
    for (std::size_t r = 0; r < 16; ++r) lowbit_test::set_code(b, r, r, 1);
    std::fill(b.scales.begin(), b.scales.end(), 0x38);
    GemmModel model{&half_mma(), NanScale::error, TensorScale::none, {}, 1};
    model.schedule.epilogue.scale = AlphaRule::none;
    ExactOptions exact;
    exact.tensor_scale = TensorScale::none;
    CHECK(run_gemm(a, b, model) == exact_gemm(a, b, exact));
    model.schedule.prescale = -10;
    CHECK(run_gemm(a, b, model) == exact_gemm(a, b, exact));
  }
  // IF6 has no exact FP16 route, and says so.
  const BlockTensor a = random_tensor(format("if6_e2m3"), 4, 64, random);
  CHECK_THROWS_AS(run_gemm(a, a, {&half_mma()}), Error);
}

TEST_CASE("a column order permutes K before it is cut into steps") {
  std::mt19937 random(3);
  DenseMatrix a{&f16, 3, 64, {}};
  DenseMatrix b{&f16, 4, 64, {}};
  std::vector<std::uint16_t> va, vb;
  for (auto* v : {&va, &vb}) {
    for (std::size_t i = 0; i < (v == &va ? 3U : 4U) * 64U; ++i) {
      v->push_back(static_cast<std::uint16_t>((random() & 0x83FF) | ((5 + random() % 20) << 10)));
    }
  }
  const auto bytes = [](const std::vector<std::uint16_t>& v) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(v.data());
    return std::vector<std::uint8_t>(p, p + 2 * v.size());
  };
  a.bytes = bytes(va);
  b.bytes = bytes(vb);
  GemmModel model{&half_mma(), NanScale::error, TensorScale::none, {}, 1};
  for (std::uint32_t i = 0; i < 32; ++i) model.schedule.column_order.push_back(i * 5 % 32);
  const auto permuted = run_gemm(a, b, model);
  auto pa = va;
  auto pb = vb;
  for (std::size_t i = 0; i < va.size(); ++i) pa[i] = va[i / 32 * 32 + i % 32 * 5 % 32];
  for (std::size_t i = 0; i < vb.size(); ++i) pb[i] = vb[i / 32 * 32 + i % 32 * 5 % 32];
  DenseMatrix qa{&f16, 3, 64, bytes(pa)};
  DenseMatrix qb{&f16, 4, 64, bytes(pb)};
  GemmModel plain{&half_mma(), NanScale::error, TensorScale::none, {}, 1};
  CHECK(permuted == run_gemm(qa, qb, plain));
  CHECK(permuted != run_gemm(a, b, plain));
  model.schedule.column_order.resize(8);
  CHECK_THROWS_AS(run_gemm(a, b, model), Error);
}

TEST_CASE("operands that an instruction cannot take are refused by name") {
  std::mt19937 random(4);
  const BlockTensor nv = random_tensor(format("nvfp4"), 2, 64, random);
  const auto refused = [&](const GemmOperand& a, const Instruction& i, const std::string& needle) {
    try {
      (void)run_gemm(a, a, {&i});
    } catch (const Error& error) {
      CAPTURE(error.what(), needle);
      CHECK(std::string(error.what()).find(needle) != std::string::npos);
      return;
    }
    FAIL("accepted: " << needle);
  };
  refused(random_tensor(format("if4"), 2, 64, random), nvfp4_mma(), "expand to FP16");
  refused(random_tensor(format("mxfp4"), 2, 64, random), nvfp4_mma(), "scales are e8m0, not e4m3");
  refused(random_tensor(format("nvfp4_bs8"), 2, 64, random), nvfp4_mma(), "blocks are of 16");
  refused(random_tensor(format("nvint4"), 2, 64, random), nvfp4_mma(), "elements are e2m1");
  refused(nv, instruction("mma.Ada_Lovelace.m16n8k32.f32.e4m3.e4m3.f32"),
          "block-scaled instruction");
  BlockTensor nan = nv;
  nan.scales[5] = 0x7F;
  refused(nan, nvfp4_mma(), "row 1, block 1");
  const auto words = run_gemm(nan, nv, {&nvfp4_mma(), NanScale::nan});
  CHECK(words[2] == 0x7FC00000);
  CHECK(words[0] != 0x7FC00000);
  GemmModel largest{&nvfp4_mma(), NanScale::largest};
  BlockTensor as_448 = nan;
  as_448.scales[5] = 0x7E;
  CHECK(run_gemm(nan, nv, largest) == run_gemm(as_448, nv, largest));
  nan.scales[5] = 0xFF;  // the sign bit is ignored
  CHECK(run_gemm(nan, nv, largest) == run_gemm(as_448, nv, largest));
}

TEST_CASE("JSON: there and back, and refusals by key") {
  Schedule s;
  s.split_k = 4;
  s.split_run = 2;
  s.accumulators = 2;
  s.accumulator_run = 8;
  s.promote = 4;
  s.order = StepOrder::backward;
  s.reduction = Reduction::pairwise;
  s.column_order = {1, 0, 2};
  s.prescale = -10;
  s.epilogue.scale = AlphaRule::rational;
  s.epilogue.alpha = 0.1F;
  s.epilogue.beta = 0.5F;
  s.epilogue.combine = Combine::fma_source;
  s.epilogue.output = &bf16;
  CHECK(schedule_from_json(schedule_to_json(s), "x") == s);
  Schedule listed;
  listed.explicit_steps = {{0, 2}, {1, 3}};
  CHECK(schedule_from_json(schedule_to_json(listed), "x") == listed);
  CHECK(schedule_from_json("{}", "x") == Schedule{});
  const auto refused = [](const std::string& text, const std::string& needle) {
    try {
      (void)schedule_from_json(text, "f.json");
    } catch (const Error& error) {
      CAPTURE(error.what());
      CHECK(error.kind() == ErrorKind::invalid_input);
      CHECK(std::string(error.what()).starts_with("f.json: "));
      CHECK(std::string(error.what()).find(needle) != std::string::npos);
      return;
    }
    FAIL("accepted: " << text);
  };
  refused("{", "not JSON");
  refused("[]", "is not an object");
  refused(R"({"split": 2})", "split is not a key");
  refused(R"({"split_k": 0})", "split_k");
  refused(R"({"split_k": -1})", "split_k");
  refused(R"({"promote": 1.5})", "promote");
  refused(R"({"order": "sideways"})", "order is none of forward, backward");
  refused(R"({"steps": [[0, "1"]]})", "steps");
  refused(R"({"steps": []})", "steps");
  refused(R"({"column_order": [0, 0]})", "column_order");
  refused(R"({"column_order": [2, 0]})", "column_order");
  refused(R"({"prescale": 1000})", "prescale");
  refused(R"({"epilogue": 3})", "epilogue");
  refused(R"({"epilogue": {"alpha": 1e60}})", "epilogue.alpha");
  refused(R"({"epilogue": {"output": "f64"}})", "epilogue.output");
  refused(R"({"epilogue": {"gamma": 1}})", "epilogue.gamma is not a key");
}

TEST_CASE("the search names planted schedules") {
  std::mt19937 random(5);
  const BlockTensor a = spread_tensor("nvfp4", 12, 1024, random);
  const BlockTensor b = spread_tensor("nvfp4", 20, 1024, random);
  GemmModel model{&nvfp4_mma(), NanScale::error, TensorScale::none, {}, 0};
  model.schedule.epilogue.scale = AlphaRule::product;
  CHECK(plausible_schedules(model.schedule, 16, true, false).size() >= 50);
  const auto planted = [&](Schedule s) {
    s.epilogue.output = model.schedule.epilogue.output;
    GemmModel other = model;
    other.schedule = s;
    const auto output = run_gemm(a, b, other);
    const ScheduleSearch found = search_schedules(a, b, model, output);
    CAPTURE(describe(s), found.matches.size());
    CHECK(found.tried >= 50);
    REQUIRE_FALSE(found.matches.empty());
    for (const Schedule& match : found.matches) {
      GemmModel again = model;
      again.schedule = match;
      CHECK(run_gemm(a, b, again) == output);
    }
    return found.matches;
  };
  Schedule s;
  s.epilogue.scale = AlphaRule::product;
  CHECK(planted(s).front() == s);
  const auto contains = [](const std::vector<Schedule>& matches, const Schedule& x) {
    return std::find(matches.begin(), matches.end(), x) != matches.end();
  };
  // Contiguous slices added in order are promotions: nothing tells the two apart.
  s.split_k = 4;
  Schedule promoted;
  promoted.epilogue.scale = AlphaRule::product;
  promoted.promote = 4;
  const auto split = planted(s);
  CHECK(split.size() == 2);
  CHECK(contains(split, s));
  CHECK(contains(split, promoted));
  s.reduction = Reduction::pairwise;
  CHECK(contains(planted(s), s));
  s = {};
  s.epilogue.scale = AlphaRule::product;
  s.promote = 4;
  planted(s);
  s.promote = 0;
  s.order = StepOrder::backward;
  CHECK(planted(s).front() == s);
  s = {};
  s.epilogue.scale = AlphaRule::sequential;
  CHECK(planted(s).front() == s);

  // Benign operands: all orders give the same words, and the search says so.
  BlockTensor same_a = a;
  BlockTensor same_b = b;
  std::fill(same_a.scales.begin(), same_a.scales.end(), 0x38);
  std::fill(same_b.scales.begin(), same_b.scales.end(), 0x38);
  const auto benign = search_schedules(same_a, same_b, model, run_gemm(same_a, same_b, model));
  CHECK(benign.matches.size() > 50);

  // One wrong word: none matches, and the closest differs there alone.
  auto output = run_gemm(a, b, model);
  output[5 * 20 + 7] ^= 1;
  const auto none = search_schedules(a, b, model, output);
  CHECK(none.matches.empty());
  CHECK(none.closest == model.schedule);
  CHECK(none.closest_mismatches == 1);
  CHECK(none.closest_first == 5 * 20 + 7);

  // A schedule that fits the sample must fit every word: one is wrong in a row of which four are
  // not sampled.
  GemmModel four = model;
  four.schedule.split_k = 4;
  for (std::size_t row = 4; row < 12; ++row) {
    auto planted_word = run_gemm(a, b, four);
    planted_word[row * 20 + 3] ^= 1;
    CHECK(search_schedules(a, b, model, planted_word).matches.empty());
  }
}

TEST_CASE("a search keeps within its budget, holds every match to all words, and can be ended") {
  std::mt19937 random(5);
  // Alike, so that most orders give the same words.
  BlockTensor a = spread_tensor("nvfp4", 200, 1024, random);
  BlockTensor b = spread_tensor("nvfp4", 24, 1024, random);
  std::fill(a.scales.begin(), a.scales.end(), 0x38);
  std::fill(b.scales.begin(), b.scales.end(), 0x38);
  GemmModel model;
  model.instruction = &nvfp4_mma();
  model.schedule.epilogue.scale = AlphaRule::product;
  const auto output = run_gemm(a, b, model);
  ScheduleSearchOptions options;
  options.budget = 1;
  std::vector<std::string> phases;
  options.watch.report = [&](std::string_view phase, std::uint64_t, std::uint64_t) {
    phases.emplace_back(phase);
  };
  const auto found = search_schedules(a, b, model, output, {}, {}, options);
  REQUIRE(found.matches.size() == 1);
  CHECK(found.matches[0] == model.schedule);
  CHECK(found.likely.size() > 50);
  CHECK(found.likely_words == std::size_t{4} * 24);
  CHECK(found.complete);
  CHECK(phases.front() == "schedules tried");
  CHECK(phases.back() == "every word of the simplest schedule");
  // A word in a row that no sample holds: nothing is a match any more, and what is left is said to
  // fit the sample only.
  auto one_wrong = output;
  one_wrong[101 * 24 + 5] ^= 1;
  const auto none = search_schedules(a, b, model, one_wrong, {}, {}, options);
  CHECK(none.matches.empty());
  CHECK(none.likely.empty());
  CHECK(none.closest_mismatches == 1);
  CHECK(none.closest_first == 101 * 24 + 5);
  // The whole of D is within the default budget.
  CHECK(search_schedules(a, b, model, output).likely.empty());
  // Ended from outside: what fits so far is kept, nothing is called a match.
  int left = 40;
  options.watch.stop = [&] { return --left < 0; };
  const auto ended = search_schedules(a, b, model, output, {}, {}, options);
  CHECK_FALSE(ended.complete);
  CHECK(ended.tried == 40);
  CHECK(ended.candidates == found.tried);
  CHECK(ended.matches.empty());
  CHECK(ended.likely.size() > 10);
}

TEST_CASE("distinguishing operands tell schedules apart that benign operands do not") {
  std::mt19937 random(6);
  const Schedule base;
  std::vector<Schedule> schedules = plausible_schedules(base, 16, false, false);
  schedules.resize(60);
  const auto check = [&](const GemmOperand& a, const GemmOperand& b, const Instruction& i,
                         std::size_t at_least) {
    GemmModel model;
    model.instruction = &i;
    const auto operands = distinguishing_operands(a, b, model, schedules);
    CHECK(operands.group_count >= at_least);
    CHECK(columns_of(operands.a) == columns_of(a));
    CHECK(rows_of(operands.a) == 128);
    REQUIRE(operands.groups.size() == schedules.size());
    // The groups are what a replay of all outputs says, or finer.
    for (std::size_t x = 0; x < 12; ++x) {
      for (std::size_t y = 0; y < x; ++y) {
        GemmModel first = model, second = model;
        first.schedule = schedules[x];
        second.schedule = schedules[y];
        const bool same =
            run_gemm(operands.a, operands.b, first) == run_gemm(operands.a, operands.b, second);
        CHECK((!same || operands.groups[x] == operands.groups[y]));
      }
    }
  };
  check(spread_tensor("nvfp4", 140, 1024, random), spread_tensor("nvfp4", 20, 1024, random),
        nvfp4_mma(), 40);
  DenseMatrix m{&f16, 16, 256, std::vector<std::uint8_t>(16 * 512)};
  check(m, m, half_mma(), 40);
}

TEST_CASE("words: equality and distance") {
  CHECK(ulp_distance(f32, 0x00000001, 0x80000001) == 2);
  CHECK(ulp_distance(f32, 0x00000000, 0x80000000) == 0);
  CHECK(ulp_distance(f32, 0x7F800000, 0x7F7FFFFF) == 1);
  CHECK_FALSE(ulp_distance(f32, 0x7FC00000, 0).has_value());
  CHECK(ulp_distance(f16, 0x3C00, 0x3C05) == 5);
  CHECK(same_word(f32, 0x7FC00000, 0x7FFFFFFF));
  CHECK_FALSE(same_word(f32, 0, 0x80000000));
  const std::vector<std::uint32_t> x = {0, 1, 0x7FC00000, 0x3F800000};
  const std::vector<std::uint32_t> y = {0x80000000, 1, 0, 0x3F800003};
  const WordComparison c = compare_words(f32, x, y);
  CHECK(c.mismatches == 3);
  CHECK(c.zero_signs == 1);
  CHECK(c.nan_against == 1);
  CHECK(c.largest_ulps == 3);
  CHECK(c.first == 0);
}
