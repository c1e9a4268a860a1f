// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <bit>
#include <random>

#include "block_on_cpu.hpp"
#include "catch.hpp"

using namespace lowbit;
using namespace lowbit::gpu::detail;

namespace {

float to_bf16(float x) {
  std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  bits += 0x7FFF + (bits >> 16 & 1);
  return std::bit_cast<float>(bits & 0xFFFF0000U);
}

/// Inputs that stress different parts: which one is `kind`.
std::vector<float> make_input(int kind, std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(count);
  const float steps[] = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F, 0.5F, 1.0F, 3.0F, 6.0F, 4.0F};
  for (std::size_t i = 0; i < count; ++i) {
    float v = normal(random);
    switch (kind) {
      case 0: v = to_bf16(v); break;                                       // bf16: exact ties are common
      case 1: break;                                                       // FP32
      case 2: v = to_bf16(std::ldexp(v, static_cast<int>(random() % 60) - 30)); break;  // wide
      case 3: v = steps[random() % 12] * (random() % 2 ? 1.0F : -1.0F) * (i / 16 % 3 == 0 ? 1.0F : 1.0625F); break;
      case 4: v = std::ldexp(v, -140); break;                              // subnormal
      case 5: v = to_bf16(std::ldexp(v, 110)); break;
      case 6: v = random() % 4 == 0 ? -0.0F : (random() % 2 ? 1.0F : -3.0F); break;
      case 7: v = to_bf16(v) * (i % 4096 == 5 ? 3000.0F : 1.0F); break;    // outliers
      default: v = to_bf16(std::round(v * 4.0F)); break;                   // few values: error ties
    }
    x[i] = v;
  }
  return x;
}
constexpr int kinds = 9;

struct Difference {
  std::uint64_t bytes = 0;
  std::string first;
};

Difference compare(const BlockTensor& a, const BlockTensor& b) {
  Difference d;
  for (std::size_t i = 0; i < a.scales.size(); ++i) {
    if (a.scales[i] == b.scales[i]) continue;
    if (d.bytes++ == 0) d.first = fmt::format("scale {}: {:02x} instead of {:02x}", i, b.scales[i], a.scales[i]);
  }
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    if (a.values[i] == b.values[i]) continue;
    if (d.bytes++ == 0) d.first = fmt::format("value byte {}: {:02x} instead of {:02x}", i, b.values[i], a.values[i]);
  }
  return d;
}

template <class F, Selection kRule>
void check_nv(const char* format, ScaleRule rule, Selection at_run_time, std::size_t rows = 64) {
  constexpr std::size_t columns = 1000;
  for (int kind = 0; kind < kinds; ++kind) {
    for (int given = 0; given < 2; ++given) {
      const std::vector<float> x = make_input(kind, rows * columns, static_cast<std::uint64_t>(kind) + 17);
      QuantizeOptions options{.format = find_block_format(format), .rule = rule};
      const float measured = measure_amax(x, rows, columns, options);
      if (given == 1) options.amax = measured * 0.3F;
      const BlockTensor reference = quantize(x, rows, columns, options);
      const float amax = options.amax.value_or(measured);
      const float largest = rule == ScaleRule::static_4 ? 4.0F : options.format->largest_element();
      for (const bool force_exact : {false, true}) {
        BlockTensor ours = reference;
        quantize_on_cpu<F, kRule>(x, rows, columns, amax, largest, reference.encode_constant / largest, at_run_time,
                                  force_exact, ours);
        const Difference d = compare(reference, ours);
        INFO(format << ' ' << name_of(rule) << " input " << kind << " given " << given << " exact " << force_exact
                    << ": " << d.first);
        CHECK(d.bytes == 0);
      }
    }
  }
}

}  // namespace

TEST_CASE("the kernels' NV blocks are the reference's, byte for byte") {
  check_nv<Nvfp4, Selection::none>("nvfp4", ScaleRule::static_6, Selection::none);
  check_nv<Nvfp4, Selection::none>("nvfp4", ScaleRule::static_4, Selection::none);
  check_nv<Nvint4, Selection::none>("nvint4", ScaleRule::static_6, Selection::none);
}

TEST_CASE("the kernels' 4/6 and IF decisions are the reference's") {
  const auto all = []<class F>(std::type_identity<F>, const char* name) {
    check_nv<F, Selection::mse>(name, ScaleRule::mse, Selection::mse);
    check_nv<F, Selection::mae>(name, ScaleRule::mae, Selection::mae);
    check_nv<F, Selection::abs_max>(name, ScaleRule::abs_max, Selection::abs_max);
    check_nv<F, Selection::at_run_time>(name, ScaleRule::mse, Selection::mse, 8);
    check_nv<F, Selection::at_run_time>(name, ScaleRule::mae, Selection::mae, 8);
    check_nv<F, Selection::at_run_time>(name, ScaleRule::abs_max, Selection::abs_max, 8);
  };
  all(std::type_identity<Nvfp4>{}, "nvfp4");
  all(std::type_identity<If4>{}, "if4");
  all(std::type_identity<If3>{}, "if3");
  all(std::type_identity<If6E2M3>{}, "if6_e2m3");
  all(std::type_identity<If6E3M2>{}, "if6_e3m2");
}

TEST_CASE("the kernels' MX blocks are the reference's") {
  const auto all = []<class F>(std::type_identity<F>, const char* name) {
    const std::pair<ScaleRule, MxRule> rules[] = {{ScaleRule::floor, MxRule::floor},
                                                  {ScaleRule::rceil, MxRule::rceil},
                                                  {ScaleRule::ceil, MxRule::ceil},
                                                  {ScaleRule::even, MxRule::even},
                                                  {ScaleRule::static_6, MxRule::rceil},
                                                  {ScaleRule::static_4, MxRule::rceil_4}};
    constexpr std::size_t rows = 32;
    constexpr std::size_t columns = 1000;
    for (const auto& [rule, ours_rule] : rules) {
      const BlockFormat* format = find_block_format(name);
      if (!is_valid_rule(*format, rule)) continue;
      for (int kind = 0; kind < kinds; ++kind) {
        const std::vector<float> x = make_input(kind, rows * columns, static_cast<std::uint64_t>(kind) + 99);
        const BlockTensor reference = quantize(x, rows, columns, {.format = format, .rule = rule});
        BlockTensor ours = reference;
        quantize_mx_on_cpu<F>(x, rows, columns, ours_rule, ours);
        const Difference d = compare(reference, ours);
        INFO(name << ' ' << name_of(rule) << " input " << kind << ": " << d.first);
        CHECK(d.bytes == 0);
      }
    }
  };
  all(std::type_identity<Mxfp4>{}, "mxfp4");
  all(std::type_identity<Mxfp6E2M3>{}, "mxfp6_e2m3");
  all(std::type_identity<Mxfp6E3M2>{}, "mxfp6_e3m2");
  all(std::type_identity<Mxfp8E4M3>{}, "mxfp8_e4m3");
  all(std::type_identity<Mxfp8E5M2>{}, "mxfp8_e5m2");
}
