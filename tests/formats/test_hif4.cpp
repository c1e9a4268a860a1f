// SPDX-License-Identifier: MIT
// HiF4 (docs/formats.md, section 12): the values of its authors' program as captured, and the exact
// oracle on boundaries, ties, and all that can be exhausted.
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "catch.hpp"
#include "lowbit/block_encoder.hpp"
#include "lowbit/block_levels.hpp"
#include "lowbit/block_trace.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/dequantize_as.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/explain.hpp"
#include "lowbit/layout.hpp"
#include "lowbit/metrics.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_file.hpp"
#include "lowbit/verify_quantize.hpp"
#include "oracle/hif4_oracle.hpp"

using namespace lowbit;

namespace {

constexpr std::size_t size = 64;
constexpr std::size_t bytes_of_block = 35;

const BlockFormat& hif4() {
  const BlockFormat* const format = find_block_format("hif4");
  REQUIRE(format != nullptr);
  return *format;
}

BlockTensor quantized(const std::vector<float>& x, std::size_t rows, std::size_t columns,
                      QuantizeOptions options = {}) {
  options.format = &hif4();
  return quantize(x, rows, columns, options);
}

std::vector<float> values_of(const BlockTensor& t, unsigned threads = 1) {
  std::vector<float> out(t.rows * t.columns, 9.0F);
  dequantize(t, out, nullptr, threads);
  return out;
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

/// The stored bytes of the oracle's group, from docs/formats.md: levels, lowest bit first, then
/// codes, the even column in the low nibble.
std::vector<std::uint8_t> bytes_of(const oracle::Hif4Group& g) {
  std::vector<std::uint8_t> bytes(bytes_of_block, 0);
  for (std::size_t k = 0; k < 8; ++k) bytes[0] |= static_cast<std::uint8_t>(g.second[k] << k);
  for (std::size_t k = 0; k < 16; ++k) {
    bytes[1 + k / 8] |= static_cast<std::uint8_t>(g.third[k] << (k % 8));
  }
  for (std::size_t i = 0; i < size; ++i) {
    const unsigned code = g.magnitude[i] + (g.negative[i] ? 8U : 0U);
    bytes[3 + i / 2] |= static_cast<std::uint8_t>(i % 2 == 0 ? code : 16 * code);
  }
  return bytes;
}

float value_of(const oracle::Hif4Group& g, std::size_t i) {
  const auto v = oracle::hif4_magnitude(g.scale, g.second[i / 8] + g.third[i / 4], g.magnitude[i]);
  const float magnitude = oracle::to_float(*v);
  return g.negative[i] ? -magnitude : magnitude;
}

/// Compares groups of 64, one a row; counts, so that a broken rule prints one line.
void compare(const std::vector<float>& x) {
  const std::size_t rows = x.size() / size;
  const BlockTensor t = quantized(x, rows, size);
  REQUIRE(t.values.size() == rows * bytes_of_block);
  REQUIRE(t.scales.size() == rows);
  const std::vector<float> back = values_of(t);
  std::size_t scales = 0, bytes = 0, values = 0;
  std::size_t first = rows;
  for (std::size_t r = 0; r < rows; ++r) {
    const auto at = static_cast<std::ptrdiff_t>(r * size);
    const oracle::Hif4Group g = oracle::hif4_group({x.begin() + at, x.begin() + at + size});
    const std::size_t before = scales + bytes + values;
    scales += t.scales[r] != g.scale ? 1 : 0;
    const std::vector<std::uint8_t> wanted = bytes_of(g);
    bytes += std::equal(wanted.begin(), wanted.end(), t.block(r, 0)) ? 0 : 1;
    for (std::size_t i = 0; i < size; ++i) {
      values += same_bits(back[r * size + i], value_of(g, i)) ? 0 : 1;
      values += t.code(r, i) != g.magnitude[i] + (g.negative[i] ? 8U : 0U) ? 1 : 0;
      values += t.level(r, i) != g.second[i / 8] + g.third[i / 4] ? 1 : 0;
    }
    if (scales + bytes + values != before && first == rows) first = r;
  }
  INFO("first row that differs: " << first << " of " << rows);
  CHECK(scales == 0);
  CHECK(bytes == 0);
  CHECK(values == 0);
}

/// Each number is a block of its own.
void check_scales(const std::vector<float>& x, const std::vector<unsigned>& wanted) {
  const BlockTensor t = quantized(x, x.size(), 1);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < x.size(); ++i) wrong += t.scales[i] != wanted[i] ? 1 : 0;
  CHECK(wrong == 0);
}

float bf16_number(std::uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}

}  // namespace

