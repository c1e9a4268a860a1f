// SPDX-License-Identifier: MIT
// One block for every place where canonical and fos_pytorch part, as docs/dialects.md lists them.
#include <cmath>
#include <limits>
#include <vector>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "catch.hpp"
#include "lowbit/block_trace.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"
#include "quantize/error_sum.hpp"

using namespace lowbit;

namespace {

struct Result {
  int scale;
  std::vector<int> codes;
  friend bool operator==(const Result&, const Result&) = default;
};

struct Example {
  const char* format;
  ScaleRule rule;
  float amax;  ///< of the tensor
  std::vector<float> x;
  std::vector<float> random{};
};

Result run(const Example& e, const Dialect& dialect) {
  QuantizeOptions options;
  options.format = find_block_format(e.format);
  options.rule = e.rule;
  options.amax = e.amax;
  options.dialect = &dialect;
  if (!e.random.empty()) {
    options.rounding = ElementRounding::stochastic;
    options.random0 = e.random;
  }
  const BlockTensor t = quantize(e.x, 1, e.x.size(), options);
  Result result{t.scale(0, 0), {}};
  for (std::size_t c = 0; c < e.x.size(); ++c) result.codes.push_back(t.code(0, c));
  return result;
}

std::vector<float> block(std::vector<float> x, std::size_t size) {
  x.resize(size);
  return x;
}

std::vector<int> codes(std::vector<int> x, std::size_t size) {
  x.resize(size);
  return x;
}

}  // namespace

TEST_CASE("negative zero") {
  const Example e{"nvfp4", ScaleRule::static_6, 6, block({6.0F, -0.0F, -0.1F}, 16)};
  CHECK(run(e, canonical) == Result{0x7e, codes({7, 8, 8}, 16)});
  CHECK(run(e, fos_pytorch) == Result{0x7e, codes({7, 0, 8}, 16)});
}

TEST_CASE("a scale that is rounded down to the smallest subnormal") {
  const float v = .02197265625F;
  const Example e{"nvfp4", ScaleRule::static_6, 4096, block({v, -v, .015625F, .0078125F}, 16)};
  CHECK(run(e, canonical) == Result{1, codes({7, 15, 7, 5}, 16)});
  CHECK(run(e, fos_pytorch) == Result{1, codes({8, 8, 7, 5}, 16)});
}

TEST_CASE("a tensor amax so small that 2688 / amax overflows") {
  const float a = 0x1p-126F;
  const Example e{"nvfp4", ScaleRule::static_6, a, block({a, -a / 2, a / 6}, 16)};
  CHECK(run(e, canonical) == Result{0x7e, codes({7, 13, 2}, 16)});
  CHECK(run(e, fos_pytorch) == Result{0x7f, std::vector<int>(16, 11)});
}

TEST_CASE("a tensor amax so large that the candidate values overflow") {
  // 4 is exact here: 1.5 and 3 have no twin on the grid of 6.
  const float a = 0x1p125F;
  const Example e{"nvfp4", ScaleRule::mse, a, block({a, a / 4 * 3, a / 2, -a / 4 * 3}, 16)};
  CHECK(run(e, canonical) == Result{0x7c, codes({6, 5, 4, 13}, 16)});
  CHECK(run(e, fos_pytorch) == Result{0x78, codes({7, 6, 5, 14}, 16)});
}

TEST_CASE("the order of the errors' sum") {
  const Example mse{
      "nvfp4",
      ScaleRule::mse,
      8,
      {5.5F, 2.5F, 5, -2, 6, 3.75F, 2, -1, -4.5F, .25F, -2, -.75F, 4.75F, 1.75F, 7.25F, 6.75F}};
  CHECK(run(mse, canonical) == Result{0x7b, {5, 3, 5, 10, 5, 4, 2, 9, 12, 0, 10, 9, 5, 2, 6, 6}});
  CHECK(run(mse, fos_pytorch) ==
        Result{0x76, {6, 4, 6, 11, 7, 5, 3, 10, 14, 0, 11, 9, 6, 3, 7, 7}});
  const Example mae{"if4",
                    ScaleRule::mae,
                    7,
                    {-1.5F, -3.75F, 1.75F, 2, .75F, 3.75F, 3.5F, .25F, 2.25F, -.75F, 2.5F, -2.75F,
                     2.5F, -4, 2.5F, 3.75F}};
  CHECK(run(mae, canonical) == Result{0xf8, {13, 9, 3, 4, 1, 7, 6, 0, 4, 15, 4, 11, 4, 9, 4, 7}});
  CHECK(run(mae, fos_pytorch) ==
        Result{0x78, {12, 15, 5, 5, 2, 7, 7, 1, 5, 10, 6, 14, 6, 15, 6, 7}});
}

