// SPDX-License-Identifier: MIT
// Whole tensors in memory on several threads: the same bytes, values and errors as on one.
#include <bit>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "dequantize/dequantize_with.hpp"
#include "formats/normal_values.hpp"
#include "lowbit/dequantize_as.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"

namespace {

using namespace lowbit;

struct Shape {
  std::size_t rows, columns;
};
/// Pieces of many rows, of one row, of which the last is short; one piece alone; padding.
constexpr Shape shapes[] = {{700, 190}, {300, 1024}, {5, 70001}, {1, 200000}, {3, 5}, {0, 32}};

QuantizeOptions request(const char* format) {
  QuantizeOptions options;
  options.format = find_block_format(format);
  return options;
}

struct Quantized {
  BlockTensor tensor;
  std::vector<BlockChoice> choices;
};

Quantized quantized(const std::vector<float>& x, Shape shape, const QuantizeOptions& options,
                    unsigned threads) {
  BlockTensor empty;
  empty.format = options.format;
  empty.rows = shape.rows;
  empty.columns = shape.columns;
  Quantized q;
  q.choices.resize(shape.rows * empty.blocks_per_row(), BlockChoice::only);
  q.tensor = quantize(x, shape.rows, shape.columns, options, q.choices, threads);
  return q;
}

void compare(const std::vector<float>& x, Shape shape, const QuantizeOptions& options) {
  INFO(options.format->name << ", " << shape.rows << " x " << shape.columns);
  const Quantized one = quantized(x, shape, options, 1);
  std::vector<float> back(x.size()), half(x.size());
  dequantize(one.tensor, back, nullptr, 1);
  dequantize_as(dtype_bf16, one.tensor, canonical, half, 1);
  for (const unsigned threads : {0U, 3U}) {
    INFO(threads << " threads");
    const Quantized several = quantized(x, shape, options, threads);
    CHECK(several.tensor.values == one.tensor.values);
    CHECK(several.tensor.scales == one.tensor.scales);
    CHECK(std::bit_cast<std::uint32_t>(several.tensor.amax) ==
          std::bit_cast<std::uint32_t>(one.tensor.amax));
    CHECK(several.choices == one.choices);
    std::vector<float> values(x.size(), 7.0F);
    dequantize(one.tensor, values, nullptr, threads);
    CHECK(values == back);
    dequantize_as(dtype_bf16, one.tensor, canonical, values, threads);
    CHECK(values == half);
  }
}

/// Lets calls wait for each other: whether two threads were in here.
class Meeting {
 public:
  void attend() {
    std::unique_lock lock(mutex_);
    threads_.insert(std::this_thread::get_id());
    arrived_.notify_all();
    if (given_up_) return;
    given_up_ =
        !arrived_.wait_for(lock, std::chrono::minutes(2), [&] { return threads_.size() > 1; });
  }
  [[nodiscard]] bool took_place() const { return threads_.size() > 1; }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::set<std::thread::id> threads_;
  bool given_up_ = false;
};

class MeetingTransform final : public Transform {
 public:
  explicit MeetingTransform(Meeting& meeting) : meeting_(meeting) {}
  [[nodiscard]] std::string name() const override { return "meeting"; }
  [[nodiscard]] std::size_t group_columns() const override { return 0; }
  [[nodiscard]] TransformCost cost(std::size_t, std::size_t) const override { return {}; }
  void apply_to_weights(std::span<float>, InputType) const override { meeting_.attend(); }
  void apply_to_inputs(std::span<float>, InputType) const override { meeting_.attend(); }

 private:
  Meeting& meeting_;
};

}  // namespace

TEST_CASE("what is quantized and dequantized does not depend on the number of threads") {
  for (const Shape shape : shapes) {
    const std::vector<float> x = values_of(shape.rows * shape.columns);
    for (const char* format : {"nvfp4", "if4", "if6_e2m3", "mxfp4", "nvfp4_bs8", "mxint8"}) {
      compare(x, shape, request(format));
    }
    QuantizeOptions square = request("nvfp4");
    square.block_2d = true;
    square.rule = ScaleRule::mse;
    compare(x, shape, square);
    QuantizeOptions stochastic = request("nvfp4");
    stochastic.rounding = ElementRounding::stochastic;
    std::vector<float> random((shape.columns + 15) / 16 * 16 * shape.rows);
    std::mt19937 bits(5);
    for (float& r : random) r = static_cast<float>(bits() >> 8) * 0x1p-24F;
    stochastic.random0 = random;
    compare(x, shape, stochastic);
  }
}

TEST_CASE("of several elements that are not finite the first one is named") {
  std::vector<float> x = values_of(700 * 190);
  x[690 * 190 + 3] = std::numeric_limits<float>::infinity();
  x[350 * 190 + 7] = std::numeric_limits<float>::quiet_NaN();
  for (const unsigned threads : {1U, 2U, 7U}) {
    std::string message;
    try {
      static_cast<void>(quantize(x, 700, 190, request("nvfp4"), {}, threads));
    } catch (const Error& error) {
      message = error.what();
    }
    CHECK(message.find("row 350, column 7") != std::string::npos);
  }
}

TEST_CASE("two threads quantize and dequantize at a time") {
  const std::vector<float> x = values_of(300 * 1024);
  Meeting quantizing, dequantizing;
  QuantizeOptions options = request("nvfp4");
  options.amax = 1.0F;
  options.transforms = {std::make_shared<MeetingTransform>(quantizing)};
  const BlockTensor q = quantize(x, 300, 1024, options, {}, 2);
  CHECK(quantizing.took_place());
  std::vector<float> out(x.size());
  detail::dequantize_with(q, out, 2, [&] {
    dequantizing.attend();
    return detail::ValueTable(*q.format, q.amax, q.encode_constant, canonical);
  });
  CHECK(dequantizing.took_place());
}
