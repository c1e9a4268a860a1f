// SPDX-License-Identifier: MIT
#include "array/rules.hpp"

#include <algorithm>
#include <cmath>

namespace lowbit::sim {
namespace {

constexpr double bf16_bytes = 2;

}  // namespace

std::int64_t drain_latency(const ArrayConfig& config) {
  return (config.rows - 1) + (config.columns - 1) + config.unit_latency + 1;
}

std::int64_t transfer_cycles(const ArrayConfig& config, std::int64_t bytes) {
  const double cycles = std::ceil(static_cast<double>(bytes) / config.bytes_per_cycle());
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(cycles));
}

std::int64_t quantizer_cycles(const ArrayConfig& config, const GemmShape& shape) {
  if (config.quantizer == QuantizerMode::none) return 0;
  const double elements = static_cast<double>(shape.m) * static_cast<double>(shape.k);
  const auto pass = [&](double bytes, double work) {
    const double through = std::ceil(elements * work / config.quantizer_rate);
    return std::max(transfer_cycles(config, static_cast<std::int64_t>(std::ceil(bytes * elements))),
                    static_cast<std::int64_t>(through)) +
           config.memory_latency;
  };
  const double coded = config.beat_bytes / config.lanes;
  std::int64_t cycles = pass(bf16_bytes + coded, config.candidates);
  if (config.quantizer == QuantizerMode::measured_amax) cycles += pass(bf16_bytes, 1);
  return cycles;
}

double SramModel::at(double capacity) const {
  return pj_per_byte * std::sqrt(capacity / bytes);
}

void finish(const ArrayConfig& config, const GemmShape& shape, ArrayResult& result) {
  result.macs =
      static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
  const double elements = static_cast<double>(shape.m) * static_cast<double>(shape.k);
  const double coded = config.beat_bytes / config.lanes;
  if (config.quantizer != QuantizerMode::none) {
    const int passes = config.quantizer == QuantizerMode::measured_amax ? 2 : 1;
    result.bytes_read += passes * bf16_bytes * elements;
    result.bytes_written += std::ceil(coded * elements);
  }
  const double peak = static_cast<double>(config.rows) * config.columns * config.lanes;
  result.utilisation = result.macs / (peak * static_cast<double>(result.cycles));

  // Every beat reads one block per row and one per column (weight stationary: weights once per
  // tile), and every byte that comes from memory is written to a buffer first.
  const double edge = config.dataflow == Dataflow::output_stationary
                          ? static_cast<double>(result.beats) * (config.rows + config.columns)
                          : static_cast<double>(result.beats) * config.rows +
                                static_cast<double>(result.tiles) * config.rows * config.columns;
  result.buffer_bytes = edge * config.beat_bytes + result.bytes_read;
  result.energy_units_pj = result.macs * config.energy.pj_per_mac;
  // One bank per row and per column, so that all units are fed in one cycle.
  const double bank =
      TilePlan(config, shape).buffer_bytes() / std::max(config.rows, config.columns);
  result.buffer_pj_per_byte =
      config.energy.buffer_pj_per_byte.value_or(config.energy.sram.at(bank));
  result.energy_buffers_pj = result.buffer_bytes * result.buffer_pj_per_byte;
  result.energy_memory_pj =
      (result.bytes_read + result.bytes_written) * config.energy.memory_pj_per_byte;
  result.energy_pj = result.energy_units_pj + result.energy_buffers_pj + result.energy_memory_pj;

  const Bound structural =
      config.dataflow == Dataflow::output_stationary ? Bound::drain : Bound::weights;
  const std::pair<std::int64_t, Bound> parts[] = {{result.beats, Bound::compute},
                                                  {result.wait_memory, Bound::memory},
                                                  {result.wait_interval, structural},
                                                  {result.quantizer_cycles, Bound::quantizer}};
  result.bound = std::max_element(std::begin(parts), std::end(parts), [](auto& a, auto& b) {
                   return a.first < b.first;
                 })->second;
  // The array is busy, but most units take no part: neither a larger array nor more bandwidth
  // would help.
  const double shared = peak * static_cast<double>(result.beats);
  if (result.bound == Bound::compute && result.macs < 0.5 * shared) result.bound = Bound::shape;
}

}  // namespace lowbit::sim