TEST_CASE("the order of the errors' sum on a GPU") {
  const Example e{"nvfp4",
                  ScaleRule::mae,
                  4,
                  {2.75F, 3.5F, -.75F, -.5F, -.25F, -2, .25F, .75F, -.5F, -1.5F, -1.5F, 1.25F,
                   1.25F, -2.25F, 2, 3}};
  CHECK(run(e, canonical).scale == 0x7a);
  CHECK(run(e, fos_pytorch).scale == 0x7a);
  CHECK(run(e, fos_pytorch_cuda).scale == 0x76);
}

TEST_CASE("a scale above the largest") {
  // The caller's amax is a hundredth of the block's.
  const Example e{"nvfp4", ScaleRule::static_6, 1, block({100.0F, -1.0F, 1.0F / 6}, 16)};
  CHECK(run(e, canonical) == Result{0x7e, codes({7, 15, 2}, 16)});
  CHECK(run(e, fos_pytorch) == Result{0x7f, std::vector<int>(16, 11)});
  CHECK(run(e, fos_triton) == Result{0x7e, codes({7, 15, 2}, 16)});
}

TEST_CASE("the integer unit of IF6 E2M3") {
  const Example e{
      "if6_e2m3",
      ScaleRule::abs_max,
      2.25F,
      {-.5F, .5F, -.25F, 0, .25F, -.75F, .25F, -.25F, -.5F, -.5F, .25F, .5F, .5F, -.75F, 0, .25F}};
  CHECK(run(e, canonical).scale == 0x71);
  CHECK(run(e, fos_pytorch).scale == 0xf1);
}

TEST_CASE("stochastic rounding") {
  // 0.6 lies a fifth of the way from 0.5 to 1; 0 may not move; -0.2 goes to -0.5 or to -0.
  const Example e{"nvfp4", ScaleRule::static_6, 6, block({6.0F, .6F, .6F, 0, 0, -.2F, -.2F}, 16),
                  block({.5F, .1F, .9F, .4F, .6F, .3F, .7F}, 16)};
  Result exact{0x7e, codes({7, 2, 1, 0, 0, 9, 8}, 16)};
  CHECK(run(e, canonical) == exact);
  // The random numbers 0 that pad the block make -0 of 0.
  std::vector<int> jitter(16, 8);
  const std::vector<int> head{7, 1, 2, 8, 0, 8, 9};
  std::copy(head.begin(), head.end(), jitter.begin());
  CHECK(run(e, fos_pytorch) == Result{0x7e, jitter});
}

TEST_CASE("a block that needs the smallest MX scale") {
  const float b = 0x1p-125F;
  const Example e{"mxfp4", ScaleRule::static_6, 1, block({b, b / 2, -b / 4}, 32)};
  CHECK(run(e, canonical) == Result{0, codes({6, 4, 10}, 32)});
  CHECK(run(e, fos_pytorch) == Result{1, codes({4, 2, 9}, 32)});
  const Example tiny{"mxfp4", ScaleRule::static_6, 1, block({0x1p-149F}, 32)};
  CHECK(run(tiny, canonical) == Result{0, codes({}, 32)});
}

TEST_CASE("dequantization") {
  BlockTensor t;
  t.format = find_block_format("nvfp4");
  t.rows = 1;
  t.columns = 16;
  t.values.assign(8, 0x33);
  t.scales = {0x3b};  // 1.375
  t.amax = 1.0F;
  t.encode_constant = 2688.0F;
  std::vector<float> y(16);
  dequantize(t, y);
  CHECK(y[0] == 0x1.924924p-11F);
  dequantize(t, y, &fos_pytorch);
  CHECK(y[0] == 0x1.924924p-11F);
  dequantize(t, y, &fos_pytorch_cuda);
  CHECK(y[0] == 0x1.924926p-11F);
  // An integer block: 5 * 6/7 is rounded to half precision first.
  t.format = find_block_format("if4");
  t.values.assign(8, 0x55);
  t.scales = {0xb8};
  dequantize(t, y);
  CHECK(y[0] == static_cast<float>(30.0 / 7.0 / 2688.0));
  dequantize(t, y, &fos_pytorch);
  CHECK(y[0] == static_cast<float>(4.28515625 / 2688.0));
}

TEST_CASE("dialects with one MX rule") {
  const BlockFormat& mxfp4 = *find_block_format("mxfp4");
  CHECK(default_rule(mxfp4) == ScaleRule::floor);
  CHECK(is_valid_rule(mxfp4, ScaleRule::even));
  CHECK(default_rule(mxfp4, &fos_triton) == ScaleRule::static_6);
  CHECK_FALSE(is_valid_rule(mxfp4, ScaleRule::even, &fos_triton));
  const Example e{"mxfp4", ScaleRule::floor, 1, block({1.0F}, 32)};
  CHECK_THROWS_AS(run(e, fos_pytorch), Error);
}

