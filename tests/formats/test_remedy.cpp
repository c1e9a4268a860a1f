// SPDX-License-Identifier: MIT
// Remedies: against scripts/remedy_model.py, a separate implementation in numpy
// (tests/data/remedy_vectors.safetensors, made by scripts/make_remedy_vectors.py), and by what must
// hold of each.
#include "lowbit/remedy.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>

#include "catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_error.hpp"
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

std::vector<float> read(const TensorInfo& tensor, std::size_t count) {
  std::vector<float> out(count);
  to_f32(tensor, 0, out);
  return out;
}

QuantizeOptions request_of(const std::string& format, const std::string& rule) {
  QuantizeOptions request;
  request.format = find_block_format(format);
  request.rule = find_scale_rule(rule);
  REQUIRE(request.format != nullptr);
  REQUIRE(request.rule.has_value());
  return request;
}

OutputSums error_of(const RemediedLayer& layer, const MatrixView& w, const MatrixView& x,
                    bool inputs, bool weights) {
  const LayerOutput output(x.values, w.values, w.columns, 1);
  return output.compare_operands(layer.input_operand(x, inputs), layer.weight_operand(weights),
                                 layer.operand_columns(), 1);
}

}  // namespace

TEST_CASE("remedies agree with the model in numpy") {
  const std::string folder = LOWBIT_TEST_DATA_DIR;
  const TensorFile sample = TensorFile::open(folder + "/minilm_sample.safetensors");
  const TensorFile vectors = TensorFile::open(folder + "/remedy_vectors.safetensors");
  const std::string name = "encoder.layer.3.attention.self.query";
  constexpr std::size_t rows = 16, columns = 384, tokens = 64;
  const std::vector<float> weights = read(sample.at(name + ".weight"), rows * columns);
  const std::vector<float> inputs = read(sample.at(name + ".input"), tokens * columns);
  const MatrixView w{weights, rows, columns};
  const MatrixView x{inputs, tokens, columns};
  std::size_t compared = 0;
  for (const TensorInfo& tensor : vectors.tensors()) {
    const std::string& key = tensor.name;
    INFO(key);
    const std::size_t slash = key.find('/');
    const std::size_t colon = key.find(':');
    const QuantizeOptions request =
        request_of(key.substr(0, colon), key.substr(colon + 1, slash - colon - 1));
    const RemediedLayer layer = Remedies::parse(key.substr(slash + 1)).apply(w, x, request);
    const std::vector<float> wanted = read(tensor, rows * columns);
    REQUIRE(layer.dequantized().size() == wanted.size());
    std::size_t different = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i)
      different += layer.dequantized()[i] != wanted[i];
    CHECK(static_cast<double>(different) <= 0.001 * static_cast<double>(wanted.size()));
    std::istringstream numbers(vectors.metadata().at(key));
    double weights_only = 0.0;
    double both = 0.0;
    numbers >> weights_only >> both;
    REQUIRE(both > 0.0);
    CHECK(error_of(layer, w, x, false, true).sqnr_db() == Approx(weights_only).margin(0.02));
    CHECK(error_of(layer, w, x, true, true).sqnr_db() == Approx(both).margin(0.02));
    ++compared;
  }
  CHECK(compared == 32);
}

TEST_CASE("transforms alone leave the layer's output as it is") {
  constexpr std::size_t rows = 8, columns = 96, tokens = 5;  // 96 = 12 * 8: a Paley factor
  const std::vector<float> weights = normal(rows * columns, 1);
  std::vector<float> inputs = normal(tokens * columns, 2);
  for (std::size_t t = 0; t < tokens; ++t) inputs[t * columns + 17] *= 50.0F;
  const MatrixView w{weights, rows, columns};
  const MatrixView x{inputs, tokens, columns};
  const QuantizeOptions request = request_of("nvfp4", "mse");
  for (const char* list : {"hadamard", "hadamard:16", "hadamard:32:9", "hadamard:full", "smooth",
                           "smooth:0", "smooth:1", "awq", "sort", "sort:inputs", "svd:3", "arc",
                           "smooth,hadamard:full,sort,svd:2,gptq", "gptq:act"}) {
    INFO(list);
    const RemediedLayer layer = Remedies::parse(list).apply(w, x, request);
    CHECK(error_of(layer, w, x, false, false).rel_l2() < 2e-6);
    // And quantized, it is near: nothing is lost but by rounding.
    const double error = error_of(layer, w, x, true, true).rel_l2();
    CHECK(error > 1e-3);
    CHECK(error < 0.3);
  }
}

