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
  const float steps[] = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F,
                         5.0F,  0.5F,  1.0F,  3.0F,  6.0F, 4.0F};
  for (std::size_t i = 0; i < count; ++i) {
    float v = normal(random);
    switch (kind) {
      case 0:
        v = to_bf16(v);
        break;  // bf16: exact ties are common
      case 1:
        break;  // FP32
      case 2:
        v = to_bf16(std::ldexp(v, static_cast<int>(random() % 60) - 30));
        break;  // wide
      case 3:
        v = steps[random() % 12] * (random() % 2 ? 1.0F : -1.0F) *
            (i / 16 % 3 == 0 ? 1.0F : 1.0625F);
        break;
      case 4:
        v = std::ldexp(v, -140);
        break;  // subnormal
      case 5:
        v = to_bf16(std::ldexp(v, 110));
        break;
      case 6:
        v = random() % 4 == 0 ? -0.0F : (random() % 2 ? 1.0F : -3.0F);
        break;
      case 7:
        v = to_bf16(v) * (i % 4096 == 5 ? 3000.0F : 1.0F);
        break;  // outliers
      case 8:
        v = to_bf16(std::round(v * 4.0F));
        break;  // few values: error ties
      case 9:
        v = to_bf16(std::ldexp(v, -60));
        break;  // out of range: the tables take the power of two
      case 10:
        v = to_bf16(std::ldexp(v, 85));
        break;
      case 11:
        v = std::ldexp(v, -60 - static_cast<int>(i / 16 % 40));
        break;  // down to blocks of scale 0
      default:
        v = to_bf16(std::ldexp(v, 122 - static_cast<int>(i / 16 % 40)));
        break;  // the same, out of the tables' range
    }
    x[i] = v;
  }
  return x;
}
constexpr int kinds = 13;

struct Difference {
  std::uint64_t bytes = 0;
  std::string first;
};

Difference compare(const BlockTensor& a, const BlockTensor& b) {
  Difference d;
  for (std::size_t i = 0; i < a.scales.size(); ++i) {
    if (a.scales[i] == b.scales[i]) continue;
    if (d.bytes++ == 0)
      d.first = fmt::format("scale {}: {:02x} instead of {:02x}", i, b.scales[i], a.scales[i]);
  }
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    if (a.values[i] == b.values[i]) continue;
    if (d.bytes++ == 0)
      d.first = fmt::format("value byte {}: {:02x} instead of {:02x}", i, b.values[i], a.values[i]);
  }
  return d;
}