TEST_CASE("HiF4: the record, and what follows from it") {
  const BlockFormat& f = hif4();
  CHECK(f.family() == ScaleFamily::hif);
  CHECK(f.has_levels());
  CHECK(f.block_size == 64);
  CHECK(f.level_bits() == 24);
  CHECK(f.block_bytes() == bytes_of_block);
  CHECK(f.bits_per_element() == 4.5);
  CHECK(f.largest_element() == 1.75F);
  CHECK(f.largest_scale() == 49152.0F);
  CHECK(default_rule(f) == ScaleRule::static_6);
  CHECK_FALSE(find_block_format("nvfp4")->has_levels());
  CHECK(find_block_format("nvfp4")->block_bytes() == 8);
  CHECK(find_block_format("mxfp8_e4m3")->block_bytes() == 32);
  for (const Levels levels : {Levels{0, 16}, Levels{8, 0}, Levels{8, 20}, Levels{3, 6}}) {
    BlockFormat wrong = f;
    wrong.levels = levels;
    CHECK_THROWS_AS(check_block_format(wrong), Error);
  }
}

TEST_CASE("HiF4: the values of the published program") {
  const TensorFile file =
      TensorFile::open(std::string(LOWBIT_TEST_DATA_DIR) + "/codec_vectors.safetensors");
  const std::vector<float> back = values_of(quantized(to_f32(file.at("input")), 24, 256));
  const std::vector<float> wanted = to_f32(file.at("hif4.values"));
  std::size_t differing = 0;
  for (std::size_t i = 0; i < back.size(); ++i) {
    differing += same_bits(back[i], wanted[i]) ? 0 : 1;
  }
  CHECK(differing == 0);
}

TEST_CASE("HiF4: levels of scales, ties, saturation and bytes, by hand") {
  std::vector<float> x(64, 0.0F);
  x[0] = 7.0F;    // fl16(7 * 0.142578125) = 1: scale 1, both bits of the first groups
  x[1] = -0.5F;   // in units of 4/4: a tie goes away from zero
  x[5] = 1.625F;  // the second sixteenth: below 2 * 2, so in units of 2/4: a tie
  x[8] = 1.875F;  // the second eighth: below 4 and below 2, saturated
  x[63] = 2.0F;   // the last sixteenth has its bit
  std::vector<std::uint8_t> wanted(35, 0);
  wanted[0] = 0x01;
  wanted[1] = 0x01;  // sixteenth 0
  wanted[2] = 0x80;  // sixteenth 15
  wanted[3] = 0x97;
  wanted[5] = 0x30;
  wanted[7] = 0x07;
  wanted[34] = 0x40;
  const BlockTensor t = quantized(x, 1, 64);
  CHECK(t.scales == std::vector<std::uint8_t>{48 * 4});
  CHECK(t.values == wanted);
  CHECK(t.amax == 1.0F);
  CHECK(t.encode_constant == 1.0F);
  std::vector<float> values(64, 0.0F);
  values[0] = 7.0F;
  values[1] = -1.0F;
  values[5] = 1.5F;
  values[8] = 1.75F;
  values[63] = 2.0F;
  CHECK(values_of(t) == values);
  CHECK(t.code(0, 1) == 9);
  CHECK(t.level(0, 0) == 2);
  CHECK(t.level(0, 5) == 1);
  CHECK(t.level(0, 8) == 0);
  CHECK(t.level(0, 63) == 1);
  // 1.75 in units of 2/4 is 3.5 units: away from zero.
  x[5] = 1.75F;
  CHECK(values_of(quantized(x, 1, 64))[5] == 2.0F);
  // Scales of powers of two: everything moves along, down to 2^-48 and up to 49152.
  std::vector<float> small(x);
  for (float& v : small) v = std::ldexp(v, -48);
  CHECK(values_of(quantized(small, 1, 64))[0] == std::ldexp(7.0F, -48));
  for (float& v : small) v = std::ldexp(v, -1);
  CHECK(quantized(small, 1, 64).scales[0] == 0);  // the least scale
  CHECK(values_of(quantized(small, 1, 64))[0] == std::ldexp(3.5F, -48));
  CHECK(quantized({1e30F}, 1, 1).scales[0] == 0xFE);
  CHECK(values_of(quantized({1e30F, -1e30F}, 1, 2)) == std::vector<float>{344064.0F, -344064.0F});
  // A negative number that rounds to zero keeps its sign, -0 does not.
  const std::vector<float> zeros = values_of(quantized({7.0F, -0.25F, -0.0F, -1e-40F}, 1, 4));
  CHECK(same_bits(zeros[1], -0.0F));
  CHECK(same_bits(zeros[2], 0.0F));
  CHECK(same_bits(zeros[3], -0.0F));
  // No scale is 0.
  const BlockTensor empty = quantized(std::vector<float>(64, -0.0F), 1, 64);
  CHECK(empty.scales[0] == 0);
  CHECK(empty.values == std::vector<std::uint8_t>(35, 0));
}