TEST_CASE("AWQ takes the best of its twenty exponents, the first and the last too") {
  constexpr std::size_t outputs = 16, columns = 64, tokens = 64;
  const QuantizeOptions request = request_of("nvfp4", "mse");
  int smallest = 20;
  int largest = 0;
  for (unsigned seed = 1; seed <= 32; ++seed) {
    const std::vector<float> w = normal(outputs * columns, seed);
    std::vector<float> x = normal(tokens * columns, seed + 100);
    // One salient column in each block, by much or by little.
    for (std::size_t i = 3; i < x.size(); i += 16) x[i] *= seed <= 8 ? 3.0F : 1.25F;
    // A column without inputs takes the least factor.
    for (std::size_t i = 7; seed % 8 == 0 && i < x.size(); i += columns) x[i] = 0.0F;
    std::vector<double> mean(columns, 0.0);
    for (std::size_t i = 0; i < x.size(); ++i) mean[i % columns] += std::fabs(x[i]);
    int best = 0;
    long double least = 0;
    std::vector<double> wanted;
    for (int step = 0; step < 20; ++step) {
      std::vector<double> s(columns);
      for (std::size_t j = 0; j < columns; ++j) {
        s[j] = std::max(std::pow(mean[j] / tokens, step / 20.0), 1e-4);
      }
      const double middle =
          std::sqrt(*std::max_element(s.begin(), s.end()) * *std::min_element(s.begin(), s.end()));
      std::vector<float> scaled(w.size()), back(w.size());
      for (std::size_t i = 0; i < w.size(); ++i) {
        s[i % columns] /= i < columns ? middle : 1.0;
        scaled[i] = static_cast<float>(w[i] * s[i % columns]);
      }
      dequantize(quantize(scaled, outputs, columns, request), back);
      long double error = 0;
      for (std::size_t t = 0; t < tokens; ++t) {
        for (std::size_t o = 0; o < outputs; ++o) {
          long double sum = 0;
          for (std::size_t j = 0; j < columns; ++j) {
            const std::size_t i = o * columns + j;
            sum += (back[i] / s[j] - static_cast<double>(w[i])) * x[t * columns + j];
          }
          error += sum * sum;
        }
      }
      if (step != 0 && error >= least) continue;
      best = step;
      least = error;
      wanted = s;
    }
    const RemediedLayer layer =
        Remedies::parse("awq").apply({w, outputs, columns}, {x, tokens, columns}, request);
    const std::vector<float> found = layer.transforms()[0]->learned();
    INFO(seed << ": best at step " << best);
    REQUIRE(found.size() == columns);
    for (std::size_t j = 0; j < columns; ++j) CHECK(found[j] == Approx(wanted[j]).epsilon(1e-6));
    smallest = std::min(smallest, best);
    largest = std::max(largest, best);
  }
  CHECK(smallest == 0);
  CHECK(largest == 19);
}

