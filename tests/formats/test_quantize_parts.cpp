// SPDX-License-Identifier: MIT
// Tensors in memory, which are quantized while the memory is asked for later elements: the bytes of
// pieces that are quantized by themselves, whatever the memory held before.
#include <algorithm>
#include <bit>
#include <limits>
#include <string>
#include <vector>

#include "catch.hpp"
#include "formats/normal_values.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/quantize_into.hpp"

namespace {

using namespace lowbit;

struct Case {
  const char* format;
  ScaleRule rule;
};
constexpr Case cases[] = {
    {"nvfp4", ScaleRule::static_6}, {"nvfp4", ScaleRule::abs_max}, {"if4", ScaleRule::mse},
    {"if6_e2m3", ScaleRule::mse},   {"mxfp4", ScaleRule::floor},   {"mxint8", ScaleRule::floor},
    {"nvfp4_bs8", ScaleRule::mse},  {"nvfp4", ScaleRule::optimal},
};

struct Shape {
  std::size_t rows, columns;
};
/// Rows that end within a block, and rows of whole blocks; pieces of several rows and of one;
/// pieces shorter than what is asked for ahead, as long, and longer.
constexpr Shape shapes[] = {{3, 10001}, {2, 8208}, {9, 1000},  {40, 190},   {5, 4096},
                            {1, 70000}, {2, 4128}, {700, 192}, {2, 131104}, {1, 32}};

QuantizeOptions request(const Case& c) {
  QuantizeOptions options;
  options.format = find_block_format(c.format);
  options.rule = c.rule;
  return options;
}

/// Each row in pieces of 160 columns, every one a tensor of its own.
BlockTensor by_pieces(const std::vector<float>& x, Shape shape, const QuantizeOptions& options,
                      std::vector<BlockChoice>& choices) {
  BlockTensor all;
  all.format = options.format;
  all.rows = shape.rows;
  all.columns = shape.columns;
  for (std::size_t r = 0; r < shape.rows; ++r) {
    for (std::size_t c = 0; c < shape.columns; c += 160) {
      const std::size_t n = std::min<std::size_t>(160, shape.columns - c);
      const std::span<const float> piece(x.data() + r * shape.columns + c, n);
      const auto size = static_cast<std::size_t>(options.format->block_size);
      std::vector<BlockChoice> some((n + size - 1) / size);
      const BlockTensor q = quantize(piece, 1, n, options, some, 1);
      all.values.insert(all.values.end(), q.values.begin(), q.values.end());
      all.scales.insert(all.scales.end(), q.scales.begin(), q.scales.end());
      choices.insert(choices.end(), some.begin(), some.end());
    }
  }
  return all;
}

std::string message_of(const std::vector<float>& x, Shape shape, const QuantizeOptions& options) {
  try {
    static_cast<void>(quantize(x, shape.rows, shape.columns, options, {}, 1));
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

bool same(const BlockTensor& a, const BlockTensor& b) {
  return a.format == b.format && a.rows == b.rows && a.columns == b.columns &&
         a.values == b.values && a.scales == b.scales &&
         std::bit_cast<std::uint32_t>(a.amax) == std::bit_cast<std::uint32_t>(b.amax) &&
         std::bit_cast<std::uint32_t>(a.encode_constant) ==
             std::bit_cast<std::uint32_t>(b.encode_constant);
}

}  // namespace

TEST_CASE("parts of a tensor give the bytes of tensors of their own") {
  for (const Shape shape : shapes) {
    const std::vector<float> x = values_of(shape.rows * shape.columns);
    for (const Case& c : cases) {
      INFO(c.format << " " << name_of(c.rule) << ", " << shape.rows << " x " << shape.columns);
      QuantizeOptions options = request(c);
      const float amax = measure_amax(x, shape.rows, shape.columns, options, 1);
      options.amax = amax;
      std::vector<BlockChoice> wanted, got;
      const BlockTensor apart = by_pieces(x, shape, options, wanted);
      got.resize(wanted.size());
      const BlockTensor whole = quantize(x, shape.rows, shape.columns, options, got, 1);
      CHECK(whole.values == apart.values);
      CHECK(whole.scales == apart.scales);
      CHECK(got == wanted);
      options.amax.reset();
      CHECK(same(quantize(x, shape.rows, shape.columns, options, {}, 1), whole));
      CHECK(same(quantize(x, shape.rows, shape.columns, options, {}, 3), whole));
      // Nothing is not finite: every policy gives the same.
      options.nonfinite = NonFinite::propagate;
      CHECK(same(quantize(x, shape.rows, shape.columns, options, {}, 1), whole));
    }
  }
}

TEST_CASE("what is not finite is found wherever it is") {
  // The last columns are in a block that is not whole, in a group of blocks that is not, and whole.
  const std::size_t columns = GENERATE(10001U, 10144U, 10240U);
  const Shape shape{3, columns};
  for (const std::size_t column :
       {std::size_t{0}, std::size_t{511}, std::size_t{4096}, std::size_t{6144}, columns - 1}) {
    std::vector<float> x = values_of(shape.rows * shape.columns);
    x[shape.columns + column] = std::numeric_limits<float>::infinity();
    x[2 * shape.columns] = std::numeric_limits<float>::quiet_NaN();
    for (const Case& c : cases) {
      for (const bool given : {false, true}) {
        INFO(c.format << ", column " << column << (given ? ", amax given" : ""));
        QuantizeOptions options = request(c);
        if (given) options.amax = 0.1F;
        const std::string message = message_of(x, shape, options);
        CHECK(message.find("infinite at row 1, column " + std::to_string(column) + ";") !=
              std::string::npos);
        // Of a part with NaN the others are as they were.
        options.nonfinite = NonFinite::propagate;
        const BlockTensor measured = quantize(x, shape.rows, shape.columns, options, {}, 1);
        options.amax = measure_amax(x, shape.rows, shape.columns, options, 1);
        std::vector<BlockChoice> choices;
        const BlockTensor apart = by_pieces(x, shape, options, choices);
        const BlockTensor whole = quantize(x, shape.rows, shape.columns, options, {}, 1);
        CHECK(whole.values == apart.values);
        CHECK(whole.scales == apart.scales);
        if (given) continue;
        CHECK(measured.values == apart.values);
        CHECK(measured.scales == apart.scales);
      }
    }
  }
}

TEST_CASE("a result takes the memory of an older one") {
  BlockTensor out;
  const std::uint8_t* memory = nullptr;
  // The first is the largest; it takes whole pages.
  for (const Shape shape : {Shape{600, 8208}, Shape{3, 10001}, Shape{600, 8208}, Shape{0, 32}}) {
    const std::vector<float> x = values_of(shape.rows * shape.columns);
    for (const char* format : {"mxint8", "nvfp4", "if3", "nvfp4_bs8"}) {
      INFO(format << ", " << shape.rows << " x " << shape.columns);
      QuantizeOptions options;
      options.format = find_block_format(format);
      quantize_into(x, shape.rows, shape.columns, options, out);
      CHECK(same(out, quantize(x, shape.rows, shape.columns, options)));
      if (memory == nullptr) memory = out.values.data();
      CHECK(out.values.data() == memory);
      std::fill(out.values.begin(), out.values.end(), std::uint8_t{0xA5});
      std::fill(out.scales.begin(), out.scales.end(), std::uint8_t{0xA5});
    }
  }
}

TEST_CASE("blocks of NaN overwrite what the memory held, in every format") {
  std::vector<float> x = values_of(3 * 130);
  x[3] = x[140] = std::numeric_limits<float>::quiet_NaN();
  x[389] = std::numeric_limits<float>::infinity();
  for (const BlockFormat& format : block_formats()) {
    INFO(format.name);
    QuantizeOptions options;
    options.format = &format;
    options.nonfinite = NonFinite::propagate;
    const BlockTensor fresh = quantize(x, 3, 130, options);
    BlockTensor out = fresh;
    std::fill(out.values.begin(), out.values.end(), std::uint8_t{0xA5});
    std::fill(out.scales.begin(), out.scales.end(), std::uint8_t{0xA5});
    quantize_into(x, 3, 130, options, out);
    CHECK(same(out, fresh));
  }
}
