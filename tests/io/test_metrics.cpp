// SPDX-License-Identifier: MIT
// The metrics against sums written out by hand, and the same bits whatever the threads and the
// axis.
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "catch.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/dequantize_as.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"

using namespace lowbit;

namespace {

TensorInfo tensor_of(const std::vector<float>& values, std::vector<std::uint64_t> shape) {
  TensorInfo tensor;
  tensor.name = "t";
  tensor.dtype = &dtype_f32;
  tensor.shape = std::move(shape);
  tensor.bytes = std::as_bytes(std::span(values));
  return tensor;
}

QuantizeOptions request(const char* format, ScaleRule rule) {
  QuantizeOptions options;
  options.format = find_block_format(format);
  options.rule = rule;
  return options;
}

std::vector<float> noise(std::size_t count) {
  std::mt19937 random(7);
  std::vector<float> values(count);
  for (float& x : values) {
    x = static_cast<float>(static_cast<double>(random()) / 2147483648.0 - 1.0) *
        (random() % 97 == 0 ? 30.0F : 1.0F);
  }
  return values;
}

double value(const char* metric, const ErrorStatistics& statistics) {
  return find_metric(metric)->value(statistics);
}

bool same_bits(const ErrorStatistics& a, const ErrorStatistics& b) {
  for (const Metric& metric : metrics()) {
    if (std::bit_cast<std::uint64_t>(metric.value(a)) !=
        std::bit_cast<std::uint64_t>(metric.value(b)))
      return false;
  }
  return a.elements == b.elements && a.blocks == b.blocks && a.clipped == b.clipped &&
         a.zeroed == b.zeroed;
}

}  // namespace

TEST_CASE("metrics of one MXFP4 block, by hand") {
  // amax 7: floor(log2 7) - 2 = 0, so the scale is 1, 7 is clipped to 6 and 0.25 becomes 0.
  std::vector<float> values(20, 0.0F);
  values[0] = 7.0F;
  values[1] = 0.25F;
  values[2] = -3.25F;  // -3
  values[19] = 2.0F;
  const auto result =
      evaluate(tensor_of(values, {1, 20}), std::vector{request("mxfp4", ScaleRule::floor)}, {});
  const ErrorStatistics& s = result.at(0);
  const double error = 1.0 + 0.0625 + 0.0625;
  const double original = 49 + 0.0625 + 10.5625 + 4;
  const double quantized = 36 + 9 + 4;
  CHECK(s.elements == 20);
  CHECK(s.blocks == 1);
  CHECK(value("mse", s) == error / 20);
  CHECK(value("rmse", s) == std::sqrt(error / 20));
  CHECK(find_metric("relative_rmse") == find_metric("rel_l2"));  // the old name
  CHECK(value("rel_l2", s) == std::sqrt(error / original));
  CHECK(value("max_abs_error", s) == 1.0);
  CHECK(value("sqnr_db", s) == Approx(10 * std::log10(original / error)).epsilon(1e-14));
  CHECK(value("cosine", s) == (42 + 9.75 + 4) / (std::sqrt(original) * std::sqrt(quantized)));
  CHECK(value("four_or_int_share", s) == 0.0);
  CHECK(value("clipped_share", s) == 1.0 / 20);
  CHECK(value("zeroed_share", s) == 1.0 / 4);
  CHECK(value("bits_per_element", s) == (32 * 4 + 8) / 20.0);
}

TEST_CASE("blocks that chose 4 or integers, the tensor scale, and blocks without a scale") {
  // All equal: both candidates of 4/6 are exact with amax the tensor's, so 6 stays.
  std::vector<float> values(32, 6.0F);
  auto s =
      evaluate(tensor_of(values, {2, 16}), std::vector{request("nvfp4", ScaleRule::mse)}, {}).at(0);
  CHECK(value("four_or_int_share", s) == 0.0);
  CHECK(value("mse", s) == 0.0);
  CHECK(std::isinf(value("sqnr_db", s)));
  CHECK(value("cosine", s) == 1.0);
  CHECK(value("bits_per_element", s) == (32 * 4 + 2 * 8 + 32) / 32.0);
  // 1..7 are INT4's own values: that block is an integer one. The other has no scale: nothing of it
  // is clipped, all of it is zeroed.
  values.assign(32, 0.0F);
  for (std::size_t i = 0; i < 7; ++i) values[i] = static_cast<float>(i + 1);
  values[16] = 1e-6F;
  s = evaluate(tensor_of(values, {2, 16}), std::vector{request("if4", ScaleRule::mse)}, {}).at(0);
  CHECK(s.four_or_int == 1);
  CHECK(s.blocks == 2);
  CHECK(s.clipped == 0);
  CHECK(s.zeroed == 1);
  CHECK(s.nonzero == 8);
  // The largest element itself is not clipped, although its limit is a product of five factors.
  values = noise(16);
  s = evaluate(tensor_of(values, {1, 16}), std::vector{request("nvfp4", ScaleRule::static_6)}, {})
          .at(0);
  CHECK(s.clipped == 0);
  // Nothing but zeros: no error, and no division of 0 by 0 anywhere.
  values.assign(16, 0.0F);
  s = evaluate(tensor_of(values, {16}), std::vector{request("nvfp4", ScaleRule::static_6)}, {})
          .at(0);
  for (const Metric& metric : metrics()) CHECK_FALSE(std::isnan(metric.value(s)));
}

