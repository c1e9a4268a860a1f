// SPDX-License-Identifier: MIT
// The search for inputs on which two dialects differ: what it finds shows the difference, and what
// it goes through is every BF16 number that it says.
#include <cmath>
#include <cstring>
#include <vector>

#include "catch.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/distinguish.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"

using namespace lowbit;

namespace {

DistinguishOptions options_of(const char* format, ScaleRule rule) {
  DistinguishOptions o;
  o.format = find_block_format(format);
  o.rule = rule;
  return o;
}

BlockTensor quantized(const Distinction& d, const DistinguishOptions& o, const Dialect& dialect) {
  QuantizeOptions q;
  q.format = o.format;
  q.rule = o.rule;
  q.dialect = &dialect;
  q.nonfinite = NonFinite::propagate;
  q.input_type = InputType::bfloat16;
  return quantize(d.values, d.values.size() / d.columns, d.columns, q);
}

/// What was found is a small BF16 tensor whose named block differs.
void check_found(const Distinction& d, const DistinguishOptions& o, const Dialect& a,
                 const Dialect& b, bool in_scale) {
  REQUIRE(d.found);
  CHECK(d.values.size() <= 3 * static_cast<std::size_t>(o.format->block_size));
  for (const float v : d.values) {
    CHECK((std::isnan(v) || round_to_input_type(v, InputType::bfloat16) == v));
  }
  const BlockTensor p = quantized(d, o, a);
  const BlockTensor q = quantized(d, o, b);
  CHECK((p.scale(0, d.block) != q.scale(0, d.block)) == in_scale);
  bool codes = false;
  const auto size = static_cast<std::size_t>(o.format->block_size);
  for (std::size_t c = d.block * size; c < (d.block + 1) * size; ++c) {
    codes = codes || p.code(0, c) != q.code(0, c);
  }
  CHECK((in_scale || codes));
  CHECK(d.what.starts_with(in_scale ? "scale byte 0x" : "column "));
}

}  // namespace

TEST_CASE("differences that few BF16 numbers show are found") {
  const DistinguishOptions o = options_of("nvfp4", ScaleRule::static_6);
  // h = b * (S * fl(1/6)) and h = (b / 6) * S: 139 of 139,328 pairs of significands and gaps.
  const Dialect& te = dialect_named("te_le_2.13");
  const Dialect& new_te = dialect_named("te_ge_2.14");
  check_found(distinguish(te, new_te, o), o, te, new_te, true);
  check_found(distinguish(new_te, te, o), o, new_te, te, true);
  // The multiplier alone: scale bytes are equal everywhere.
  const Dialect& tuned = dialect_named("te_tuned_2412");
  check_found(distinguish(te, tuned, o), o, te, tuned, false);
  // M = 448 * 2^-k has no rounding: only ties of elements differ.
  Dialect down = canonical;
  set_dialect_axis(down, "element_ties=toward_zero");
  check_found(distinguish(canonical, down, o), o, canonical, down, false);
}

TEST_CASE("edges are looked at first") {
  const DistinguishOptions o = options_of("nvfp4", ScaleRule::static_6);
  for (const char* change :
       {"negative_zero=dropped", "nonfinite=computed", "zero_scale=one", "empty_scale=bounded",
        "scale_floor=smallest_normal", "amax_range=unscaled"}) {
    CAPTURE(change);
    Dialect changed = canonical;
    set_dialect_axis(changed, change);
    const Distinction d = distinguish(canonical, changed, o);
    REQUIRE(d.found);
    CHECK(d.tried < 20000);
    const BlockTensor p = quantized(d, o, canonical);
    const BlockTensor q = quantized(d, o, changed);
    CHECK((p.scales != q.scales || p.values != q.values));
  }
}

TEST_CASE("rules that select are tried on random tensors") {
  const DistinguishOptions o = options_of("nvfp4", ScaleRule::mae);
  Dialect lanes = canonical;
  set_dialect_axis(lanes, "error_order=lanes_8");
  const Distinction d = distinguish(canonical, lanes, o);
  REQUIRE(d.found);
  CHECK_FALSE(d.exhausted);
  CHECK(d.values.size() <= 2 * 16);  // the amax and the block, of the 8 blocks tried
  CHECK(quantized(d, o, canonical).values != quantized(d, o, lanes).values);
  // The search says how much it tried, and no more than that.
  Dialect same = canonical;
  set_dialect_axis(same, "mx_range=wrapped");
  DistinguishOptions few = o;
  few.random_tensors = 10;
  const Distinction none = distinguish(canonical, same, few);
  CHECK_FALSE(none.found);
  CHECK_FALSE(none.exhausted);
  few.random_tensors = 20;
  CHECK(distinguish(canonical, same, few).tried - none.tried == 10 * 8 * (1 + 16));
}

TEST_CASE("every significand of A, b and the elements, in every binade that counts") {
  Dialect same = canonical;
  set_dialect_axis(same, "mx_range=wrapped");
  const DistinguishOptions o = options_of("nvfp4", ScaleRule::static_6);
  const Distinction d = distinguish(canonical, same, o);
  CHECK_FALSE(d.found);
  CHECK(d.exhausted);
  DistinguishOptions stopping = o;
  stopping.stop = [] { return true; };
  const Distinction edges = distinguish(canonical, same, stopping);
  CHECK_FALSE(edges.exhausted);
  // 128 significands of A; 20 binades of b, those above A left out; one block for each.
  std::size_t pairs = 0, code_blocks = 0;
  for (int m = 0; m < 128; ++m) {
    for (int gap = 0; gap < 20; ++gap) {
      for (int n = 0; n < 128; ++n) {
        if (gap == 0 && n > m) continue;
        ++pairs;
        // Elements: those of b's own binade up to b, and 5 binades below; 15 of them beside b.
        const int elements = (n + 1) + 5 * 128;
        code_blocks += static_cast<std::size_t>((elements + 14) / 15);
      }
    }
  }
  const std::size_t wanted = (pairs + code_blocks) * (1 + 16);
  CHECK(d.tried - edges.tried >= wanted);
  // A last block may hold b alone.
  CHECK(d.tried - edges.tried <= wanted + pairs * (1 + 16));
}

TEST_CASE("a pair that does not exist is refused") {
  const DistinguishOptions o = options_of("mxfp4", ScaleRule::even);
  CHECK_THROWS_AS(distinguish(canonical, dialect_named("quark_mxfp4_roundup"), o), Error);
}
