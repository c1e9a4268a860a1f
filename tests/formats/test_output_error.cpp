// SPDX-License-Identifier: MIT
// Errors of layer outputs: against plain loops in long double, figures of an independent numpy
// computation, and independence of threads.
#include <bit>
#include <cmath>
#include <random>

#include "catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_error.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/tensor_file.hpp"

using namespace lowbit;

namespace {

std::vector<float> normal(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> gauss;
  std::vector<float> x(count);
  for (float& v : x) v = gauss(random);
  return x;
}

struct Sums {
  long double error = 0, y2 = 0, z2 = 0, yz = 0;
};

/// Element by element, with nothing shared.
Sums by_loops(const std::vector<float>& x, const std::vector<float>& w,
              const std::vector<float>& xq, const std::vector<float>& wq, std::size_t columns) {
  Sums s;
  for (std::size_t t = 0; t < x.size() / columns; ++t) {
    for (std::size_t o = 0; o < w.size() / columns; ++o) {
      long double y = 0, z = 0;
      for (std::size_t k = 0; k < columns; ++k) {
        y += static_cast<long double>(x[t * columns + k]) * w[o * columns + k];
        z += static_cast<long double>(xq[t * columns + k]) * wq[o * columns + k];
      }
      s.error += (z - y) * (z - y);
      s.y2 += y * y;
      s.z2 += z * z;
      s.yz += y * z;
    }
  }
  return s;
}

std::vector<float> through(const std::vector<float>& values, std::size_t columns,
                           const char* format, ScaleRule rule) {
  QuantizeOptions options;
  options.format = find_block_format(format);
  options.rule = rule;
  const BlockTensor q = quantize(values, values.size() / columns, columns, options);
  std::vector<float> out(values.size());
  dequantize(q, out);
  return out;
}

}  // namespace

TEST_CASE("sums are those of plain loops, for shapes that no block divides") {
  for (const std::size_t outputs : {1U, 63U, 64U, 65U, 130U}) {
    INFO(outputs);
    const std::size_t columns = 37;
    const std::vector<float> x = normal(5 * columns, 1);
    const std::vector<float> w = normal(outputs * columns, 2);
    std::vector<float> xq = x, wq = w;
    for (float& v : xq) v = std::nearbyint(v * 4) / 4;
    for (float& v : wq) v = std::nearbyint(v * 4) / 4;
    const LayerOutput layer(x, w, columns, 2);
    CHECK(layer.tokens() == 5);
    CHECK(layer.outputs() == outputs);
    const auto check = [&](const OutputSums& got, const Sums& wanted) {
      CHECK(got.outputs == 5 * outputs);
      CHECK(got.squared_error == Approx(static_cast<double>(wanted.error)).epsilon(1e-11));
      CHECK(got.squared_output == Approx(static_cast<double>(wanted.y2)).epsilon(1e-11));
      CHECK(got.squared_result == Approx(static_cast<double>(wanted.z2)).epsilon(1e-11));
      CHECK(got.product == Approx(static_cast<double>(wanted.yz)).epsilon(1e-11));
    };
    check(layer.compare(xq, wq, 2), by_loops(x, w, xq, wq, columns));
    check(layer.compare({}, wq, 2), by_loops(x, w, x, wq, columns));
    check(layer.compare(xq, {}, 2), by_loops(x, w, xq, w, columns));
    const OutputSums same = layer.compare({}, {}, 1);
    CHECK(same.squared_error == 0.0);
    CHECK(same.rel_l2() == 0.0);
    CHECK(std::isinf(same.sqnr_db()));
    CHECK(same.cosine() == 1.0);
    // Outputs given as such, in row order.
    std::vector<float> z(5 * outputs);
    Sums wanted;
    for (std::size_t t = 0; t < 5; ++t) {
      for (std::size_t o = 0; o < outputs; ++o) {
        long double y = 0;
        for (std::size_t k = 0; k < columns; ++k) {
          y += static_cast<long double>(x[t * columns + k]) * w[o * columns + k];
        }
        z[t * outputs + o] =
            static_cast<float>(y) + static_cast<float>(t) - 0.1F * static_cast<float>(o);
        const long double d = static_cast<long double>(z[t * outputs + o]) - y;
        wanted.error += d * d;
        wanted.y2 += y * y;
        wanted.z2 += static_cast<long double>(z[t * outputs + o]) * z[t * outputs + o];
        wanted.yz += y * z[t * outputs + o];
      }
    }
    check(layer.compare_outputs(z), wanted);
  }
}

TEST_CASE("no result depends on threads") {
  const std::vector<float> x = normal(50 * 100, 3);
  const std::vector<float> w = normal(300 * 100, 4);
  std::vector<float> wq = w;
  for (float& v : wq) v = std::nearbyint(v * 8) / 8;
  const OutputSums one = LayerOutput(x, w, 100, 1).compare({}, wq, 1);
  const OutputSums four = LayerOutput(x, w, 100, 4).compare({}, wq, 4);
  CHECK(std::bit_cast<std::uint64_t>(one.squared_error) ==
        std::bit_cast<std::uint64_t>(four.squared_error));
  CHECK(one.product == four.product);
  CHECK(one.squared_output == four.squared_output);
}

TEST_CASE("metrics") {
  const OutputSums sums{4, 1.0, 100.0, 81.0, 90.0};
  CHECK(sums.rel_l2() == Approx(0.1));
  CHECK(sums.sqnr_db() == Approx(20.0));
  CHECK(sums.cosine() == Approx(1.0));
  CHECK(OutputSums{4, 100.0, 100.0, 0.0, 0.0}.cosine() == 0.0);
  CHECK(std::isinf(OutputSums{1, 1.0, 0.0, 1.0, 0.0}.rel_l2()));
}

TEST_CASE("sizes that do not fit are refused") {
  const std::vector<float> x(20), w(30);
  CHECK_THROWS_AS(LayerOutput(x, w, 7, 1), Error);
  CHECK_THROWS_AS(LayerOutput(x, w, 0, 1), Error);
  CHECK_THROWS_AS(LayerOutput({}, w, 10, 1), Error);
  const LayerOutput layer(x, w, 10, 1);
  CHECK_THROWS_AS(layer.compare(w, {}, 1), Error);
  CHECK_THROWS_AS(layer.compare({}, x, 1), Error);
  CHECK_THROWS_AS(layer.compare_outputs(x), Error);
}

TEST_CASE("the query projection of the sample, as an independent numpy computation has it") {
  const TensorFile file =
      TensorFile::open(std::string(LOWBIT_TEST_DATA_DIR) + "/minilm_sample.safetensors");
  const std::string layer_name = "encoder.layer.3.attention.self.query";
  const std::vector<float> x = to_f32(file.at(layer_name + ".input"));
  const std::vector<float> w = to_f32(file.at(layer_name + ".weight"));
  const LayerOutput layer(x, w, 384, 2);
  struct Case {
    const char* format;
    ScaleRule rule;
    double both, weights;
  };
  for (const Case& c :
       {Case{"nvfp4", ScaleRule::static_6, 19.25, 22.20}, Case{"if4", ScaleRule::mse, 20.29, 23.47},
        Case{"mxfp4", ScaleRule::floor, 16.72, 20.18}}) {
    INFO(c.format);
    const std::vector<float> xq = through(x, 384, c.format, c.rule);
    const std::vector<float> wq = through(w, 384, c.format, c.rule);
    CHECK(std::fabs(layer.compare(xq, wq, 2).sqnr_db() - c.both) < 0.005);
    CHECK(std::fabs(layer.compare({}, wq, 2).sqnr_db() - c.weights) < 0.005);
  }
}
