// SPDX-License-Identifier: MIT
// The canonical dialect against the exact oracle, decision by decision: scale bytes, codes, which
// candidate won, and dequantized values, for every format and rule.
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <sstream>
#include <vector>

#include "catch.hpp"
#include "lowbit/block_encoder.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
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
    if (format.has_levels()) continue;
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

TEST_CASE("canonical: given amax, and either largest scale") {
  for_every_pair([](const BlockFormat& format, ScaleRule rule) {
    if (format.family() == ScaleFamily::mx) return;
    const auto input = make_input(input_kinds()[0], 17);
    for (const float m : {format.headroom_scale(), format.largest_scale()}) {
      const int scale_max = static_cast<int>(m);
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

namespace {

/// A format that exists only here: one record is all that a new block format of known elements
/// needs.
constexpr BlockFormat added{"test_e2m1_e5m2", &e2m1, nullptr, &e5m2, 32};

constexpr std::array added_rules{ScaleRule::static_6, ScaleRule::static_4, ScaleRule::mse,
                                 ScaleRule::mae, ScaleRule::abs_max};

}  // namespace

TEST_CASE("a block format that is one record: quantized and dequantized as the oracle does") {
  CHECK(added.family() == ScaleFamily::nv);
  CHECK(added.largest_scale() == 57344.0F);
  CHECK(added.headroom_scale() == 32768.0F);
  CHECK(default_rule(added) == ScaleRule::static_6);
  CHECK(default_scale_max(added, ScaleRule::mse) == 32768.0F);
  for (const ScaleRule rule : added_rules) {
    REQUIRE(is_valid_rule(added, rule));
    unsigned seed = 100;
    for (const InputKind& kind : input_kinds()) {
      INFO(kind.name);
      const auto input = make_input(kind, seed++);
      CHECK(first_difference(added, rule, {}, input, columns, seed) == "");
    }
    const auto input = make_input(input_kinds()[0], 7);
    CHECK(first_difference(added, rule, {.block_2d = true}, input, columns, 7) == "");
    CHECK(first_difference(added, rule, {.hadamard = true}, input, 32, 7) == "");
    CHECK(first_difference(added, rule, {.scale_max = 57344}, input, columns, 7) == "");
    for (const float amax : {8.0F, 1000.0F, 0x1p60F}) {
      CHECK(first_difference(added, rule, {.amax = amax}, input, columns, 7) == "");
    }
    auto with_nan = input;
    with_nan[3] = std::nanf("");
    CHECK(first_difference(added, rule, {.propagate = true}, with_nan, columns, 7) == "");
  }
}

TEST_CASE("a block format that is one record: evaluated as the oracle's values say") {
  const auto input = make_input(input_kinds()[0], 21);
  TensorInfo tensor;
  tensor.name = "x";
  tensor.dtype = &dtype_f32;
  tensor.shape = {rows, columns};
  tensor.bytes = std::as_bytes(std::span(input));
  for (const ScaleRule rule : added_rules) {
    QuantizeOptions options;
    options.format = &added;
    options.rule = rule;
    const std::vector<ErrorStatistics> got = evaluate(tensor, std::span(&options, 1), {});
    oracle::Request request;
    request.format = added.name;
    request.rule = name_of(rule);
    const oracle::Result want = oracle::quantize_canonical(input, rows, columns, request);
    const int padded = (columns + added.block_size - 1) / added.block_size * added.block_size;
    // In sixteen lanes, by the place in the block, which are then folded in halves
    // (docs/performance.md).
    std::array<double, 16> lanes{};
    std::uint64_t zeroed = 0, second = 0;
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < columns; ++c) {
        const double x = input[static_cast<std::size_t>(r * columns + c)];
        const double q = want.dequantized[static_cast<std::size_t>(r * padded + c)];
        lanes[static_cast<std::size_t>(c) % 16] += (q - x) * (q - x);
        zeroed += x != 0.0 && q == 0.0 ? 1 : 0;
      }
    }
    for (const std::uint8_t s : want.second) second += s;
    for (std::size_t n = 8; n > 0; n /= 2) {
      for (std::size_t i = 0; i < n; ++i) lanes[i] += lanes[i + n];
    }
    CHECK(got[0].squared_error == lanes[0]);
    CHECK(got[0].zeroed == zeroed);
    CHECK(got[0].four_or_int == second);
    CHECK(got[0].blocks == want.scales.size());
    CHECK(got[0].bits == want.scales.size() * (32 * 4 + 8) + 32);
  }
}

TEST_CASE("scale and codes apart are what quantize does") {
  for_every_pair([](const BlockFormat& format, ScaleRule rule) {
    const auto input = make_input(input_kinds()[0], 31);
    QuantizeOptions options;
    options.format = &format;
    options.rule = rule;
    for (const float amax : {8.0F, 1000.0F, 0x1p60F}) {
      options.amax = amax;
      const BlockTensor whole = quantize(input, rows, columns, options);
      BlockEncoder encoder(options, amax);
      const auto size = static_cast<std::size_t>(format.block_size);
      std::vector<float> block(size);
      std::vector<std::uint8_t> codes(size);
      std::size_t different = 0;
      for (std::size_t r = 0; r < whole.rows; ++r) {
        for (std::size_t k = 0; k < whole.blocks_per_row(); ++k) {
          for (std::size_t i = 0; i < size; ++i) {
            const std::size_t c = k * size + i;
            block[i] = c < whole.columns ? input[r * whole.columns + c] : 0.0F;
          }
          const std::uint8_t scale = encoder.choose_scale(block);
          encoder.encode(scale, block, codes);
          different += scale != whole.scale(r, k) ? 1 : 0;
          for (std::size_t i = 0; i < size && k * size + i < whole.columns; ++i) {
            different += codes[i] != whole.code(r, k * size + i) ? 1 : 0;
          }
        }
      }
      INFO(format.name << ':' << name_of(rule) << " amax " << amax);
      CHECK(different == 0);
      CHECK(encoder.encode_constant() == whole.encode_constant);
    }
  });
}

TEST_CASE("a record that the engines cannot serve is refused") {
  const std::vector<float> x(256, 1.0F);
  const auto refusal = [&](const BlockFormat& format) {
    QuantizeOptions options;
    options.format = &format;
    try {
      (void)quantize(x, 1, x.size(), options);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
      return std::string(error.what());
    }
    return std::string();
  };
  BlockFormat f = added;
  f.name = "mine";
  f.block_size = max_block_size;
  CHECK(refusal(f).empty());
  f.block_size = max_block_size * 2;
  CHECK(refusal(f) == "block format mine: its block size is out of range");
  f.block_size = 0;
  CHECK(refusal(f) == "block format mine: its block size is out of range");
  f.block_size = 15;
  CHECK(refusal(f) == "block format mine: 4-bit codes need an even block size");
  f.block_size = 32;
  f.scale = &f16;
  CHECK(refusal(f) == "block format mine: its scale has more than 8 bits");
  f.scale = &int8;
  CHECK(refusal(f) == "block format mine: its scale is an integer format");
  f.scale = nullptr;
  CHECK(refusal(f) == "block format mine: it has no scale format");
  f.scale = &ue4m3;
  CHECK(refusal(f).empty());
  f.integer = &int4;
  CHECK(refusal(f) == "block format mine: its scale has no sign bit for the flag");
  f.scale = &e4m3;
  CHECK(refusal(f).empty());
  f.integer = &int3;
  CHECK(refusal(f) ==
        "block format mine: its integer elements have another number of bits than its float ones");
  f.integer = nullptr;
  f.element = &bf16;
  CHECK(refusal(f) == "block format mine: its elements have more than 8 bits");
  f.element = &ue4m3;
  CHECK(refusal(f) == "block format mine: no engine quantizes to elements of ue4m3");
}

TEST_CASE("square blocks of the largest size fit the engines' buffers") {
  BlockFormat f = added;
  f.block_size = max_block_size;
  const auto side = static_cast<std::size_t>(max_block_size);
  std::vector<float> x(side * side);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 97) - 48.0F;
  for (const Dialect& dialect : dialects()) {
    QuantizeOptions options;
    options.format = &f;
    options.rule = ScaleRule::mse;
    options.dialect = &dialect;
    options.block_2d = true;
    const BlockTensor q = quantize(x, side, side, options);
    for (std::size_t r = 1; r < side; ++r) CHECK(q.scale(r, 0) == q.scale(0, 0));
  }
}
