// SPDX-License-Identifier: MIT
// E2M1 under UE5M3 scales: what ALTO's functions gave (dialect alto), and blocks whose bytes are
// worked out by hand. test_canonical holds the dialect canonical to the oracle.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/format_spec.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_file.hpp"

using namespace lowbit;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

BlockTensor coded(const std::vector<float>& x, std::size_t rows, const char* dialect,
                  ScaleRule rule = ScaleRule::static_6, std::optional<float> amax = {}) {
  QuantizeOptions o;
  o.format = find_block_format("amdfp4");
  o.dialect = find_dialect(dialect);
  REQUIRE(o.dialect != nullptr);
  o.rule = rule;
  o.nonfinite = NonFinite::propagate;
  o.amax = amax;
  return quantize(x, rows, x.size() / rows, o);
}

std::vector<float> values_of(const BlockTensor& t, const char* dialect) {
  std::vector<float> out(t.rows * t.columns);
  dequantize(t, out, find_dialect(dialect));
  return out;
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

/// One block of sixteen after another, the elements that are not given 0.
std::vector<float> blocks(const std::vector<std::vector<float>>& given) {
  std::vector<float> x(given.size() * 16, 0.0F);
  for (std::size_t k = 0; k < given.size(); ++k) {
    std::copy(given[k].begin(), given[k].end(), x.begin() + static_cast<std::ptrdiff_t>(k) * 16);
  }
  return x;
}

using Bytes = std::vector<std::uint8_t>;

/// The code nearest to y >= 0, of two as near the even one. \param values  of codes 0, 1, ...
unsigned nearest(const std::vector<double>& values, double y) {
  unsigned best = 0;
  for (unsigned code = 1; code < values.size(); ++code) {
    const double d = std::fabs(values[code] - y);
    const double least = std::fabs(values[best] - y);
    if (d < least || (d == least && code % 2 == 0)) best = code;
  }
  return best;
}

/// ALTO's arithmetic once more, one binary32 operation after another (docs/formats.md).
struct Alto {
  std::vector<double> scales, elements{0, 0.5, 1, 1.5, 2, 3, 4, 6};
  float decode = 0.0F;
  explicit Alto(float amax) : decode(std::max(amax / 688128.0F, 1e-30F)) {
    for (int code = 0; code < 255; ++code) {
      scales.push_back(code < 8 ? std::ldexp(code, -17) : std::ldexp(8 + code % 8, code / 8 - 18));
    }
  }
  [[nodiscard]] unsigned scale_of(float h) const { return std::max(1U, nearest(scales, h)); }
  [[nodiscard]] unsigned scale(float b) const {
    const float quotient = b / decode;
    return scale_of(quotient / 6.0F);
  }
  [[nodiscard]] float product(unsigned byte) const {
    return static_cast<float>(scales[byte]) * decode;
  }
  [[nodiscard]] unsigned code(float x, unsigned byte) const {
    const float y = x / product(byte);
    return nearest(elements, std::fabs(y)) | (std::signbit(x) ? 8U : 0U);
  }
};

}  // namespace

TEST_CASE("alto: the bytes and values that ALTO's functions gave for 24 rows") {
  const TensorFile file =
      TensorFile::open(std::string(LOWBIT_TEST_DATA_DIR) + "/codec_vectors.safetensors");
  const std::vector<float> x = to_f32(file.at("input"));
  const BlockTensor t = coded(x, 24, "alto");
  // The tensor scale, the scales row after row, the codes.
  const auto wanted = file.at("amdfp4").bytes;
  REQUIRE(wanted.size() == 4 + t.scales.size() + t.values.size());
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(wanted[i]); };
  std::uint32_t scale = 0;
  for (std::size_t i = 0; i < 4; ++i) scale |= std::uint32_t{at(i)} << (8 * i);
  CHECK(same_bits(std::max(t.amax / t.encode_constant, 1e-30F), std::bit_cast<float>(scale)));
  CHECK(t.encode_constant == 688128.0F);
  std::size_t differing = 0;
  for (std::size_t i = 0; i < t.scales.size(); ++i) differing += t.scales[i] != at(4 + i) ? 1 : 0;
  for (std::size_t i = 0; i < t.values.size(); ++i) {
    differing += t.values[i] != at(4 + t.scales.size() + i) ? 1 : 0;
  }
  CHECK(differing == 0);
  const std::vector<float> back = values_of(t, "alto");
  const std::vector<float> wanted_values = to_f32(file.at("amdfp4.values"));
  for (std::size_t i = 0; i < back.size(); ++i) {
    differing += same_bits(back[i], wanted_values[i]) ? 0 : 1;
  }
  CHECK(differing == 0);
  // The two dialects are not the same arithmetic.
  const BlockTensor other = coded(x, 24, "canonical");
  CHECK((other.scales != t.scales || other.values != t.values));
}

