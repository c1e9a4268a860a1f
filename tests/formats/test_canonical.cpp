// SPDX-License-Identifier: MIT
// The canonical dialect against the exact oracle, decision by decision: scale bytes, codes, which
// candidate won, and dequantized values, for every format and rule.
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <sstream>
#include <vector>

#include "catch.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/quantize.hpp"
#include "oracle/canonical_oracle.hpp"

using namespace lowbit;

namespace {

constexpr int rows = 16;
constexpr int columns = 40;  // the last block of 16 or 32 is partial

using Generator = std::mt19937;

struct InputKind {
  const char* name;
  std::function<float(Generator&, int row, int column)> value;
};

std::uint32_t bits(Generator& g) {
  return static_cast<std::uint32_t>(g());
}
float bf16_value(std::uint32_t code) {
  return std::bit_cast<float>(code << 16);
}

/// What hides in Gaussian noise: exact ties (few mantissa bits and a round amax), wide ranges,
/// subnormals, scales that vanish, zeros of both signs, and candidates with equal errors.
const std::vector<InputKind>& input_kinds() {
  static const std::vector<InputKind> kinds{
      {"bf16 in a narrow band",
       [](Generator& g, int, int) {
         return bf16_value((bits(g) & 0x8000U) | (0x3C00U + bits(g) % 0x500U));
       }},
      {"ties of a tensor whose encode scale is a power of two",
       [](Generator& g, int r, int c) {
         if (r == 0 && c == 0) return 2688.0F;
         const int quarter = static_cast<int>(g() % 49) - 24;
         return std::ldexp(static_cast<float>(quarter), (r % 12) - 4);
       }},
      {"raw finite bits",
       [](Generator& g, int, int) {
         std::uint32_t raw = bits(g);
         if ((raw & 0x7F800000U) == 0x7F800000U) raw &= 0xFF7FFFFFU;
         return std::bit_cast<float>(raw);
       }},
      {"subnormal",
       [](Generator& g, int r, int) {
         return std::bit_cast<float>((bits(g) & 0x80000000U) | (bits(g) & 0xFFFFFU) >> (r % 16));
       }},
      {"near the largest float",
       [](Generator& g, int r, int) {
         return bf16_value((bits(g) & 0x8000U) | (0x7F7FU - bits(g) % 0x180U -
                                                  static_cast<std::uint32_t>(r % 3) * 0x100U));
       }},
      {"blocks over 40 binades, zeros of both signs, rows of zeros",
       [](Generator& g, int r, int c) {
         if (r % 5 == 4 || g() % 3 == 0) return g() % 2 == 0 ? 0.0F : -0.0F;
         const float x = static_cast<float>(static_cast<int>(g() % 255) - 127);
         return std::ldexp(x, -3 * r + (c / 16) * 5);
       }},
      {"few distinct magnitudes",
       [](Generator& g, int r, int) {
         const float x = static_cast<float>(1 + bits(g) % static_cast<std::uint32_t>(r + 2)) / 4.0F;
         return g() % 2 == 0 ? x : -x;
       }},
  };
  return kinds;
}

std::vector<float> make_input(const InputKind& kind, unsigned seed,
                              InputType type = InputType::float32) {
  Generator g(seed);
  std::vector<float> x;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const float v = kind.value(g, r, c);
      const ElementFormat& to = type == InputType::float16 ? f16 : bf16;
      x.push_back(type == InputType::float32 ? v : to_float(to, from_float(to, v)));
    }
  }
  return x;
}

struct Setting {
  bool block_2d = false;
  bool hadamard = false;
  InputType type = InputType::float32;
  ElementRounding rounding = ElementRounding::nearest;
  int scale_max = 0;
  bool propagate = false;
  std::optional<float> amax{};
};