TEST_CASE("SmoothQuant's factors, with columns of zeros and of tiny weights") {
  // Columns of 16, of which four matter: usual, without inputs, without weights, with tiny weights.
  std::vector<float> w(2 * 16, 0.5F);
  std::vector<float> x(3 * 16, 1.0F);
  w[16] = -2.0F;
  x[32] = -8.0F;
  for (const std::size_t row : {0, 16, 32}) x[row + 1] = 0.0F;
  for (const std::size_t row : {0, 16}) w[row + 2] = 0.0F;
  for (const std::size_t row : {0, 16}) w[row + 3] = 0.001F;
  const QuantizeOptions request = request_of("nvfp4", "mse");
  for (const double alpha : {0.5, 0.75}) {
    const auto factors = Remedies::parse(alpha == 0.5 ? "smooth" : "smooth:0.75")
                             .apply({w, 2, 16}, {x, 3, 16}, request)
                             .transforms()[0]
                             ->learned();
    const double beta = 1.0 - alpha;
    CHECK(factors[0] == Approx(std::pow(8.0, alpha) / std::pow(2.0, beta)));
    CHECK(factors[1] == 1.0F);
    CHECK(factors[2] == Approx(1.0 / std::pow(1e-5, beta)));
    CHECK(factors[3] == Approx(1.0 / std::pow(0.001, beta)));
    CHECK(factors[4] == Approx(1.0 / std::pow(0.5, beta)));
  }
  // The least factor.
  std::vector<float> large(w);
  for (float& v : large) v = 1e30F;
  for (float& v : x) v = 1e-10F;
  CHECK(Remedies::parse("smooth:0")
            .apply({large, 2, 16}, {x, 3, 16}, request)
            .transforms()[0]
            ->learned()[0] == 1e-5F);
}

TEST_CASE(
    "a remedy's steps are named with their values, and those that depend on names are found") {
  const std::vector<float> weights = normal(4 * 64, 5);
  const std::vector<float> inputs = normal(8 * 64, 6);
  const QuantizeOptions request = request_of("nvfp4", "mse");
  const RemediedLayer layer = Remedies::parse("smooth:0.25,hadamard:32:7,sort,svd:2,gptq:act")
                                  .apply({weights, 4, 64}, {inputs, 8, 64}, request);
  CHECK(layer.steps() ==
        std::vector<std::string>{"smooth:0.25", "hadamard:32:7", "sort", "svd:2", "gptq:act"});
  REQUIRE(layer.transforms().size() == 3);
  CHECK(layer.transforms()[0]->learned().size() == 64);
  CHECK(layer.transforms()[1]->learned().empty());
  CHECK(layer.transforms()[2]->learned().size() == 64);
  CHECK(layer.rank() == 2);
  for (const char* name :
       {"hadamard", "hadamard:16:0", "hadamard:64:4294967295", "hadamard:full:3"}) {
    INFO(name);
    const auto found = find_transform(name);
    REQUIRE(found != nullptr);
    CHECK(found->name() == name);
  }
  for (const char* name :
       {"hadamard:16", "hadamard:8:1", "hadamard:48:1", "hadamard:16:4294967296", "hadamard:16:x",
        "hadamard:full", "hadamard::1", "smooth:0.5", "awq", "sort", "", "hadamard:16:1:1"}) {
    INFO(name);
    CHECK(find_transform(name) == nullptr);
  }
  CHECK(Remedies::parse("hadamard,hadamard:full:2").fixed().size() == 2);
  for (const char* list : {"hadamard,sort", "smooth", "svd:2", "hadamard,gptq", "arc", ""}) {
    INFO(list);
    CHECK(Remedies::parse(list).fixed().empty());
  }
}

TEST_CASE("rotations are orthogonal, of every order that they take") {
  for (const std::size_t columns : {16U, 48U, 80U, 96U, 112U, 384U}) {
    INFO(columns);
    std::vector<float> unit(columns * columns, 0.0F);
    for (std::size_t i = 0; i < columns; ++i) unit[i * columns + i] = 1.0F;
    const Remedies full = Remedies::parse("hadamard:full:5");
    if (columns == 112) {  // 7 * 16, and 28 is no order of Paley's first construction
      CHECK_THROWS_AS(full.apply({unit, columns, columns}, {}, request_of("nvfp4", "mse")), Error);
      continue;
    }
    const std::vector<float> t =
        full.apply({unit, columns, columns}, {}, request_of("nvfp4", "mse")).weights();
    for (std::size_t i = 0; i < columns; ++i) {
      CHECK(std::fabs(t[i * columns]) == Approx(1.0 / std::sqrt(static_cast<double>(columns))));
      for (std::size_t j = 0; j <= i; ++j) {
        double product = 0.0;
        for (std::size_t k = 0; k < columns; ++k) {
          product += static_cast<double>(t[i * columns + k]) * t[j * columns + k];
        }
        if (std::fabs(product - (i == j ? 1.0 : 0.0)) > 1e-6)
          FAIL(i << ", " << j << ": " << product);
      }
    }
  }
}

