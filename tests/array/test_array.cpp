// SPDX-License-Identifier: MIT
// The array's event replay against the SystemC model that steps every cycle, the closed form where
// there is one, and the stepped outputs against the exact GEMM.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>

#include "catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/sim/array_systemc.hpp"

using namespace lowbit;
using namespace lowbit::sim;

namespace {

void compare(const ArrayConfig& config, const GemmShape& shape) {
  INFO(config.rows << "x" << config.columns << " flow " << static_cast<int>(config.dataflow) << " "
                   << shape.m << "," << shape.n << "," << shape.k << " GB/s "
                   << config.bandwidth_gb_s << " latency " << config.memory_latency << " buffer "
                   << config.buffer_bytes << " quantizer " << static_cast<int>(config.quantizer));
  std::vector<TileTiming> replayed, stepped;
  const ArrayResult a = replay_layer(config, shape, &replayed);
  const ArrayResult b = step_layer(config, shape, nullptr, &stepped);
  CHECK(a.cycles == b.cycles);
  CHECK(a.beats == b.beats);
  CHECK(a.wait_memory == b.wait_memory);
  CHECK(a.wait_interval == b.wait_interval);
  CHECK(a.bytes_read == b.bytes_read);
  CHECK(a.bytes_written == b.bytes_written);
  REQUIRE(replayed.size() == stepped.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < stepped.size(); ++i) {
    wrong += replayed[i].issued != stepped[i].issued || replayed[i].loaded != stepped[i].loaded ||
             replayed[i].started != stepped[i].started || replayed[i].drained != stepped[i].drained;
  }
  CHECK(wrong == 0);
}

BlockTensor random_tensor(std::size_t rows, std::size_t columns, unsigned seed,
                          const char* format = "if4") {
  std::mt19937 g(seed);
  std::normal_distribution<float> noise;
  std::vector<float> x(rows * columns);
  for (float& v : x) v = noise(g) * (g() % 16 == 0 ? 20.0F : 1.0F);
  QuantizeOptions options;
  options.format = find_block_format(format);
  return quantize(x, rows, columns, options);
}

}  // namespace

TEST_CASE("the event replay is the stepped model, tile by tile") {
  std::mt19937 g(1);
  for (int i = 0; i < 400; ++i) {
    ArrayConfig config;
    config.rows = 1 + static_cast<int>(g() % 20);
    config.columns = 1 + static_cast<int>(g() % 20);
    config.dataflow = g() % 2 == 0 ? Dataflow::output_stationary : Dataflow::weight_stationary;
    config.bandwidth_gb_s = 0.1 * static_cast<double>(1 + g() % 400);
    config.memory_latency = static_cast<int>(g() % 3 == 0 ? 0 : g() % 300);
    if (g() % 3 == 0) config.buffer_bytes = 1 << 20;
    config.quantizer = static_cast<QuantizerMode>(g() % 3);
    config.candidates = 1 + static_cast<int>(g() % 2);
    config.unit_latency = 1 + static_cast<int>(g() % 6);
    const auto size = [&](unsigned limit) { return static_cast<std::int64_t>(1 + g() % limit); };
    compare(config, {"", size(70), size(70), size(600), 1});
  }
}

TEST_CASE("without memory limits a layer takes the closed form") {
  for (const Dataflow flow : {Dataflow::output_stationary, Dataflow::weight_stationary}) {
    ArrayConfig config;
    config.rows = 8;
    config.columns = 4;
    config.dataflow = flow;
    config.bandwidth_gb_s = 1e9;
    config.memory_latency = 0;
    const GemmShape shape{"", 64, 32, 2048, 1};
    std::vector<TileTiming> trace;
    const ArrayResult result = replay_layer(config, shape, &trace);
    // The first load costs its request, one transfer slot and its arrival; the write one slot more.
    CHECK(result.cycles - trace.front().started - 1 == ideal_cycles(config, shape));
    CHECK(result.wait_memory == trace.front().started);
  }
}