TEST_CASE("chunks: one quantization of the whole matrix gives the same errors") {
  // More than one chunk, with a last one of another size; and rows longer than a chunk.
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{700, 200}, {2, 70001}}) {
    const std::vector<float> values = noise(rows * columns);
    QuantizeOptions options = request("if4", ScaleRule::mse);
    std::vector<BlockChoice> choices(rows * ((columns + 15) / 16));
    const BlockTensor whole = quantize(values, rows, columns, options, choices);
    std::vector<float> dequantized(values.size());
    dequantize(whole, dequantized);
    ErrorStatistics expected = error_statistics(values, whole, dequantized, choices);
    add_tensor_scale(expected, *options.format);
    const auto s = evaluate(tensor_of(values, {rows, columns}), std::vector{options}, {}).at(0);
    CHECK(s.elements == expected.elements);
    CHECK(s.blocks == expected.blocks);
    CHECK(s.four_or_int == expected.four_or_int);
    CHECK(s.clipped == expected.clipped);
    CHECK(s.zeroed == expected.zeroed);
    CHECK(s.bits == expected.bits);
    CHECK(s.max_abs_error == expected.max_abs_error);
    CHECK(s.squared_error == Approx(expected.squared_error).epsilon(1e-12));
    CHECK(s.product == Approx(expected.product).epsilon(1e-12));
  }
}

TEST_CASE("the same bits for any number of threads") {
  const std::vector<float> values = noise(600 * 333);
  const TensorInfo tensor = tensor_of(values, {3, 200, 333});
  const std::vector<QuantizeOptions> requests{request("nvfp4", ScaleRule::mse),
                                              request("mxfp6_e2m3", ScaleRule::floor)};
  const auto one = evaluate(tensor, requests, {});
  std::uint64_t seen = 0;
  for (const unsigned threads : {2U, 3U, 16U}) {
    const auto many = evaluate(
        tensor, requests, {.threads = threads, .progress = [&](std::uint64_t n) { seen += n; }});
    for (std::size_t k = 0; k < requests.size(); ++k) CHECK(same_bits(one[k], many[k]));
  }
  CHECK(seen == 3 * values.size());
}

TEST_CASE("blocks along another axis are those of the transposed tensor") {
  const std::size_t a = 5;
  const std::size_t b = 37;
  const std::size_t c = 66;
  const std::vector<float> values = noise(a * b * c);
  std::vector<float> moved(values.size());
  for (std::size_t i = 0; i < a; ++i) {
    for (std::size_t j = 0; j < b; ++j) {
      for (std::size_t k = 0; k < c; ++k) moved[(i * c + k) * b + j] = values[(i * b + j) * c + k];
    }
  }
  const std::vector<QuantizeOptions> requests{request("nvfp4", ScaleRule::mse)};
  const auto along = evaluate(tensor_of(values, {a, b, c}), requests, {.axis = 1});
  CHECK(same_bits(along[0], evaluate(tensor_of(moved, {a, c, b}), requests, {})[0]));
  CHECK(same_bits(along[0], evaluate(tensor_of(values, {a, b, c}), requests, {.axis = -2})[0]));
  CHECK_FALSE(same_bits(along[0], evaluate(tensor_of(values, {a, b, c}), requests, {})[0]));
  CHECK_THROWS_AS(evaluate(tensor_of(values, {a, b, c}), requests, {.axis = 3}), Error);
}