/// One line for the first difference, empty if there is none.
std::string first_difference(const BlockFormat& format, ScaleRule rule, const Setting& setting,
                             const std::vector<float>& input, int width, unsigned seed) {
  const int height = static_cast<int>(input.size()) / width;
  const int blocks = (width + format.block_size - 1) / format.block_size;
  const int padded = blocks * format.block_size;
  oracle::Request request;
  request.format = format.name;
  request.rule = name_of(rule);
  request.block_2d = setting.block_2d;
  request.hadamard = setting.hadamard;
  request.scale_max = setting.scale_max;
  request.amax = setting.amax;
  request.input_type = setting.type == InputType::float16    ? "f16"
                       : setting.type == InputType::bfloat16 ? "bf16"
                                                             : "f32";
  QuantizeOptions options;
  options.format = &format;
  options.rule = rule;
  options.block_2d = setting.block_2d;
  if (setting.hadamard) options.transforms = {hadamard()};
  options.input_type = setting.type;
  options.rounding = setting.rounding;
  options.amax = setting.amax;
  if (setting.propagate) options.nonfinite = NonFinite::propagate;
  if (setting.scale_max != 0) options.scale_max = static_cast<float>(setting.scale_max);
  if (setting.rounding != ElementRounding::nearest) {
    request.rounding =
        setting.rounding == ElementRounding::stochastic ? "stochastic" : "stochastic_unbiased";
    Generator g(seed + 99);
    for (int i = 0; i < height * padded; ++i) {
      // Draws on a coarse grid meet the fractions of the ties exactly.
      request.random0.push_back(static_cast<float>(g() % 64) / 64.0F);
      request.random1.push_back(static_cast<float>(g() >> 8) * 0x1p-24F);
    }
    options.random0 = request.random0;
    options.random1 = request.random1;
  }

  const oracle::Result want = oracle::quantize_canonical(input, height, width, request);
  std::vector<BlockChoice> choices(static_cast<std::size_t>(height * blocks));
  const BlockTensor got = quantize(input, static_cast<std::size_t>(height),
                                   static_cast<std::size_t>(width), options, choices);
  std::vector<float> values(static_cast<std::size_t>(height * width));
  dequantize(got, values);

  std::ostringstream s;
  s << format.name << ':' << name_of(rule) << " 2d " << setting.block_2d << " rht "
    << setting.hadamard << " rounding " << static_cast<int>(setting.rounding) << " M "
    << setting.scale_max << ' ';
  if (std::bit_cast<std::uint32_t>(got.amax) != std::bit_cast<std::uint32_t>(want.amax)) {
    s << "amax " << got.amax << ", not " << want.amax;
    return s.str();
  }
  for (int r = 0; r < height; ++r) {
    for (int block = 0; block < blocks; ++block) {
      const auto i = static_cast<std::size_t>(r * blocks + block);
      s << std::hex;
      if (got.scales[i] != want.scales[i]) {
        s << "scale of row " << r << " block " << block << ": " << +got.scales[i] << ", not "
          << +want.scales[i];
        return s.str();
      }
      const bool second = choices[i] == BlockChoice::four || choices[i] == BlockChoice::integer;
      if (second != (want.second[i] != 0)) {
        s << "choice of row " << r << " block " << block;
        return s.str();
      }
    }
    for (int c = 0; c < width; ++c) {
      const auto code = got.code(static_cast<std::size_t>(r), static_cast<std::size_t>(c));
      const auto at = static_cast<std::size_t>(r * padded + c);
      if (code != want.codes[at]) {
        s << "code of row " << r << " column " << c << ": " << +code << ", not " << +want.codes[at];
        return s.str();
      }
      const float value = values[static_cast<std::size_t>(r * width + c)];
      const bool same = std::bit_cast<std::uint32_t>(value) ==
                            std::bit_cast<std::uint32_t>(want.dequantized[at]) ||
                        (std::isnan(value) && std::isnan(want.dequantized[at]));
      if (!same) {
        s << std::hexfloat << "value of row " << r << " column " << c << ": " << value << ", not "
          << want.dequantized[at];
        return s.str();
      }
    }
  }
  return "";
}

constexpr ScaleRule all_rules[] = {ScaleRule::static_6, ScaleRule::static_4, ScaleRule::mse,
                                   ScaleRule::mae,      ScaleRule::abs_max,  ScaleRule::floor,
                                   ScaleRule::rceil,    ScaleRule::ceil,     ScaleRule::even};

void for_every_pair(const std::function<void(const BlockFormat&, ScaleRule)>& body) {
  int pairs = 0;
  for (const BlockFormat& format : block_formats()) {
    for (const ScaleRule rule : all_rules) {
      if (!is_valid_rule(format, rule)) continue;
      body(format, rule);
      ++pairs;
    }
  }
  CHECK(pairs > 60);
}

}  // namespace