TEST_CASE("seeds change the rotation, and the default is 1") {
  const std::vector<float> weights = normal(2 * 64, 3);
  const auto rotated = [&](const char* list) {
    return Remedies::parse(list).apply({weights, 2, 64}, {}, request_of("nvfp4", "mse")).weights();
  };
  CHECK(rotated("hadamard:64") == rotated("hadamard:64:1"));
  CHECK(rotated("hadamard:64") == rotated("hadamard:full"));
  CHECK(rotated("hadamard:64") != rotated("hadamard:64:2"));
  CHECK(rotated("hadamard:32") != rotated("hadamard:64"));
}

TEST_CASE("gptq keeps scale bytes and compensates what it rounds") {
  constexpr std::size_t rows = 24, columns = 64, tokens = 40;
  const std::vector<float> weights = normal(rows * columns, 4);
  // Inputs of few directions: there is much to compensate.
  const std::vector<float> few = normal(tokens * 6, 5);
  const std::vector<float> directions = normal(6 * columns, 6);
  std::vector<float> inputs(tokens * columns, 0.0F);
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t d = 0; d < 6; ++d) {
      for (std::size_t c = 0; c < columns; ++c) {
        inputs[t * columns + c] += few[t * 6 + d] * directions[d * columns + c];
      }
    }
  }
  for (std::size_t t = 0; t < tokens; ++t) inputs[t * columns + 9] = 0.0F;  // a dead column
  const MatrixView w{weights, rows, columns};
  const MatrixView x{inputs, tokens, columns};
  for (const char* format : {"nvfp4", "if4", "mxfp4", "mxint8", "if3"}) {
    INFO(format);
    QuantizeOptions request;
    request.format = find_block_format(format);
    const BlockTensor plain = quantize(weights, rows, columns, request);
    for (const char* list : {"gptq", "gptq:act"}) {
      const RemediedLayer layer = Remedies::parse(list).apply(w, x, request);
      CHECK(layer.quantized().scales == plain.scales);
      CHECK(layer.quantized().amax == plain.amax);
      CHECK(layer.quantized().values != plain.values);
      for (std::size_t r = 0; r < rows; ++r) CHECK(layer.dequantized()[r * columns + 9] == 0.0F);
      const RemediedLayer base = Remedies::parse("").apply(w, x, request);
      CHECK(base.quantized().values == plain.values);
      CHECK(error_of(layer, w, x, false, true).rel_l2() <
            0.6 * error_of(base, w, x, false, true).rel_l2());
    }
  }
}

TEST_CASE("a branch carries what has its rank, and costs what it says") {
  constexpr std::size_t rows = 40, columns = 32;
  const std::vector<float> a = normal(rows * 2, 7);
  const std::vector<float> b = normal(2 * columns, 8);
  std::vector<float> weights(rows * columns);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] =
        a[i / columns * 2] * b[i % columns] + a[i / columns * 2 + 1] * b[columns + i % columns];
  }
  const std::vector<float> inputs = normal(7 * columns, 9);
  const MatrixView w{weights, rows, columns};
  const MatrixView x{inputs, 7, columns};
  for (const bool wide : {false, true}) {
    // The Gram matrix of either side.
    const MatrixView m = wide ? MatrixView{weights, columns, rows} : w;
    const RemediedLayer layer = Remedies::parse("svd:2").apply(m, {}, request_of("nvfp4", "mse"));
    double rest = 0.0;
    double all = 0.0;
    for (const float v : layer.weights()) rest += static_cast<double>(v) * v;
    for (const float v : weights) all += static_cast<double>(v) * v;
    if (!wide) CHECK(std::sqrt(rest / all) < 0.005);  // BF16 has 8 bits
    CHECK(layer.cost().bits == 16.0 * 2 * (rows + columns));
    CHECK(layer.cost().multiply_adds == 2.0 * (rows + columns));
  }
  const RemediedLayer layer = Remedies::parse("svd:2").apply(w, {}, request_of("nvfp4", "mse"));
  CHECK(error_of(layer, w, x, false, true).rel_l2() < 0.01);
}