TEST_CASE("HiF4: the scale byte of every BF16 number, and beside every boundary") {
  // Every magnitude of BF16, one a block, and the FP32 numbers on either side of it, where the
  // product with bf16(1/7) leaves a tie.
  std::vector<float> x;
  std::vector<unsigned> wanted;
  const auto add = [&](float v) {
    if (!std::isfinite(v)) return;
    x.push_back(v);
    wanted.push_back(oracle::hif4_scale(oracle::from_float(v)));
  };
  for (std::uint32_t bits = 0; bits < 0x7F80; ++bits) add(bf16_number(bits));
  // From the least scale on, all mantissas that decide are in one octave: where bf16(V / 7) rounds,
  // and then where three significant bits do.
  for (std::uint32_t byte = 0; byte < 255; ++byte) {
    const float s = to_float(e6m2, byte);
    for (const float bound : {s * 7.0F * 0.9375F, s * 7.0F * 1.0625F, s * 7.0F * 1.125F}) {
      float v = bound * 0.98F;
      const float step = bound * 0x1p-11F;
      for (int i = 0; i < 82; ++i, v += step) add(v);
    }
  }
  check_scales(x, wanted);
}

TEST_CASE("HiF4: the FP32 number where the scale byte changes, found by bisection") {
  // Between two neighbouring scales there is one number: below it the one byte, from it on the
  // other. It is known to the last bit, and a tie of bf16 may stand there.
  std::vector<float> x;
  std::vector<unsigned> wanted;
  for (std::uint32_t byte = 0; byte + 1 < 255; ++byte) {
    std::uint32_t low = std::bit_cast<std::uint32_t>(to_float(e6m2, byte) * 7.0F);
    std::uint32_t high = std::bit_cast<std::uint32_t>(to_float(e6m2, byte + 1) * 7.0F);
    const auto scale = [](std::uint32_t bits) {
      return oracle::hif4_scale(oracle::from_bits32(bits));
    };
    while (scale(low) > byte) low -= 1U << 16;
    while (scale(high) <= byte) high += 1U << 16;
    while (high - low > 1) {
      const std::uint32_t middle = low + (high - low) / 2;
      (scale(middle) <= byte ? low : high) = middle;
    }
    for (const std::uint32_t bits : {low - 1, low, high, high + 1}) {
      x.push_back(std::bit_cast<float>(bits));
      wanted.push_back(scale(bits));
    }
  }
  check_scales(x, wanted);
}