TEST_CASE("canonical: every format and rule on every kind of input", "[exhaustive]") {
  for_every_pair([](const BlockFormat& format, ScaleRule rule) {
    unsigned seed = 1;
    for (const InputKind& kind : input_kinds()) {
      INFO(kind.name);
      const std::string difference =
          first_difference(format, rule, {}, make_input(kind, seed), columns, seed);
      CHECK(difference == "");
      ++seed;
    }
  });
}

TEST_CASE("canonical: square blocks, partial ones at both edges") {
  for_every_pair([](const BlockFormat& format, ScaleRule rule) {
    const auto input = make_input(input_kinds()[0], 7);
    CHECK(first_difference(format, rule, {.block_2d = true}, input, columns, 7) == "");
    const auto wide = make_input(input_kinds()[5], 8);
    CHECK(first_difference(format, rule, {.block_2d = true}, wide, 32, 8) == "");
  });
}

TEST_CASE("canonical: the Hadamard transform rounds to the input's type", "[exhaustive]") {
  for_every_pair([](const BlockFormat& format, ScaleRule rule) {
    for (const InputType type : {InputType::float32, InputType::float16, InputType::bfloat16}) {
      const auto input = make_input(input_kinds()[0], 11, type);
      CHECK(first_difference(format, rule, {.hadamard = true, .type = type}, input, 32, 11) == "");
    }
  });
}

TEST_CASE("canonical: stochastic rounding with given numbers, and its unbiased form") {
  for_every_pair([](const BlockFormat& format, ScaleRule rule) {
    for (const ElementRounding rounding :
         {ElementRounding::stochastic, ElementRounding::stochastic_unbiased}) {
      const auto input = make_input(input_kinds()[1], 13);
      CHECK(first_difference(format, rule, {.rounding = rounding}, input, columns, 13) == "");
    }
  });
}

TEST_CASE("canonical: given amax, and either E4M3 maximum") {
  for_every_pair([](const BlockFormat& format, ScaleRule rule) {
    if (format.family() == ScaleFamily::mx) return;
    const auto input = make_input(input_kinds()[0], 17);
    for (const int scale_max : {256, 448}) {
      CHECK(first_difference(format, rule, {.scale_max = scale_max}, input, columns, 17) == "");
    }
    // Half of the real amax: blocks saturate. Twenty times it: scales become subnormal.
    for (const float amax : {8.0F, 1000.0F, 0x1p60F}) {
      CHECK(first_difference(format, rule, {.amax = amax}, input, columns, 17) == "");
    }
  });
}

TEST_CASE("canonical: a block with a NaN or an infinity is marked, the others are not touched") {
  for_every_pair([](const BlockFormat& format, ScaleRule rule) {
    auto input = make_input(input_kinds()[0], 19);
    input[3] = std::nanf("");
    input[5 * columns + 20] = std::numeric_limits<float>::infinity();
    input[9 * columns + 39] = -std::numeric_limits<float>::infinity();
    for (const bool block_2d : {false, true}) {
      const Setting setting{.block_2d = block_2d, .propagate = true};
      CHECK(first_difference(format, rule, setting, input, columns, 19) == "");
    }
  });
}

TEST_CASE("canonical: saturation replaces infinities by the input type's largest, NaN by zero") {
  for_every_pair([](const BlockFormat& format, ScaleRule rule) {
    for (const InputType type : {InputType::float32, InputType::float16, InputType::bfloat16}) {
      const float largest = type == InputType::float16    ? 65504.0F
                            : type == InputType::bfloat16 ? 0x1.FEp127F
                                                          : std::numeric_limits<float>::max();
      auto input = make_input(input_kinds()[0], 23, type);
      auto replaced = input;
      input[3] = std::nanf("");
      replaced[3] = 0.0F;
      input[100] = -std::numeric_limits<float>::infinity();
      replaced[100] = -largest;
      QuantizeOptions options;
      options.format = &format;
      options.rule = rule;
      options.input_type = type;
      const BlockTensor want = quantize(replaced, rows, columns, options);
      options.nonfinite = NonFinite::saturate;
      const BlockTensor got = quantize(input, rows, columns, options);
      CHECK(got.values == want.values);
      CHECK(got.scales == want.scales);
      CHECK(got.amax == want.amax);
      options.nonfinite = NonFinite::error;
      CHECK_THROWS_AS(quantize(input, rows, columns, options), Error);
    }
  });
}
