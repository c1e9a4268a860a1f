// SPDX-License-Identifier: MIT
// Vector kernels that let two candidates compete, in the blocks where the decision is closest.
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "catch.hpp"
#include "formats/vector_cases.hpp"
#include "formats/vector_runs.hpp"

namespace {

using namespace lowbit;
using namespace lowbit::detail;
using namespace lowbit::cases;

}  // namespace

TEST_CASE("selection in amdfp4 on small tensors, in the blocks of the least normal scales") {
  // There the scalar engine's squares of errors leave the normal numbers first: not before A is
  // below 2^-16, where the kernels end.
  constexpr std::size_t blocks = 2048;
  const auto scratch = std::make_unique<BlockScratch>();
  const BlockFormat* const format = find_block_format("amdfp4");
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  std::size_t served = 0;
  for (const ScaleRule rule : {ScaleRule::mse, ScaleRule::mae, ScaleRule::abs_max}) {
    const Request request{format, rule, &canonical};
    for (int exponent = -12; exponent >= -32; exponent -= 2) {
      const float amax = std::ldexp(1.25F, exponent);
      std::vector<float> x(16 * blocks);
      for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] = std::ldexp(normal(random), exponent - 26 - static_cast<int>(i / 16 % 8));
      }
      const TensorConstants t = request.constants(amax);
      if (vector_engine(t) == nullptr) continue;
      ++served;
      const Coded wanted = run_engine(scalar_engine(*format), t, x.data(), blocks, *scratch);
      for (const VectorTarget& target : vector_targets()) {
        const Forced forced(target);
        INFO(target.name << ": " << request.name() << ", amax 1.25 * 2^" << exponent);
        CHECK(run_engine(*vector_engine(t), t, x.data(), blocks, *scratch) == wanted);
      }
    }
  }
  CHECK(served == 9);
}

namespace {

/// A block of `rows` rows: its first elements are those of `second`, then one is between both, and
/// with the next number of that one the other candidate would win. Errors of the two candidates
/// are then equal but for roundings, so that the order of their sums decides. Empty where both
/// blocks have the same winner.
std::vector<float> block_between(const TensorConstants& t, std::size_t rows,
                                 const std::vector<float>& first, const std::vector<float>& second,
                                 BlockScratch& scratch) {
  std::vector<float> x;
  const auto winner = [&] {
    return run_engine(scalar_engine(*t.format), t, x.data(), 1, scratch, rows).choices[0];
  };
  x = second;
  const BlockChoice after = winner();
  x = first;
  if (winner() == after) return {};
  // With `few` elements of `second` the winner is that of `first`, with `many` it is not.
  std::size_t few = 0, many = first.size();
  while (many - few > 1) {
    const std::size_t middle = std::midpoint(few, many);
    std::copy(first.begin(), first.end(), x.begin());
    std::copy_n(second.begin(), middle, x.begin());
    (winner() == after ? many : few) = middle;
  }
  std::copy(first.begin(), first.end(), x.begin());
  std::copy_n(second.begin(), few, x.begin());
  auto low = std::bit_cast<std::uint32_t>(first[few]);
  auto high = std::bit_cast<std::uint32_t>(second[few]);
  while (std::max(low, high) - std::min(low, high) > 1) {
    const std::uint32_t middle = std::midpoint(low, high);
    x[few] = std::bit_cast<float>(middle);
    (winner() == after ? high : low) = middle;
  }
  x[few] = std::bit_cast<float>(low);
  return x;
}

}  // namespace

TEST_CASE("blocks whose candidates have the same error but for roundings") {
  constexpr std::size_t blocks = is_sanitized ? 2 : 5;
  const auto scratch = std::make_unique<BlockScratch>();
  std::size_t served = 0, found = 0;
  for (const Request& request : served_requests()) {
    const TensorConstants t = request.constants(8.0F);
    if (!t.selects || vector_engine(t) == nullptr) continue;
    if (is_sanitized && !request.is_canonical()) continue;
    const std::size_t size = request.block_size();
    for (const std::size_t rows : {std::size_t{1}, size}) {
      ++served;
      std::mt19937 random(7);
      std::normal_distribution<float> normal(0.0F, 1.0F);
      std::vector<float> x;
      for (int attempt = 0; attempt < 200 && x.size() < blocks * rows * size; ++attempt) {
        std::vector<float> first(rows * size), second(rows * size);
        for (std::vector<float>* const block : {&first, &second}) {
          const float width = static_cast<float>(1 + random() % 8) / 16.0F;
          for (float& v : *block) v = std::fmin(std::fabs(width * normal(random)), 0.9F);
        }
        first[0] = second[0] = 1.0F;
        const std::vector<float> between = block_between(t, rows, first, second, *scratch);
        x.insert(x.end(), between.begin(), between.end());
      }
      const std::size_t made = x.size() / (rows * size);
      found += made;
      const Coded wanted = run_engine(scalar_engine(*t.format), t, x.data(), made, *scratch, rows);
      for (const VectorTarget& target : vector_targets()) {
        const Forced forced(target);
        INFO(target.name << ": " << request.name() << ", rows per block: " << rows);
        REQUIRE(run_engine(*vector_engine(t), t, x.data(), made, *scratch, rows) == wanted);
      }
    }
  }
  // Some requests hardly ever prefer one of the two.
  CHECK(10 * found > 9 * served * blocks);
}