TEST_CASE("HiF4: thresholds of levels and ties of elements, at every scale, to the last bit") {
  // Under each scale, elements at v / r for every v at which a level or a code changes, and the
  // floats beside it. One of them is the largest, so that the scale is the wanted one.
  std::vector<float> x;
  std::mt19937 random(3);
  for (std::uint32_t byte = 0; byte < 255; ++byte) {
    const double s = to_double(e6m2, byte);
    for (int part = 0; part < 6; ++part) {
      std::vector<float> block(size, 0.0F);
      const std::size_t at_largest = random() % size;
      for (std::size_t i = 0; i < size; ++i) {
        // Quarters of 1/2 up to 7 octaves of them: thresholds 2, 4 and 8 and all ties.
        const double v = (1.0 + static_cast<double>(random() % 15)) / 8.0 *
                         static_cast<double>(1U << (random() % 3));
        auto near = static_cast<float>(v * s);
        // r is not 1 / s: the boundary is v / r, at most 2^-8 away. Some lie on it exactly.
        const double r = to_double(bf16, from_double(bf16, 1.0 / s));
        if (part % 2 == 1) near = static_cast<float>(v / r);
        const auto step = static_cast<int>(random() % 3) - 1;
        near = std::bit_cast<float>(std::bit_cast<std::uint32_t>(near) +
                                    static_cast<std::uint32_t>(step));
        block[i] = random() % 2 == 0 ? near : -near;
      }
      block[at_largest] = static_cast<float>(s * 7.0);
      x.insert(x.end(), block.begin(), block.end());
      // The same with small elements in most eighths, so that bits of both levels are 0.
      for (std::size_t i = 0; i < size; ++i) {
        if (i / 8 != at_largest / 8) block[i] *= static_cast<float>(1U << (i / 8 % 3)) / 8.0F;
      }
      x.insert(x.end(), block.begin(), block.end());
    }
  }
  compare(x);
}

TEST_CASE("HiF4: random numbers of every kind, and edges of the range") {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> x;
  const auto add = [&](const auto& draw) {
    for (std::size_t i = 0; i < 100 * size; ++i) x.push_back(draw(i));
  };
  add([&](std::size_t) { return normal(random); });
  add([&](std::size_t) { return bf16_number(0x3C00 + random() % 0x400 + (random() % 2 << 15)); });
  add([&](std::size_t) {
    return std::ldexp(normal(random), static_cast<int>(random() % 20) - 10);
  });
  // Scales down to the least one and below, up to the largest one and beyond.
  add([&](std::size_t i) {
    return std::ldexp(normal(random), -40 - static_cast<int>(i / size % 20));
  });
  add([&](std::size_t i) {
    return std::ldexp(normal(random), 8 + static_cast<int>(i / size % 20));
  });
  add([&](std::size_t) {
    const auto bits = static_cast<std::uint32_t>(random() % 0x7F800000U | random() % 2 << 31);
    return std::bit_cast<float>(bits);
  });
  add([&](std::size_t i) { return i % size < 40 ? -0.0F : std::ldexp(normal(random), -149); });
  add([&](std::size_t) { return static_cast<float>(static_cast<int>(random() % 57) - 28) / 4.0F; });
  x.insert(x.end(), size, std::numeric_limits<float>::max());
  x.insert(x.end(), size, std::numeric_limits<float>::denorm_min());
  x.insert(x.end(), size, 0.0F);
  compare(x);
}

