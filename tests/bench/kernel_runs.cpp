// SPDX-License-Identifier: MIT
// Runs one kernel a number of times, for a program that counts instructions.
// usage: kernel_runs OPERATION FORMAT RULE TARGET RUNS    TARGET: AVX2, SCALAR, or scalar (the
// scalar engine)
#include <charconv>
#include <functional>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

#include "dequantize/value_table.hpp"
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
  std::vector<float> x(elements);
  std::mt19937 random(1);
  for (float& v : x) v = static_cast<float>(static_cast<int>(random() % 8191) - 4095) / 65536.0F;
  QuantizeOptions options;
  options.format = format;
  options.rule = found;
  const detail::TensorConstants constants = detail::make_constants(options, 0.0625F);
  const detail::Engine& engine =
      target == "scalar" ? detail::scalar_engine(*format) : detail::engine_for(constants);
  detail::BlockRun blocks;
  blocks.x = blocks.original = x.data();
  blocks.blocks = blocks.blocks_per_row = elements / static_cast<std::size_t>(format->block_size);
  blocks.last_columns = static_cast<std::size_t>(format->block_size);
  blocks.original_stride = elements;
  std::vector<std::uint8_t> codes(elements), scales(blocks.blocks);
  const auto scratch = std::make_unique<detail::BlockScratch>();
  detail::ValueTable table(*format, constants.amax, constants.encode_constant, canonical);
  engine.quantize(constants, blocks, *scratch, {codes.data(), scales.data(), nullptr});
  detail::expand(*format, codes.data(), scales.data(), blocks.blocks, table, x.data());
  double used = 0.0;
  std::function<void()> kernel;
  if (operation == "quantize") {
    kernel = [&] {
      engine.quantize(constants, blocks, *scratch, {codes.data(), scales.data(), nullptr});
    };
  } else if (operation == "eval") {
    kernel = [&] {
      ErrorStatistics sums;
      engine.measure(constants, blocks, *scratch, table, sums);
      used += sums.squared_error;
    };
  } else if (operation == "dequantize") {
    kernel = [&] {
      detail::expand(*format, codes.data(), scales.data(), blocks.blocks, table, x.data());
    };
  } else if (operation == "amax") {
    kernel = [&] { used += engine.top_magnitude(x.data(), x.size()); };
  } else {
    return 2;
  }
  kernel();  // symbols are looked up, tables made
  lowbit_counted(kernel, runs);
  // Seen by nobody, and without printing, whose instructions depend on the number.
  volatile double kept = used;
  volatile int kept_code = codes[17] + scales[3];
  static_cast<void>(kept);
  static_cast<void>(kept_code);
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
