// SPDX-License-Identifier: MIT
#include "lowbit/bench.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <set>
#include <span>

#include "bench/kernel_case.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/quantize_into.hpp"
#include "quantize/vector/vector_engine.hpp"

namespace lowbit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t chunk_elements = std::size_t{1} << 16;
constexpr std::size_t tensor_elements = std::size_t{1} << 24;
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
      : seconds_(seconds), done_(done), values_(detail::bench_values(chunk_elements)) {}

  std::vector<BenchResult> run() {
    memory();
    add({"amax", "", "", "F32", detail::vector_target_name()}, chunk_elements, 4.0,
        [&] { keep(detail::top_magnitude(values_.data(), values_.size())); });
    for (const char* const name : {"nvfp4", "if4", "mxfp4"}) whole_tensor(*find_block_format(name));
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
  /// \param repetitions  the time of so many cases is spent
  template <typename Work>
  void add(BenchResult result, std::size_t elements, double bytes_per_element, const Work& work,
           double repetitions = 1.0) {
    const double time = fastest(seconds_ * repetitions, work);
    result.elements_per_second = static_cast<double>(elements) / time;
    result.bytes_per_second = result.elements_per_second * bytes_per_element;
    results_.push_back(result);
    if (done_) done_(result);
  }

  /// Plain loops over memory that no cache holds.
  void memory() {
    std::vector<float> all = repeated_values(memory_bytes / sizeof(float));
    add({"read", "", "", "F32", detail::vector_target_name()}, all.size(), 4.0,
        [&] { keep(detail::top_magnitude(all.data(), all.size())); });
    for (const char* const name : {"nvfp4", "if4", "mxfp4"}) {
      from_memory(*find_block_format(name), all);
    }
    add({"write", "", "", "F32", detail::vector_target_name()}, all.size(), 4.0, [&] {
      std::memset(all.data(), 1, memory_bytes);
      keep(all.front());
    });
  }

  /// quantize_into() of what `read` reads, with one thread: with the amax given, so that every
  /// value is read once, and measured first.
  void from_memory(const BlockFormat& format, std::span<const float> all) {
    // One repetition takes as long as a case of what stays in a cache.
    constexpr double repetitions = 4.0;
    QuantizeOptions options;
    options.format = &format;
    options.amax = 0.1F;
    const std::string_view rule = name_of(default_rule(format));
    const std::string_view target = detail::vector_target_name();
    const std::size_t columns = 4096, rows = all.size() / columns;
    BlockTensor tensor;
    const auto quantize_all = [&] { quantize_into(all, rows, columns, options, tensor, {}, 1); };
    add({"quantize_memory", format.name, rule, "F32", target}, all.size(),
        4.0 + detail::coded_bytes(format), quantize_all, repetitions);
    if (format.family() != ScaleFamily::nv) return;
    options.amax.reset();
    add({"quantize_measured", format.name, rule, "F32", target}, all.size(),
        8.0 + detail::coded_bytes(format), quantize_all, repetitions);
  }

  /// quantize() and dequantize() of a tensor in memory, with one thread and with one per core.
  void whole_tensor(const BlockFormat& format) {
    QuantizeOptions options;
    options.format = &format;
    // Given, so that every value is read once.
    options.amax = 0.1F;
    const std::string_view rule = name_of(default_rule(format));
    const std::vector<float> all = repeated_values(tensor_elements);
    const std::size_t columns = 4096, rows = tensor_elements / columns;
    const double coded = detail::coded_bytes(format);
    BlockTensor tensor;
    std::vector<float> out(tensor_elements);
    for (const unsigned threads : std::set<unsigned>{1, detail::thread_count(0)}) {
      const std::string_view target = detail::vector_target_name();
      add({"quantize_tensor", format.name, rule, "F32", target, threads}, tensor_elements,
          4.0 + coded, [&] { tensor = quantize(all, rows, columns, options, {}, threads); });
      add({"dequantize_tensor", format.name, "", "F32", target, threads}, tensor_elements,
          4.0 + coded, [&] { dequantize(tensor, out, nullptr, threads); });
    }
  }
  [[nodiscard]] std::vector<float> repeated_values(std::size_t count) const {
    std::vector<float> all(count);
    for (std::size_t i = 0; i < all.size(); i += values_.size()) {
      std::copy(values_.begin(), values_.end(), all.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return all;
  }

  /// Narrow inputs and dequantization do not depend on the rule: they are measured with the first.
  void one_rule(const BlockFormat& format, ScaleRule rule, bool is_first) {
    for (const Dtype* const dtype : {&dtype_f32, &dtype_f16, &dtype_bf16}) {
      if (dtype != &dtype_f32 && !is_first) continue;
      detail::KernelCase kernel(format, rule, chunk_elements, *dtype);
      const std::string_view name = lowbit::name_of(rule);
      add({"quantize", format.name, name, dtype->name, kernel.engine()}, chunk_elements,
          kernel.stored_bytes() + kernel.coded_bytes(), [&] { kernel.quantize(); });
      add({"eval", format.name, name, dtype->name, kernel.engine()}, chunk_elements,
          kernel.stored_bytes(), [&] { keep(kernel.measure()); });
      if (dtype != &dtype_f32 || !is_first) continue;
      std::vector<float> out(chunk_elements);
      add({"dequantize", format.name, "", dtype->name,
           detail::can_expand(format) ? detail::vector_target_name() : std::string_view("scalar")},
          chunk_elements, 4.0 + kernel.coded_bytes(), [&] { kernel.dequantize(out); });
    }
  }

  double seconds_;
  const std::function<void(const BenchResult&)>& done_;
  std::vector<float> values_;
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
