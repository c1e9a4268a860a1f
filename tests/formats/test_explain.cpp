// SPDX-License-Identifier: MIT
// explain_block() against quantize() and trace_block(): every code that it prints is the block's,
// and the margin of a choice is that of the two errors. tests/cli/verify.py holds the text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "catch.hpp"
#include "lowbit/block_trace.hpp"
#include "lowbit/explain.hpp"

using namespace lowbit;

namespace {

const ExplainStep& step_named(const Explanation& e, const std::string& name) {
  const auto found = std::ranges::find(e.steps, name, &ExplainStep::name);
  REQUIRE(found != e.steps.end());
  return *found;
}

}  // namespace

TEST_CASE("the codes are those of the chosen candidate, the margin that of the errors") {
  constexpr std::size_t rows = 4;
  constexpr std::size_t columns = 96;
  std::mt19937 random(29);
  std::normal_distribution<float> normal;
  std::vector<float> x(rows * columns);
  for (float& v : x) v = normal(random);
  for (const char* format : {"nvfp4", "if4"}) {
    QuantizeOptions options;
    options.format = find_block_format(format);
    options.rule = ScaleRule::mse;
    const BlockTensor q = quantize(x, rows, columns, options);
    std::size_t chosen[2] = {};
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t block = 0; block < q.blocks_per_row(); ++block) {
        const Explanation e = explain_block(x, rows, columns, options, nullptr, row, block);
        for (std::size_t c = block * 16; c < (block + 1) * 16; ++c) {
          const std::string code = fmt::format("0x{:x} (", q.code(row, c));
          CHECK(step_named(e, fmt::format("column {}: code", c)).first.starts_with(code));
        }
        CHECK(step_named(e, "scale byte").first == fmt::format("0x{:02x}", q.scale(row, block)));
        const BlockTrace trace = trace_block(x, rows, columns, options, row, block);
        const double first = trace.candidates[0].error;
        const double second = trace.candidates[1].error;
        const double apart = 100.0 * std::abs(first - second) / std::max(first, second);
        const std::string margin = step_named(e, "chosen").margin;
        CHECK(std::stod(margin) == Approx(apart).epsilon(0.01).margin(0.001));
        CHECK(margin.ends_with(" % apart"));
        ++chosen[trace.chosen];
      }
    }
    CHECK((chosen[0] > 0 && chosen[1] > 0));
  }
}