TEST_CASE("orders of the errors' sum") {
  // 2^24 swallows a 1 that is added to it alone; only a pair that meets first survives.
  const auto with_ones = [](std::size_t size, std::size_t a, std::size_t b) {
    std::vector<float> e(size);
    e[0] = 0x1p24F;
    e[a] += 1.0F;
    e[b] += 1.0F;
    return e;
  };
  constexpr float lost = 0x1p24F;
  constexpr float kept = 0x1p24F + 2;
  const auto torch_cpu = [&](std::size_t size, std::size_t a, std::size_t b) {
    const auto e = with_ones(size, a, b);
    return detail::lanes_8_sum(e.data(), static_cast<int>(size));
  };
  // 16 elements: e[k] + e[k + 8], then in order.
  CHECK(torch_cpu(16, 1, 9) == kept);
  CHECK(torch_cpu(16, 1, 2) == lost);
  CHECK(torch_cpu(16, 8, 9) == lost);
  // 256: vectors v and v + 4 of a lane meet; vectors of other chains and other lanes do not.
  CHECK(torch_cpu(256, 2 * 8, 6 * 8) == kept);
  CHECK(torch_cpu(256, 3 * 8, 31 * 8) == kept);
  CHECK(torch_cpu(256, 1 * 8, 2 * 8) == lost);
  CHECK(torch_cpu(256, 4 * 8, 8 * 8) == lost);
  CHECK(torch_cpu(256, 3, 3 + 17 * 8) == kept);
  CHECK(torch_cpu(256, 3, 4) == lost);
  const auto torch_cuda = [&](std::size_t size, std::size_t a, std::size_t b) {
    const auto e = with_ones(size, a, b);
    return detail::partial_sums_tree(e.data(), static_cast<int>(size));
  };
  CHECK(torch_cuda(16, 2, 3) == kept);
  CHECK(torch_cuda(16, 1, 2) == lost);
  CHECK(torch_cuda(16, 8, 15) == kept);
  CHECK(torch_cuda(256, 32, 5 * 32) == kept);
  CHECK(torch_cuda(256, 32, 64) == lost);
  CHECK(torch_cuda(256, 2, 3 + 64) == kept);
  const auto triton = [&](int run, std::size_t a, std::size_t b) {
    const auto e = with_ones(16, a, b);
    return detail::runs_then_halves_sum(e.data(), 16, 16, run);
  };
  CHECK(triton(4, 4, 5) == kept);   // one thread
  CHECK(triton(4, 4, 12) == kept);  // threads 1 and 3 meet first
  CHECK(triton(4, 8, 4) == lost);   // thread 2 meets the large one
  CHECK(triton(8, 8, 15) == kept);
  CHECK(triton(8, 4, 12) == lost);
}

TEST_CASE("the table of axes: every value is printed, parsed, set and explained") {
  for (const Dialect& dialect : dialects()) {
    CHECK(find_dialect(dialect.name) == &dialect);
    for (const std::string_view text :
         {dialect.summary, dialect.library, dialect.versions, dialect.source}) {
      CHECK_FALSE(text.empty());
    }
  }
  CHECK(find_dialect("nothing") == nullptr);
  std::set<std::string_view> names;
  for (const DialectAxis& axis : dialect_axes()) {
    INFO(axis.name);
    CHECK(names.insert(axis.name).second);
    CHECK(find_dialect_axis(axis.name) == &axis);
    CHECK_FALSE(axis.meaning.empty());
    // Values are numbered as in the record, and axes do not touch each other.
    Dialect d = canonical;
    std::set<std::string_view> values;
    for (std::size_t v = 0; v < axis.values.size(); ++v) {
      CHECK(values.insert(axis.values[v].name).second);
      CHECK_FALSE(axis.values[v].meaning.empty());
      set_dialect_axis(d, std::string(axis.name) + "=" + std::string(axis.values[v].name));
      CHECK(axis.get(d) == v);
      CHECK(&axis.value_of(d) == &axis.values[v]);
      for (const DialectAxis& other : dialect_axes()) {
        if (&other != &axis) CHECK(other.get(d) == other.get(canonical));
      }
    }
  }
  // Every axis separates two dialects, so none is dead.
  for (const DialectAxis& axis : dialect_axes()) {
    std::set<int> seen;
    for (const Dialect& dialect : dialects()) seen.insert(axis.get(dialect));
    INFO(axis.name);
    CHECK(seen.size() > 1);
  }
  Dialect d = canonical;
  const auto refusal = [&](std::string_view text) {
    try {
      set_dialect_axis(d, text);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refusal("negative_zero=lost") ==
        "axis negative_zero has no value 'lost'; there are kept, dropped, all_dropped, "
        "zero_is_negative");
  CHECK(refusal("negative_zero").find("axis=value") != std::string::npos);
  CHECK(refusal("sign=kept").rfind("no dialect axis 'sign'; the nearest names are ", 0) == 0);
}

TEST_CASE("docs/dialects.md holds the tables as they are generated") {
  std::ifstream file(LOWBIT_DOCS_DIR "/dialects.md");
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  CHECK(page.find(dialect_tables()) != std::string::npos);
}