TEST_CASE("NaN and infinity are named, or replaced") {
  std::vector<float> values = noise(64);
  values[37] = -INFINITY;
  values[50] = NAN;
  auto options = request("nvfp4", ScaleRule::static_6);
  try {
    static_cast<void>(evaluate(tensor_of(values, {4, 16}), std::vector{options}, {.threads = 2}));
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::invalid_input);
    CHECK(std::string(error.what()).find("infinity at row 2, column 5") != std::string::npos);
  }
  options.nonfinite = NonFinite::saturate;
  const auto s = evaluate(tensor_of(values, {4, 16}), std::vector{options}, {}).at(0);
  CHECK(std::isfinite(s.squared_error));
  CHECK(s.nonzero == 63);
}

TEST_CASE("dequantization to F16 and BF16 rounds the exact value once") {
  // Every product below is exact in 64 significant bits, so the nearest neighbour can be told.
  std::size_t double_rounded = 0;
  std::mt19937 random(11);
  for (const char* name : {"nvfp4", "if4", "if3", "if6_e2m3", "nvint6", "mxint8", "mxfp8_e5m2"}) {
    const BlockFormat& format = *find_block_format(name);
    const std::size_t size = static_cast<std::size_t>(format.block_size);
    for (int round = 0; round < 200; ++round) {
      BlockTensor t;
      t.format = &format;
      t.rows = 1;
      t.columns = size;
      t.values.resize(t.value_bytes_per_row());
      for (auto& byte : t.values) byte = static_cast<std::uint8_t>(random());
      if (format.storage_bits() == 8) {
        for (auto& byte : t.values) byte &= static_cast<std::uint8_t>(format.element->code_mask());
      }
      const bool nv = format.family() == ScaleFamily::nv;
      t.scales = {static_cast<std::uint8_t>(
          nv ? (format.is_adaptive() ? random() % 255 : random() % 127) : 100 + random() % 40)};
      if (t.scales[0] == 127) t.scales[0] = 126;
      if (nv) {
        t.amax = std::ldexp(static_cast<float>(random() % (1U << 24)),
                            -20 - static_cast<int>(random() % 20));
        t.encode_constant = format.largest_element() * 448.0F;
      }
      if (t.format->name == "nvfp4" && round < 100) {
        // 1.375 * A / 2688 within half a unit of FP32 of the F16 tie 1 + (2k + 1) / 2048, beside
        // it.
        t.scales[0] = 0x3B;
        std::fill(t.values.begin(), t.values.end(), std::uint8_t{0x22});
        t.amax = static_cast<float>((1 + (2 * round + 1) / 2048.0) * 2688 / 1.375);
        t.encode_constant = 2688;
      }
      const bool integer = format.is_adaptive() && (t.scales[0] & 0x80) != 0;
      std::vector<float> once(size);
      std::vector<float> f32_first(size);
      for (const auto& [dtype, half] : {std::pair{&dtype_f16, &f16}, {&dtype_bf16, &bf16}}) {
        dequantize_as(*dtype, t, canonical, once);
        dequantize(t, f32_first);
        for (std::size_t c = 0; c < size; ++c) {
          const long double q =
              to_double(integer ? *format.integer : *format.element, t.code(0, c));
          const long double s =
              to_double(*format.scale, format.is_adaptive() ? t.scales[0] & 0x7F : t.scales[0]);
          const Ratio unit = integer ? format.integer_unit() : Ratio{};
          const long double n = std::ldexp(
              q * s * static_cast<long double>(t.amax) * unit.numerator, format.element_exponent);
          const long double d = static_cast<long double>(t.encode_constant) * unit.denominator;
          if (!std::isfinite(q) || !std::isfinite(once[c])) continue;
          const std::uint32_t code = from_float(*half, once[c]);
          const auto distance = [&](std::uint32_t other) {
            return std::fabs(to_double(*half, other) * d - n);
          };
          const long double here = distance(code);
          for (const std::uint32_t other : {code - 1, code + 1}) {
            if (decode(*half, other).number_class == NumberClass::nan ||
                (other & half->magnitude_mask()) > half->max_code())
              continue;
            if (here < distance(other) || (here == distance(other) && code % 2 == 0)) continue;
            FAIL_CHECK(name << " element " << c << " is not the nearest " << dtype->name);
          }
          double_rounded += from_float(*half, f32_first[c]) == code ? 0 : 1;
        }
      }
    }
  }
  CHECK(double_rounded > 100);  // so many differ where FP32 comes between
}