TEST_CASE("arc repeats the columns of outliers") {
  constexpr std::size_t rows = 4, columns = 64, tokens = 12;
  const std::vector<float> weights = normal(rows * columns, 10);
  std::vector<float> inputs = normal(tokens * columns, 11);
  for (float& v : inputs) v = std::min(std::max(v, -2.0F), 2.0F);
  for (std::size_t t = 0; t < tokens; ++t) {
    inputs[t * columns + 40] = t == 0 ? 32.0F : 1.0F;
    inputs[t * columns + 3] = t == 1 ? -8.0F : 1.0F;
  }
  const MatrixView w{weights, rows, columns};
  const MatrixView x{inputs, tokens, columns};
  const QuantizeOptions request = request_of("nvfp4", "mse");
  const RemediedLayer layer = Remedies::parse("arc").apply(w, x, request);
  // Two columns are above 32 / 8: one block.
  CHECK(layer.operand_columns() == columns + 16);
  CHECK(layer.cost().multiply_adds == rows * 16.0);
  CHECK(layer.weights()[0] == weights[40]);
  CHECK(layer.weights()[1] == weights[3]);
  const RemediedLayer base = Remedies::parse("").apply(w, x, request);
  CHECK(error_of(layer, w, x, true, false).rel_l2() <
        0.8 * error_of(base, w, x, true, false).rel_l2());
  // All columns alike: all of them have residuals.
  const std::vector<float> ones(tokens * columns, 1.0F);
  CHECK(Remedies::parse("arc").apply(w, {ones, tokens, columns}, request).operand_columns() ==
        2 * columns);
}

TEST_CASE("lists that do not exist are refused with one line") {
  for (const char* list : {"gptq,smooth",
                           "svd,arc",
                           "gptq,gptq",
                           "gptq,svd",
                           "nothing",
                           "hadamard:8",
                           "hadamard:24",
                           "hadamard:16:x",
                           "hadamard:16:4294967296",
                           "hadamard:16:1:1",
                           "smooth:2",
                           "smooth:-1",
                           "smooth:nan",
                           "smooth:",
                           "svd:0",
                           "svd:x",
                           "awq:1",
                           "sort:weights",
                           "gptq:desc",
                           ",",
                           "smooth,"}) {
    INFO(list);
    try {
      static_cast<void>(Remedies::parse(list));
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
  const std::vector<float> weights = normal(4 * 40, 12);
  const MatrixView w{weights, 4, 40};
  const QuantizeOptions request = request_of("nvfp4", "mse");
  CHECK_THROWS_AS(Remedies::parse("smooth").apply(w, {}, request), Error);
  CHECK_THROWS_AS(Remedies::parse("hadamard:16").apply(w, {}, request), Error);
  CHECK_THROWS_AS(Remedies::parse("hadamard").apply(w, {}, request), Error);
  CHECK_THROWS_AS(Remedies::parse("svd:5").apply(w, {}, request), Error);
  const std::vector<float> inputs = normal(40, 13);
  CHECK_THROWS_AS(Remedies::parse("gptq").apply(w, {inputs, 1, 40}, request_of("nvfp4", "optimal")),
                  Error);
  CHECK(Remedies::parse("smooth,svd").needs_inputs());
  CHECK(Remedies::parse("sort:inputs").needs_inputs());
  CHECK(!Remedies::parse("hadamard:full,sort,svd").needs_inputs());
  CHECK(Remedies::parse("").empty());
}