TEST_CASE("alto: scales of every size") {
  // Largest 6 * 114688: a tensor scale of 1. Block 1 has the scale 2^-14 * 1.125, byte 9; block 2
  // is below every product of the least scale.
  const std::vector<float> x = blocks({{688128.0F, -57344.0F},
                                       {std::ldexp(6.75F, -14), -std::ldexp(0.1F, -14)},
                                       {std::ldexp(1.0F, -30)}});
  const BlockTensor t = coded(x, 1, "alto");
  CHECK(t.scales == Bytes{0xFE, 9, 1});
  CHECK(t.values[0] == 0x97);
  CHECK(t.values[8] == 0x87);
  CHECK(t.values[16] == 0x00);
  const std::vector<float> back = values_of(t, "alto");
  CHECK(back[0] == x[0]);
  CHECK(back[1] == x[1]);
  CHECK(back[16] == x[16]);
  CHECK(same_bits(back[17], -0.0F));
}

TEST_CASE("alto: ties of scales and elements, in the order of its operations") {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> mantissa(1.0F, 2.0F);
  const std::vector<float> ties{0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F};
  std::size_t differing = 0, other_orders = 0, other_products = 0, other_values = 0;
  for (int run = 0; run < 300; ++run) {
    const float amax = std::ldexp(mantissa(random), run % 41 - 20);
    const Alto alto(amax);
    std::vector<std::vector<float>> given{{-amax}};
    for (int k = 1; k < 16; ++k) {
      // A block whose largest element is as far as binary32 can say between two scales, or a
      // neighbour of that.
      const unsigned byte = 20 + random() % 200;
      const double middle = (alto.scales[byte] + alto.scales[byte + 1]) / 2;
      auto b = static_cast<float>(middle * alto.decode * 6);
      for (unsigned step = random() % 3; step > 0; --step) b = std::nextafter(b, 0.0F);
      std::vector<float> block{b};
      const float product = alto.product(alto.scale(b));
      for (const float tie : ties) {
        const float x = tie * product;
        block.push_back(random() % 2 == 0 ? x : -x);
        if (block.back() > b || block.back() < -b) block.pop_back();
      }
      given.push_back(block);
    }
    const std::vector<float> x = blocks(given);
    const BlockTensor t = coded(x, 1, "alto");
    const std::vector<float> back = values_of(t, "alto");
    for (std::size_t k = 0; k < given.size(); ++k) {
      float b = 0.0F;
      for (std::size_t i = 0; i < 16; ++i) b = std::max(b, std::fabs(x[k * 16 + i]));
      const unsigned byte = alto.scale(b);
      differing += t.scales[k] != byte ? 1 : 0;
      other_orders += alto.scale_of(b / 6.0F / alto.decode) != byte ? 1 : 0;
      for (std::size_t i = 0; i < 16; ++i) {
        const float v = x[k * 16 + i];
        const unsigned code = alto.code(v, byte);
        const unsigned stored = t.values[(k * 16 + i) / 2] >> (4 * (i % 2)) & 15U;
        differing += stored != code ? 1 : 0;
        const float inverse = 1.0F / alto.product(byte);
        other_products += nearest(alto.elements, std::fabs(v * inverse)) != (code & 7U) ? 1 : 0;
        const float value = static_cast<float>(alto.elements[code & 7U]) * alto.product(byte);
        differing += std::fabs(back[k * 16 + i]) != value ? 1 : 0;
        other_values += static_cast<float>(alto.elements[code & 7U] * alto.scales[byte] *
                                           double{amax} / 688128.0) != value
                            ? 1
                            : 0;
      }
    }
  }
  CHECK(differing == 0);
  // Another order of the divisions, a product with the reciprocal, and values rounded once differ.
  CHECK(other_orders > 0);
  CHECK(other_products > 0);
  CHECK(other_values > 0);
}

TEST_CASE("alto: zeros, subnormal amax, NaN and infinities") {
  // A = 0: the tensor scale is 1e-30, the scales 2^-17, and -0 keeps its sign.
  const BlockTensor zeros = coded(blocks({{0.0F, -0.0F}, {}}), 1, "alto");
  CHECK(zeros.scales == Bytes{1, 1});
  CHECK(zeros.values[0] == 0x80);
  CHECK(same_bits(values_of(zeros, "alto")[1], -0.0F));
  // A below 688128e-30: the tensor scale is 1e-30 too, and 2^-116 / 1e-30 / 6 is below 2^-17.
  const BlockTensor tiny = coded(blocks({{0x1p-116F, -0x1p-149F}}), 1, "alto");
  CHECK(tiny.scales == Bytes{1});
  CHECK(+tiny.values[0] == 0x83);  // 2^-116 / (2^-17 * 1e-30) is 1.58
  CHECK(values_of(tiny, "alto")[0] == 1.5F * (0x1p-17F * 1e-30F));
  // A NaN makes A NaN, which counts as 0: other blocks have the largest scale and elements.
  const BlockTensor with_nan = coded(blocks({{1.0F, quiet_nan}, {-2.0F}, {}}), 1, "alto");
  CHECK(with_nan.scales == Bytes{1, 0xFE, 1});
  CHECK(+with_nan.values[0] == 0x37);  // NaN is 3
  CHECK(+with_nan.values[8] == 0x0F);
  CHECK(std::isnan(with_nan.amax));
  // Infinity counts as the largest float. 3e38 / 3.40e38 * 114688 is 101110.
  const BlockTensor with_inf = coded(blocks({{-infinity, 1.0F}, {3e38F}}), 1, "alto");
  CHECK(with_inf.scales == Bytes{0xFE, 0xFC});
  CHECK(+with_inf.values[0] == 0x0F);
  CHECK(+with_inf.values[8] == 0x07);
}

