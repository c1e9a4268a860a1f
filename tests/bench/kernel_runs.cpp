// SPDX-License-Identifier: MIT
// Runs one kernel a number of times, for a program that counts instructions.
// usage: kernel_runs OPERATION FORMAT RULE TARGET RUNS    TARGET: AVX2, SCALAR, or scalar (the
// scalar engine)
#include <charconv>
#include <functional>
#include <string_view>
#include <vector>

#include "bench/kernel_case.hpp"
#include "lowbit/scale_rule.hpp"
#include "quantize/vector/vector_engine.hpp"

/// What gate.py counts, by this name.
extern "C" __attribute__((noinline)) void lowbit_counted(const std::function<void()>& kernel,
                                                         int runs) {
  for (int i = 0; i < runs; ++i) kernel();
}

namespace {

using namespace lowbit;

int run(std::string_view operation, std::string_view format_name, std::string_view rule,
        std::string_view target, int runs) {
  const BlockFormat* const format = find_block_format(format_name);
  const std::optional<ScaleRule> found = find_scale_rule(rule);
  if (format == nullptr || !found) return 2;
  for (const detail::VectorTarget& t : detail::vector_targets()) {
    // The scalar engine has no dequantization of its own.
    if (t.name == (target == "scalar" ? "SCALAR" : target)) detail::force_vector_target(t.id);
  }
  if (target != "scalar" && detail::vector_target_name() != target) return 77;

  constexpr std::size_t elements = 4096;
  detail::KernelCase measured(*format, *found, elements, dtype_f32, target == "scalar");
  measured.quantize();
  std::vector<float> out(elements);
  double used = 0.0;
  std::function<void()> kernel;
  if (operation == "quantize") {
    kernel = [&] { measured.quantize(); };
  } else if (operation == "eval") {
    kernel = [&] { used += measured.measure().squared_error; };
  } else if (operation == "dequantize") {
    kernel = [&] { measured.dequantize(out); };
  } else if (operation == "amax") {
    kernel = [&] { used += measured.top_magnitude(); };
  } else {
    return 2;
  }
  kernel();  // symbols are looked up, tables made
  lowbit_counted(kernel, runs);
  // Seen by nobody, and without printing, whose instructions depend on the number.
  volatile double kept = used + out[17];
  static_cast<void>(kept);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  int runs = 0;
  if (argc != 6) return 2;
  const std::string_view text = argv[5];
  if (std::from_chars(text.data(), text.data() + text.size(), runs).ec != std::errc{}) return 2;
  return run(argv[1], argv[2], argv[3], argv[4], runs);
}