template <class F, Selection kRule>
void check_nv(const char* format, ScaleRule rule, Selection at_run_time, std::size_t rows = 64) {
  constexpr std::size_t columns = 1000;
  for (int kind = 0; kind < kinds; ++kind) {
    for (int given = 0; given < 2; ++given) {
      const std::vector<float> x =
          make_input(kind, rows * columns, static_cast<std::uint64_t>(kind) + 17);
      QuantizeOptions options{.format = find_block_format(format), .rule = rule};
      const float measured = measure_amax(x, rows, columns, options);
      if (given == 1) options.amax = measured * 0.3F;
      const BlockTensor reference = quantize(x, rows, columns, options);
      const float amax = options.amax.value_or(measured);
      const float largest = rule == ScaleRule::static_4 ? 4.0F : options.format->largest_element();
      if constexpr (kRule == Selection::none || kRule == Selection::at_run_time) {
        for (const bool force_exact : {false, true}) {
          BlockTensor ours = reference;
          quantize_on_cpu<F, kRule>(x, rows, columns, amax, largest,
                                    reference.encode_constant / largest, at_run_time, force_exact,
                                    ours);
          const Difference d = compare(reference, ours);
          INFO(format << ' ' << name_of(rule) << " input " << kind << " given " << given
                      << " exact " << force_exact << ": " << d.first);
          CHECK(d.bytes == 0);
        }
      } else {
        BlockTensor ours = reference;
        const CpuCounts counts = quantize_fast_on_cpu<F, kRule>(
            x, rows, columns, amax, largest, reference.encode_constant / largest, ours);
        const Difference d = compare(reference, ours);
        INFO(format << ' ' << name_of(rule) << " input " << kind << " given " << given
                    << " fast: " << d.first);
        CHECK(d.bytes == 0);
        // Of a normal tensor, few blocks are left to the dialect's own operations: they take five
        // times as long.
        if (kind == 0 && given == 0) {
          INFO("undecided " << counts.undecided << " of " << counts.blocks);
          CHECK(counts.undecided * (F::four_over_six ? 200 : 40) < counts.blocks);
        }
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
    const std::pair<ScaleRule, MxRule> rules[] = {
        {ScaleRule::floor, MxRule::floor},    {ScaleRule::rceil, MxRule::rceil},
        {ScaleRule::ceil, MxRule::ceil},      {ScaleRule::even, MxRule::even},
        {ScaleRule::static_6, MxRule::rceil}, {ScaleRule::static_4, MxRule::rceil_4}};
    constexpr std::size_t rows = 32;
    constexpr std::size_t columns = 1000;
    for (const auto& [rule, ours_rule] : rules) {
      const BlockFormat* format = find_block_format(name);
      if (!is_valid_rule(*format, rule)) continue;
      for (int kind = 0; kind < kinds; ++kind) {
        const std::vector<float> x =
            make_input(kind, rows * columns, static_cast<std::uint64_t>(kind) + 99);
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

TEST_CASE("division by the constants as product and correction, for every significand") {
  // Q: 6, 4, 7.5, 28, 7. C: Q times 448 or 256, whose odd parts are those of Q, and 7 times them.
  for (const float c : {6.0F, 4.0F, 7.5F, 28.0F, 7.0F, 2688.0F, 1536.0F, 1792.0F, 1024.0F, 3360.0F,
                        1920.0F, 12544.0F, 7168.0F, 3136.0F}) {
    const float reciprocal = 1.0F / c;
    std::uint32_t wrong = 0;
    for (std::uint32_t significand = 0; significand < 0x800000; ++significand) {
      const float x = std::bit_cast<float>(0x3F800000U | significand);
      wrong += divide_by_constant(x, c, reciprocal) != x / c ? 1 : 0;
    }
    INFO(c);
    CHECK(wrong == 0);
    // Powers of two scale every step exactly, as far as nothing underflows; spot checks at the
    // ends.
    for (const float power : {0x1p-80F, 0x1p-40F, 0x1p60F}) {
      for (std::uint32_t significand = 0; significand < 0x800000; significand += 997) {
        const float x = std::bit_cast<float>(0x3F800000U | significand) * power;
        wrong += divide_by_constant(x, c, reciprocal) != x / c ? 1 : 0;
      }
    }
    CHECK(wrong == 0);
    CHECK(divide_by_constant(0.0F, c, reciprocal) == 0.0F);
  }
}

namespace {

/// Every float from 2^-6 to the limit, then every BF16 number times every scale byte's multiplier.
template <class E, class F>
void check_rounding(const ElementFormat& format, float limit) {
  std::uint32_t wrong = 0;
  const std::uint32_t end = std::bit_cast<std::uint32_t>(limit);
  std::uint32_t bits = 0x3C800000U;
  for (std::uint32_t code = 0; code < format.max_code(); ++code) {
    const float low = to_float(format, code);
    const float high = to_float(format, code + 1);
    const float middle = (low + high) / 2;  // exact
    const float at_tie = code % 2 == 0 ? low : high;
    CHECK(to_float(format, from_float(format, middle)) == at_tie);
    const bool last = code + 1 == format.max_code();
    for (; bits < end && (last || std::bit_cast<float>(bits) < high); ++bits) {
      const float y = std::bit_cast<float>(bits);
      const float expected = y < middle ? low : (y > middle ? high : at_tie);
      wrong += round_element<E>(y * E::scale) != expected * E::scale ? 1 : 0;
    }
  }
  CHECK(bits >= end);
  INFO(format.name);
  CHECK(wrong == 0);

  const TensorScale t = make_tensor_scale(5.6F, E::max, E::max * 448.0F, Selection::none);
  for (std::uint32_t byte = 1; byte < 127; ++byte) {
    const float inverse = make_scale_entry<F>(t, byte).inverse;
    for (std::uint32_t x = 0; x < 0x7F80; ++x) {
      const float y = std::bit_cast<float>(x << 16) * inverse;
      if (!(y < limit * E::scale)) break;
      wrong += round_element<E>(y) != to_float(format, from_float(format, y / E::scale)) * E::scale
                   ? 1
                   : 0;
    }
  }
  CHECK(wrong == 0);
}

/// Blocks on either side of the point where the choice changes: one element is moved there by
/// bisection of the reference's own decision. What the fast path decides there must be right, and
/// it must leave some undecided. All is times 2^exponent: the dialect takes the tensor into range
/// first where its amax is not.
template <class F, Selection kRule>
void check_boundary(const char* name, ScaleRule rule, int exponent = 0) {
  const BlockFormat* format = find_block_format(name);
  const float power = std::ldexp(1.0F, exponent);
  const float amax = 6.0F * power;
  const QuantizeOptions options{.format = format, .rule = rule, .amax = amax};
  const float largest = format->largest_element();
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  std::uint64_t boundaries = 0;
  std::uint64_t undecided = 0;
  std::uint64_t wrong = 0;
  std::string first;
  for (int trial = 0; trial < 1500; ++trial) {
    std::vector<float> x(16);
    for (float& v : x) v = normal(random);
    x[3] = std::copysign(trial % 3 == 0 ? 5.9F : 2.0F, x[3]);
    for (float& v : x) v = std::clamp(v, -5.95F, 5.95F) * power;
    const auto decision = [&] {
      const std::uint8_t scale = quantize(x, 1, 16, options).scales[0];
      return F::adaptive ? scale >> 7 : static_cast<int>(scale);
    };
    // Any element but the largest: the scale stays.
    const std::size_t moved = x[5] == x[3] ? 6 : 5;
    float low = 0.0F;
    float high = 1.9F * power;
    x[moved] = low;
    const int at_low = decision();
    x[moved] = high;
    if (decision() == at_low) continue;
    while (std::bit_cast<std::uint32_t>(high) - std::bit_cast<std::uint32_t>(low) > 1) {
      const float middle = std::bit_cast<float>(
          (std::bit_cast<std::uint32_t>(low) + std::bit_cast<std::uint32_t>(high)) / 2);
      x[moved] = middle;
      (decision() == at_low ? low : high) = middle;
    }
    ++boundaries;
    const auto centre = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(low));
    for (int step = -40; step <= 40; ++step) {
      // Close by one by one, then further away.
      const std::int32_t bits = centre + (std::abs(step) <= 16 ? step : step * step * step / 16);
      if (bits < 0) continue;
      x[moved] = std::bit_cast<float>(bits);
      const BlockTensor reference = quantize(x, 1, 16, options);
      BlockTensor ours = reference;
      const CpuCounts counts = quantize_fast_on_cpu<F, kRule>(
          x, 1, 16, amax, largest, reference.encode_constant / largest, ours);
      undecided += counts.undecided;
      const Difference d = compare(reference, ours);
      if (d.bytes != 0 && wrong++ == 0) first = d.first;
    }
  }
  INFO(name << ' ' << name_of(rule) << ": " << boundaries << " boundaries, " << undecided
            << " undecided, " << wrong << " wrong, first " << first);
  CHECK(boundaries > 2);
  CHECK(undecided > boundaries);
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("blocks at the point where the choice changes are left to the dialect's own operations") {
  const auto all = []<class F>(std::type_identity<F>, const char* name) {
    check_boundary<F, Selection::mse>(name, ScaleRule::mse);
    check_boundary<F, Selection::mae>(name, ScaleRule::mae);
    check_boundary<F, Selection::abs_max>(name, ScaleRule::abs_max);
    check_boundary<F, Selection::mse>(name, ScaleRule::mse, -60);
    check_boundary<F, Selection::abs_max>(name, ScaleRule::abs_max, -60);
    check_boundary<F, Selection::abs_max>(name, ScaleRule::abs_max, 70);
  };
  all(std::type_identity<Nvfp4>{}, "nvfp4");
  all(std::type_identity<If4>{}, "if4");
  all(std::type_identity<If3>{}, "if3");
  all(std::type_identity<If6E2M3>{}, "if6_e2m3");
  all(std::type_identity<If6E3M2>{}, "if6_e3m2");
}

TEST_CASE("NVFP4 abs_max: ties of one element, and another that exceeds it by a hair or does not") {
  const BlockFormat* format = find_block_format("nvfp4");
  const QuantizeOptions options{.format = format, .rule = ScaleRule::abs_max, .amax = 6.0F};
  const float constant = quantize(std::vector<float>(16, 1.0F), 1, 16, options).encode_constant;
  const TensorScale t = make_tensor_scale(6.0F, 6.0F, constant, Selection::abs_max);
  std::mt19937_64 random(11);
  std::uniform_real_distribution<float> uniform;
  std::uint64_t tried = 0;
  std::uint64_t undecided = 0;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::uint64_t wrong = 0;
  std::string difference;
  for (int trial = 0; trial < 4000; ++trial) {
    // Scales of 8, 10 and 12 (the significand), whose one and a half are scales too; and now and
    // then any.
    const std::uint32_t significand =
        trial % 8 == 0 ? static_cast<std::uint32_t>(random() % 8) : random() % 3 * 2;
    const std::uint32_t byte = (5 + static_cast<std::uint32_t>(random() % 9)) << 3 | significand;
    // One step of 1 in x, and an element that 6 s and 4 (1.5 s) tie on.
    const float unit = make_scale_entry<Nvfp4>(t, byte).unit * E2M1::scale;
    const float tied = 0.3F + 0.5F * uniform(random);
    std::vector<float> x(16);
    for (float& v : x) v = unit * (uniform(random) < 0.5F ? 0.0F : 2.8F * uniform(random));
    x[0] = unit * (5.9F + 0.2F * uniform(random));
    x[7] = unit * (6.0F - tied);
    // Another element that errs by as much under the first candidate: 4 + d or 4 - d; or 3 + d, a
    // tie below 3.75 itself.
    const float code = trial % 3 == 0 ? 3.0F : 4.0F;
    const float away = trial % 2 == 0 ? tied : -tied;
    float moved = code + away;
    if (trial % 5 == 0) {
      // One that errs most, by as much under either candidate, above and below.
      const float halfway[] = {5.25F, 4.25F, 2.625F};
      moved = halfway[random() % 3];
      for (float& v : x) v = unit * 0.1F * uniform(random);
      x[0] = unit * 6.0F;
    }
    const auto centre = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(unit * moved));
    for (int step = -24; step <= 24; ++step) {
      x[9] = std::bit_cast<float>(centre + (std::abs(step) <= 12 ? step : step * step * step / 8));
      if (std::fabs(x[9]) > 6.0F || std::fabs(x[0]) > 6.0F) continue;
      const BlockTensor reference = quantize(x, 1, 16, options);
      BlockTensor ours = reference;
      const CpuCounts counts = quantize_fast_on_cpu<Nvfp4, Selection::abs_max>(
          x, 1, 16, 6.0F, 6.0F, constant / 6.0F, ours);
      undecided += counts.undecided;
      tried += 1;
      (reference.scales[0] == byte ? first : second) += 1;
      const Difference d = compare(reference, ours);
      if (d.bytes != 0 && wrong++ == 0) difference = d.first;
    }
  }
  INFO(tried << " tried, " << undecided << " undecided, " << first << " by the first, " << second
             << " by the second, " << wrong << " wrong, first " << difference);
  CHECK(undecided > 1000);
  CHECK(first > 10000);
  CHECK(second > 10000);
  CHECK(wrong == 0);
}

TEST_CASE(
    "the selecting tables scale by the range's power of two exactly, or leave all blocks "
    "undecided") {
  const auto check = []<class F>(std::type_identity<F>) {
    const float largest = F::F::max;
    int undecided = 0;
    int wrong = 0;
    for (int exponent = -149; exponent < 128; ++exponent) {
      const TensorScale t = make_tensor_scale(std::ldexp(1.0F, exponent), largest, largest * 448.0F,
                                              Selection::abs_max);
      const int k = exponent < -32 || exponent > 32 ? -exponent : 0;
      const float s = fast::make_tensor(t).encode_scale;
      if (!std::isnan(s) && s != std::ldexp(double{t.encode_scale}, k)) ++wrong;
      for (std::uint32_t byte = 1; byte < 127; ++byte) {
        const auto entry = fast::make_entry<F, Selection::abs_max>(t, byte);
        if (std::isnan(entry.inverse) != std::isnan(s)) ++wrong;
        if (std::isnan(entry.inverse)) {
          ++undecided;
          continue;
        }
        const double inverse = make_scale_entry<F>(t, byte).inverse;
        if (!std::isnormal(entry.inverse) || entry.inverse != std::ldexp(inverse, k)) ++wrong;
        if constexpr (fast::compares_largest<F, Selection::abs_max>) {
          const double value = F::F::max * to_float(e4m3, byte) / s;
          if (std::fabs(entry.largest_float / value - 1) > 1e-6 ||
              std::fabs(entry.largest_integer / value - 1) > 1e-6)
            ++wrong;
        }
      }
    }
    CHECK(wrong == 0);
    CHECK(undecided < 126 * 100);
  };
  check(std::type_identity<Nvfp4>{});
  check(std::type_identity<If4>{});
  check(std::type_identity<If3>{});
  check(std::type_identity<If6E2M3>{});
  check(std::type_identity<If6E3M2>{});
}

TEST_CASE("zero blocks are decided") {
  std::vector<float> x(64 * 16);
  x[17] = 3.0F;
  const BlockTensor reference =
      quantize(x, 64, 16, {.format = find_block_format("nvfp4"), .rule = ScaleRule::abs_max});
  BlockTensor ours = reference;
  const CpuCounts counts = quantize_fast_on_cpu<Nvfp4, Selection::abs_max>(
      x, 64, 16, 3.0F, 6.0F, reference.encode_constant / 6.0F, ours);
  CHECK(counts.undecided <= 1);
  CHECK(compare(reference, ours).bytes == 0);
}

TEST_CASE(
    "NVFP4: codes times two scales are the same number, or differ by a thirtieth of the lower "
    "scale") {
  double least = 1.0;
  for (std::uint32_t byte = 1; byte < 127; ++byte) {
    for (std::uint32_t byte2 = byte; byte2 < 127; ++byte2) {
      const double s = to_float(e4m3, byte);
      const double s2 = to_float(e4m3, byte2);
      for (std::uint32_t code = 0; code <= e2m1.max_code(); ++code) {
        for (std::uint32_t code2 = 0; code2 <= e2m1.max_code(); ++code2) {
          const double difference =
              std::fabs(to_float(e2m1, code) * s - to_float(e2m1, code2) * s2) / s;
          if (difference != 0) least = std::min(least, difference);
        }
      }
    }
  }
  CHECK(least == 1.0 / 30);
}

TEST_CASE("elements round as the format's one conversion routine rounds") {
  check_rounding<E2M1, Nvfp4>(e2m1, 7.0F);
  check_rounding<E2M0, If3>(e2m0, 6.0F);
  check_rounding<E2M3, If6E2M3>(e2m3, 7.75F);
  check_rounding<E3M2, If6E3M2>(e3m2, 30.0F);
}