TEST_CASE("HiF4: every scale byte, level and code, back to numbers") {
  // A row for each scale byte and each of 24 + 2 words of levels: one exponent set, none, all. The
  // codes go through all sixteen at every place.
  std::vector<std::uint32_t> words{0, 0xFFFFFF};
  for (unsigned bit = 0; bit < 24; ++bit) words.push_back(1U << bit);
  BlockTensor t;
  t.format = &hif4();
  t.rows = 256 * words.size();
  t.columns = size;
  for (std::size_t r = 0; r < t.rows; ++r) {
    t.scales.push_back(static_cast<std::uint8_t>(r / words.size()));
    const std::uint32_t word = words[r % words.size()];
    for (const int shift : {0, 8, 16}) t.values.push_back(static_cast<std::uint8_t>(word >> shift));
    for (std::size_t i = 0; i < size; i += 2) {
      const std::size_t code = (i + r) % 16;
      t.values.push_back(static_cast<std::uint8_t>(code | (code + 1 + r / 16) % 16 << 4));
    }
  }
  const std::vector<float> out = values_of(t);
  std::vector<float> bf16_out(out.size()), f16_out(out.size());
  dequantize_as(dtype_bf16, t, canonical, bf16_out);
  dequantize_as(dtype_f16, t, canonical, f16_out);
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < t.rows; ++r) {
    const std::uint32_t word = words[r % words.size()];
    for (std::size_t i = 0; i < size; ++i) {
      const unsigned pair = t.values[r * bytes_of_block + 3 + i / 2];
      const unsigned code = i % 2 == 0 ? pair % 16 : pair / 16;
      const unsigned doublings = (word >> (i / 8) & 1U) + (word >> (8 + i / 4) & 1U);
      const auto v = oracle::hif4_magnitude(t.scales[r], doublings, code % 8);
      const float got = out[r * size + i];
      if (!v) {
        wrong += std::isnan(got) && std::isnan(f16_out[r * size + i]) ? 0 : 1;
        continue;
      }
      const float magnitude = oracle::to_float(*v);
      const float value = code >= 8 ? -magnitude : magnitude;
      wrong += same_bits(got, value) ? 0 : 1;
      // Five significant bits at most: exact in BF16. F16 ends at 65504 and 2^-24.
      wrong += same_bits(bf16_out[r * size + i], value) ? 0 : 1;
      const float half = to_float(f16, from_float(f16, value, {.overflow = Overflow::infinity}));
      wrong += same_bits(f16_out[r * size + i], half) ? 0 : 1;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("HiF4: where levels lie, for every word of each level") {
  std::size_t wrong = 0;
  const BlockFormat& f = hif4();
  for (std::uint32_t second = 0; second < 256; ++second) {
    for (std::size_t i = 0; i < size; ++i) {
      wrong += level_of(f, second, i) != (second >> (i / 8) & 1U) ? 1 : 0;
    }
  }
  for (std::uint32_t third = 0; third < 65536; ++third) {
    std::array<std::uint8_t, bytes_of_block> block{};
    store_levels(f, third << 8, block.data());
    wrong += levels_of(f, block.data()) != third << 8 || block[0] != 0 || block[3] != 0 ? 1 : 0;
    for (std::size_t i = 0; i < size; ++i) {
      wrong += level_of(f, third << 8, i) != (third >> (i / 4) & 1U) ? 1 : 0;
    }
  }
  CHECK(wrong == 0);
  CHECK(level_of(*find_block_format("nvfp4"), 0xFFFFFF, 3) == 0);
}

TEST_CASE("HiF4: rows that no block divides, and several rows and threads") {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  for (const std::size_t columns : {1UL, 2UL, 63UL, 65UL, 100UL, 191UL}) {
    INFO(columns);
    const std::size_t rows = 7, blocks = (columns + size - 1) / size;
    std::vector<float> x(rows * columns);
    for (float& v : x) v = normal(random);
    const BlockTensor t = quantized(x, rows, columns);
    REQUIRE(t.values.size() == rows * blocks * bytes_of_block);
    const std::vector<float> back = values_of(t, 2);
    std::size_t wrong = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t b = 0; b < blocks; ++b) {
        std::vector<float> block(size, 0.0F);
        const std::size_t count = std::min(size, columns - b * size);
        for (std::size_t i = 0; i < count; ++i) block[i] = x[r * columns + b * size + i];
        const oracle::Hif4Group g = oracle::hif4_group(block);
        const std::vector<std::uint8_t> wanted = bytes_of(g);
        wrong += t.scale(r, b) != g.scale ? 1 : 0;
        wrong += std::equal(wanted.begin(), wanted.end(), t.block(r, b)) ? 0 : 1;
        for (std::size_t i = 0; i < count; ++i) {
          wrong += same_bits(back[r * columns + b * size + i], value_of(g, i)) ? 0 : 1;
        }
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("HiF4: NaN and infinities, by each policy") {
  std::vector<float> x(3 * size, 1.0F);
  x[5] = std::numeric_limits<float>::quiet_NaN();
  x[size + 6] = -std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(quantized(x, 1, 3 * size), Error);
  QuantizeOptions options;
  options.nonfinite = NonFinite::propagate;
  const BlockTensor t = quantized(x, 1, 3 * size, options);
  const std::vector<float> back = values_of(t);
  for (const std::size_t b : {0UL, 1UL}) {
    CHECK(t.scales[b] == 0xFF);
    CHECK(std::all_of(t.block(0, b), t.block(0, b) + bytes_of_block,
                      [](std::uint8_t v) { return v == 0; }));
    CHECK(std::isnan(back[b * size]));
    CHECK(std::isnan(back[b * size + 63]));
  }
  const std::vector<float> ones(size, 1.0F);
  CHECK(t.scales[2] == oracle::hif4_group(ones).scale);
  options.nonfinite = NonFinite::saturate;
  const std::vector<float> saturated = values_of(quantized(x, 1, 3 * size, options));
  CHECK(saturated[5] == 0.0F);
  CHECK(saturated[size + 6] == -344064.0F);
}

TEST_CASE("HiF4: what is measured is the error of what is written") {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  const std::size_t rows = 5, columns = 150;
  std::vector<float> x(rows * columns);
  for (float& v : x) v = normal(random);
  x[3] = 1e9F;  // above what a block can hold, 7 times the largest scale
  x[columns + 3] = 344064.0F;
  x[columns + 4] = 344065.0F;
  const BlockTensor t = quantized(x, rows, columns);
  const ErrorStatistics direct = error_statistics(x, t, values_of(t), {});
  double squared = 0.0;
  const std::vector<float> back = values_of(t);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = static_cast<double>(back[i]) - static_cast<double>(x[i]);
    squared += e * e;
  }
  CHECK(direct.squared_error == Approx(squared).epsilon(1e-12));
  CHECK(direct.blocks == 15);
  CHECK(direct.bits == 15 * 288);
  std::size_t clipped = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::uint8_t byte = t.scale(i / columns, i % columns / size);
    clipped += std::fabs(x[i]) > 7.0F * to_float(e6m2, byte) ? 1 : 0;
  }
  CHECK(clipped > 2);
  CHECK(direct.clipped == clipped);
  // The engine's own sums, bit for bit.
  TensorInfo tensor;
  tensor.name = "x";
  tensor.dtype = &dtype_f32;
  tensor.shape = {rows, columns};
  tensor.bytes = std::as_bytes(std::span(x));
  QuantizeOptions options;
  options.format = &hif4();
  const ErrorStatistics sums = evaluate(tensor, std::span(&options, 1), EvaluateOptions{})[0];
  CHECK(sums.squared_error == direct.squared_error);
  CHECK(sums.product == direct.product);
  CHECK(sums.max_abs_error == direct.max_abs_error);
  CHECK(sums.clipped == direct.clipped);
  CHECK(sums.zeroed == direct.zeroed);
  CHECK(sums.bits == direct.bits);
}

TEST_CASE("HiF4: a block step by step") {
  std::vector<float> x(2 * size, 0.25F);
  x[size] = 7.0F;
  x[size + 1] = 0.5F;
  QuantizeOptions options;
  options.format = &hif4();
  const BlockTrace trace = trace_block(x, 1, 2 * size, options, 0, 1);
  CHECK(trace.block_amax == 7.0F);
  CHECK(trace.scale_byte == 192);
  REQUIRE(trace.candidates.size() == 1);
  CHECK(trace.candidates[0].h == 1.0F);
  CHECK(trace.candidates[0].inverse == 1.0F);
  CHECK(trace.candidates[0].levels == 0x000101);
  CHECK(trace.candidates[0].scaled[1] == 0.125F);
  CHECK(trace.candidates[0].codes[1] == 1);
  CHECK(trace.candidates[0].codes[8] == 1);
  // A number beside a tie is not shown on it: 32 bits of the product, cut to 24.
  x[size + 1] = 0.75F * (1.0F + 0x1p-23F);
  x[size] = 1.25F * 7.0F;
  const BlockTrace near = trace_block(x, 1, 2 * size, options, 0, 1);
  const double y = static_cast<double>(x[size + 1]) * 0.80078125 / 4.0;
  CHECK(static_cast<float>(y) != y);
  CHECK(std::fabs(near.candidates[0].scaled[1] - y) < 1e-7);
  CHECK((std::bit_cast<std::uint32_t>(near.candidates[0].scaled[1]) & 1U) == 1U);
  const std::string text = as_text(explain_block(x, 1, 2 * size, options, nullptr, 0, 1));
  CHECK_THAT(text, Catch::Matchers::Contains("levels") && Catch::Matchers::Contains("0x01 0x0001"));
}

TEST_CASE("HiF4: a dump is compared, and a fault of a level is found") {
  std::mt19937 random(13);
  std::normal_distribution<float> normal;
  const std::size_t rows = 4, columns = 128;
  std::vector<float> x(rows * columns);
  for (float& v : x) v = normal(random);
  BlockTensor t = quantized(x, rows, columns);
  VerifyRequest request;
  request.declared.format = &hif4();
  request.layout = Layout{};
  const auto verified = [&] {
    return verify_quantized(x, rows, columns, {"x", t.values, t.scales, {rows, 2}, {}}, request);
  };
  CHECK(verified().equal);
  t.values[3 * 2 * bytes_of_block + bytes_of_block + 1] ^= 0x10;  // row 3, block 1
  const Verification level = verified();
  CHECK_FALSE(level.equal);
  CHECK(level.difference.different == 1);
  CHECK(level.difference.scales == 1);
  CHECK(level.difference.codes == 0);
  CHECK_THAT(as_text(level), Catch::Matchers::Contains("levels"));
  t.values[3 * 2 * bytes_of_block + bytes_of_block + 1] ^= 0x10;
  t.values[2 * bytes_of_block - 1] ^= 0x70;  // the last code of row 0
  const Verification code = verified();
  CHECK(code.difference.different == 1);
  CHECK(code.difference.scales == 0);
  CHECK(code.difference.codes == 1);
  // Nothing declared: the bytes fit no other format.
  t.values[2 * bytes_of_block - 1] ^= 0x70;
  request.declared.format = nullptr;
  request.layout.reset();
  const Verification found = verified();
  REQUIRE(found.agreeing.size() == 1);
  CHECK(found.agreeing[0].format == &hif4());
}

TEST_CASE("HiF4: layouts") {
  std::vector<float> x(2 * 128);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 37) - 18.0F;
  const BlockTensor t = quantized(x, 2, 128);
  // The scale byte before the 35 bytes: 36 bytes per block.
  Layout fused;
  fused.fused_blocks = 1;
  const StoredBlocks stored = pack(fused, t);
  REQUIRE(stored.values.size() == 4 * 36);
  CHECK(stored.values[36] == t.scales[1]);
  CHECK(std::equal(t.block(0, 1), t.block(0, 1) + bytes_of_block, stored.values.begin() + 37));
  const BlockTensor back = unpack(fused, hif4(), 2, 128, stored.values, {});
  CHECK(back.values == t.values);
  CHECK(back.scales == t.scales);
  for (const CodeOrder order : {CodeOrder::high_first, CodeOrder::halves}) {
    Layout other;
    other.codes = order;
    CHECK_THROWS_WITH(pack(other, t), Catch::Matchers::Contains("levels between its codes"));
    CHECK_FALSE(stored_sizes(other, hif4(), 2, 128).has_value());
  }
  Layout once;
  once.once_per_2d_block = true;
  CHECK_FALSE(stored_sizes(once, hif4(), 2, 128).has_value());
  const std::array<std::uint64_t, 2> shape{2, 2};
  const auto layouts = consistent_layouts(hif4(), 2, 128, t.values.size(), shape);
  CHECK(std::all_of(layouts.begin(), layouts.end(),
                    [](const Layout& l) { return l.codes == CodeOrder::low_first; }));
}

TEST_CASE("HiF4: what it does not take is refused in one line") {
  const std::vector<float> x(64, 1.0F);
  QuantizeOptions options;
  options.block_2d = true;
  CHECK_THROWS_WITH(quantized(x, 1, 64, options), Catch::Matchers::Contains("no 2D blocks"));
  options = {};
  const std::vector<float> random(64, 0.5F);
  options.rounding = ElementRounding::stochastic;
  options.random0 = random;
  CHECK_THROWS_WITH(quantized(x, 1, 64, options), Catch::Matchers::Contains("nearest only"));
  options = {};
  options.scale_max = 448.0F;
  CHECK_THROWS_AS(quantized(x, 1, 64, options), Error);
  for (const ScaleRule rule : scale_rules()) {
    if (rule == ScaleRule::static_6) continue;
    QuantizeOptions other;
    other.rule = rule;
    other.search_radius = rule == ScaleRule::search ? 3 : 0;
    CHECK_THROWS_WITH(quantized(x, 1, 64, other), Catch::Matchers::Contains("has no rule"));
  }
  for (const Dialect& dialect : dialects()) {
    if (dialect.name == canonical.name) continue;
    QuantizeOptions other;
    other.dialect = &dialect;
    CHECK_THROWS_AS(quantized(x, 1, 64, other), Error);
  }
  QuantizeOptions own;
  own.format = &hif4();
  BlockEncoder encoder(own, 1.0F);
  CHECK_THROWS_WITH(encoder.choose_scale(x), Catch::Matchers::Contains("encoded by itself"));
  std::vector<std::uint8_t> codes(64);
  CHECK_THROWS_AS(encoder.encode(192, x, codes), Error);
}