TEST_CASE("stepping with data gives the exact GEMM") {
  for (const Dataflow flow : {Dataflow::output_stationary, Dataflow::weight_stationary}) {
    for (const char* format : {"if4", "nvfp4", "if6_e2m3"}) {
      const std::size_t m = 21, n = 19, k = 200;  // nothing is a multiple of anything
      const BlockTensor a = random_tensor(m, k, 2, format);
      const BlockTensor w = random_tensor(n, k, 3, format);
      ArrayConfig config;
      config.rows = 5;
      config.columns = 7;
      config.dataflow = flow;
      ArrayData data;
      data.a = &a;
      data.w = &w;
      // The units' own latency, not the timing rules', says when the last result leaves.
      std::int64_t cycle = 0, last_output = -1;
      data.observer = [&](const EdgeBeat&, const std::vector<GridOutput>& outputs) {
        if (!outputs.empty()) last_output = cycle;
        ++cycle;
      };
      std::vector<TileTiming> timings;
      const ArrayResult result = step_layer(config, {"", m, n, k, 1}, &data, &timings);
      CHECK(last_output == timings.back().drained);
      CHECK(result.cycles == replay_layer(config, {"", m, n, k, 1}).cycles);
      const auto want = exact_gemm_values(a, w);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < want.size(); ++i) wrong += !(want[i] == data.outputs[i]);
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("what bounds a layer is named") {
  ArrayConfig config;
  config.bandwidth_gb_s = 1e6;
  CHECK(replay_layer(config, {"", 512, 512, 4096, 1}).bound == Bound::compute);
  // One of sixteen rows has work; nine of sixteen.
  CHECK(replay_layer(config, {"", 1, 512, 4096, 1}).bound == Bound::shape);
  CHECK(replay_layer(config, {"", 9, 512, 4096, 1}).bound == Bound::compute);
  config.bandwidth_gb_s = 1;
  CHECK(replay_layer(config, {"", 512, 512, 4096, 1}).bound == Bound::memory);
  config.bandwidth_gb_s = 1e6;
  config.memory_latency = 0;
  // Three blocks of K against sixteen columns to drain.
  CHECK(replay_layer(config, {"", 512, 512, 48, 1}).bound == Bound::drain);
  config.dataflow = Dataflow::weight_stationary;
  CHECK(replay_layer(config, {"", 4, 512, 4096, 1}).bound == Bound::weights);
  config.quantizer = QuantizerMode::measured_amax;
  config.quantizer_rate = 1;
  CHECK(replay_layer(config, {"", 64, 16, 4096, 1}).bound == Bound::quantizer);
}

TEST_CASE("requests that have no meaning are refused") {
  ArrayConfig config;
  CHECK_THROWS_AS(replay_layer(config, {"", 0, 1, 1, 1}), Error);
  config.rows = 0;
  CHECK_THROWS_AS(replay_layer(config, {"", 1, 1, 1, 1}), Error);
  config.rows = 16;
  config.buffer_bytes = 100;
  CHECK_THROWS_AS(replay_layer(config, {"", 16, 16, 4096, 1}), Error);
  // More tiles than can be replayed, more cycles than 63 bits hold.
  const std::int64_t huge = (std::int64_t{1} << 31) - 1;
  ArrayConfig one;
  one.rows = one.columns = 1;
  CHECK_THROWS_AS(replay_layer(one, {"", huge, huge, huge, 1}), Error);
  ArrayConfig slow;
  slow.bandwidth_gb_s = 1e-300;
  CHECK_THROWS_AS(replay_layer(slow, {"", 5, 5, 5, 1}), Error);
  CHECK(replay_layer(ArrayConfig{}, {"", 1, 1 << 16, huge, 1}).cycles > 0);
  const std::string path = "test_array_shapes.json";  // in the test's working directory
  for (const char* text :
       {"", "{", "[]", "{\"gemms\": []}", "{\"gemms\": [1]}", "{\"gemms\": [{\"n\": 1}]}",
        "{\"gemms\": [{\"n\": -1, \"k\": 2}]}", "{\"gemms\": [{\"n\": 1e99, \"k\": 2}]}"}) {
    std::ofstream(path) << text;
    INFO(text);
    CHECK_THROWS_AS(read_model_shapes(path, 1), Error);
  }
  std::remove(path.c_str());
  CHECK_THROWS_AS(read_model_shapes(path, 1), Error);
}

TEST_CASE("cycles a second", "[.][speed]") {
  ArrayConfig config;
  config.bandwidth_gb_s = 1000;
  const auto timed = [](const char* what, auto run) {
    const auto begin = std::chrono::steady_clock::now();
    const ArrayResult r = run();
    const std::chrono::duration<double> t = std::chrono::steady_clock::now() - begin;
    std::printf("%s: %.3g cycles in %.2f s, %.3g cycles/s\n", what, static_cast<double>(r.cycles),
                t.count(), static_cast<double>(r.cycles) / t.count());
  };
  timed("stepped, timing only", [&] { return step_layer(config, {"", 2048, 2048, 1024, 1}); });
  const BlockTensor a = random_tensor(256, 1024, 2);
  const BlockTensor w = random_tensor(256, 1024, 3);
  timed("stepped with data", [&] {
    ArrayData data;
    data.a = &a;
    data.w = &w;
    return step_layer(config, {"", 256, 256, 1024, 1}, &data);
  });
  timed("replayed", [&] { return replay_layer(config, {"", 2048, 14336, 4096, 1}); });
}