TEST_CASE("canonical: zeros, subnormal amax, NaN and infinities") {
  CHECK(coded(blocks({{0.0F, -0.0F}}), 1, "canonical").scales == Bytes{0});
  // Subnormal A is scaled by a power of two first: the block keeps its precision.
  const BlockTensor tiny = coded(blocks({{0x1p-140F, -0x1p-141F}}), 1, "canonical");
  CHECK(tiny.scales == Bytes{0xFE});
  CHECK(tiny.values[0] == 0xD7);
  CHECK(values_of(tiny, "canonical")[0] == 0x1p-140F);
  // A NaN or an infinity marks its block, and no other.
  const BlockTensor bad =
      coded(blocks({{1.0F, quiet_nan}, {6.0F, -3.0F}, {-infinity}}), 1, "canonical");
  CHECK(bad.scales == Bytes{0xFF, 0xFE, 0xFF});
  CHECK(bad.values[0] == 0);
  CHECK(bad.values[8] == 0xD7);
  CHECK(bad.amax == 6.0F);
  const std::vector<float> back = values_of(bad, "canonical");
  CHECK(std::isnan(back[0]));
  CHECK(back[16] == 6.0F);
  CHECK(std::isnan(back[47]));
}

TEST_CASE("canonical: ties and ends of UE5M3 scales") {
  // A = 688128 makes S = 1, and a block's amax 6 * h the scale h.
  std::vector<std::vector<float>> given{{688128.0F}};
  const std::vector<std::pair<float, int>> cases{
      {1.0625F, 0x78},      {1.1875F, 0x7A},    {0x1p-18F, 0x00},
      {0x1.8p-17F, 0x02},   {0x1.ep-15F, 0x08}, {0x1p-17F, 0x01},
      {0x1.000002p-18F, 1}, {65536.0F, 0xF8},   {126976.0F, 0xFE}};
  for (const auto& [h, byte] : cases) given.push_back({6.0F * h});
  const BlockTensor t = coded(blocks(given), 1, "canonical", ScaleRule::static_6, 688128.0F);
  CHECK(t.scales[0] == 0xFE);
  for (std::size_t k = 0; k < cases.size(); ++k) {
    INFO(cases[k].first);
    CHECK(t.scales[k + 1] == cases[k].second);
  }
  // What a scale of 0 leaves, and what saturates.
  CHECK(t.values[3 * 8] == 0);
  CHECK(t.values[9 * 8] == 7);
  // 4/6: M is 65536, so 1.5 times the largest scale is a scale: 98304, byte 0xFC.
  const BlockTensor two = coded(blocks({{4.0F, 1.0F, 2.0F, 3.0F}}), 1, "canonical", ScaleRule::mse);
  CHECK(two.encode_constant == 393216.0F);
  CHECK(two.scales == Bytes{0xFC});
  CHECK(two.values[0] == 0x26);
}

TEST_CASE("without a tensor scale: S = 1, as arXiv 2601.19026 has it") {
  const char* const dialect = "canonical+tensor_scale=one";
  const BlockTensor t = coded(blocks({{6.0F, -0.5F}, {0.75F}}), 1, dialect);
  CHECK(t.scales == Bytes{0x78, 0x60});  // 1 and 1/8
  CHECK(t.amax == t.encode_constant);
  CHECK(values_of(t, dialect)[0] == 6.0F);
  CHECK(values_of(t, dialect)[16] == 0.75F);
}

TEST_CASE("the name amdfp4 is a block format's wherever formats are named") {
  const FormatSpec spec = format_spec_named("amdfp4", canonical, "");
  CHECK(spec.codec == nullptr);
  CHECK(spec.label() == "amdfp4:static_6");
  CHECK(format_spec_named("amdfp4:search:3", canonical, "").search_radius == 3);
  CHECK(format_spec_named("amdfp4", *find_dialect("alto"), "").rule == ScaleRule::static_6);
}
