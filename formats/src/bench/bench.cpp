// SPDX-License-Identifier: MIT
#include "lowbit/bench.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>

#include "dequantize/value_table.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/metrics.hpp"
#include "quantize/engine.hpp"
#include "quantize/vector/vector_engine.hpp"

namespace lowbit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t chunk_elements = std::size_t{1} << 16;
constexpr std::size_t memory_bytes = std::size_t{1} << 28;

/// The compiler takes the value for used.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

/// \return the seconds of the fastest call.
template <typename Work>
double fastest(double seconds, const Work& work) {
  double best = std::numeric_limits<double>::infinity();
  const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                   std::chrono::duration<double>(seconds));
  Clock::time_point now;
  do {
    const Clock::time_point begin = Clock::now();
    work();
    now = Clock::now();
    best = std::min(best, std::chrono::duration<double>(now - begin).count());
  } while (now < end);
  return best;
}

class Bench {
 public:
  Bench(double seconds, const std::function<void(const BenchResult&)>& done)
      : seconds_(seconds), done_(done), values_(chunk_elements) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0F, 0.02F);
    for (float& v : values_) v = normal(random);
    for (const float v : values_) amax_ = std::max(amax_, std::fabs(v));
  }

  std::vector<BenchResult> run() {
    memory();
    add({"amax", "", "", "F32", detail::vector_target_name()}, chunk_elements, 4.0,
        [&] { keep(detail::top_magnitude(values_.data(), values_.size())); });
    for (const BlockFormat& format : block_formats()) {
      bool first = true;
      for (const ScaleRule rule : scale_rules()) {
        if (!is_valid_rule(format, rule)) continue;
        one_rule(format, rule, first);
        first = false;
      }
    }
    return std::move(results_);
  }

 private:
  template <typename Work>
  void add(BenchResult result, std::size_t elements, double bytes_per_element, const Work& work) {
    const double time = fastest(seconds_, work);
    result.elements_per_second = static_cast<double>(elements) / time;
    result.bytes_per_second = result.elements_per_second * bytes_per_element;
    results_.push_back(result);
    if (done_) done_(result);
  }

  /// Plain loops over memory that no cache holds.
  void memory() {
    std::vector<float> all(memory_bytes / sizeof(float), 1.0F);
    add({"read", "", "", "F32", detail::vector_target_name()}, all.size(), 4.0,
        [&] { keep(detail::top_magnitude(all.data(), all.size())); });
    add({"write", "", "", "F32", detail::vector_target_name()}, all.size(), 4.0, [&] {
      std::memset(all.data(), 1, memory_bytes);
      keep(all.front());
    });
  }

  void one_rule(const BlockFormat& format, ScaleRule rule, bool with_dequantize) {
    QuantizeOptions options;
    options.format = &format;
    options.rule = rule;
    const detail::TensorConstants constants = detail::make_constants(options, amax_);
    const detail::Engine& engine = detail::engine_for(constants);
    detail::BlockRun run;
    run.x = values_.data();
    run.original = values_.data();
    run.blocks = chunk_elements / static_cast<std::size_t>(format.block_size);
    run.blocks_per_row = run.blocks;
    run.last_columns = static_cast<std::size_t>(format.block_size);
    run.original_stride = chunk_elements;
    const double coded = (format.storage_bits() + 8.0 / format.block_size) / 8.0;
    const std::string_view name = lowbit::name_of(rule);

    BlockTensor coded_tensor;
    coded_tensor.format = &format;
    coded_tensor.rows = 1;
    coded_tensor.columns = chunk_elements;
    coded_tensor.values.resize(coded_tensor.value_bytes_per_row());
    coded_tensor.scales.resize(run.blocks);
    coded_tensor.amax = constants.amax;
    coded_tensor.encode_constant = constants.encode_constant;
    add({"quantize", format.name, name, "F32", engine.name}, chunk_elements, 4.0 + coded, [&] {
      engine.quantize(constants, run, *scratch_,
                      {coded_tensor.values.data(), coded_tensor.scales.data(), nullptr});
    });
    detail::ValueTable table(format, constants.amax, constants.encode_constant, canonical);
    if (with_dequantize) dequantization(coded_tensor, table, coded);
    add({"eval", format.name, name, "F32", engine.name}, chunk_elements, 4.0, [&] {
      ErrorStatistics sums;
      engine.measure(constants, run, *scratch_, table, sums);
      keep(sums);
    });
  }

  /// Without the table of values where a vector kernel reads it: its few dozen microseconds are
  /// spent once per tensor, and tensors are larger than this one.
  void dequantization(const BlockTensor& tensor, detail::ValueTable& table, double coded) {
    const BlockFormat& format = *tensor.format;
    const auto size = static_cast<std::size_t>(format.block_size);
    std::vector<float> out(chunk_elements);
    const bool vector = size % 16 == 0;
    add({"dequantize", format.name, "", "F32",
         vector ? detail::vector_target_name() : std::string_view("scalar")},
        chunk_elements, 4.0 + coded, [&] {
          if (!vector) return dequantize(tensor, out);
          detail::expand(format, tensor.values.data(), tensor.scales.data(), tensor.scales.size(),
                         table, out.data());
        });
  }

  double seconds_;
  const std::function<void(const BenchResult&)>& done_;
  std::vector<float> values_;
  float amax_ = 0.0F;
  std::unique_ptr<detail::BlockScratch> scratch_ = std::make_unique<detail::BlockScratch>();
  std::vector<BenchResult> results_;
};

}  // namespace

std::vector<BenchResult> bench(double seconds,
                               const std::function<void(const BenchResult&)>& done) {
  return Bench(seconds, done).run();
}

bool has_vector_kernel(const QuantizeOptions& options) {
  return detail::vector_engine(detail::make_constants(options, 1.0F)) != nullptr;
}

}  // namespace lowbit
