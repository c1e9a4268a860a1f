// SPDX-License-Identifier: MIT
#include "array_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lowbit/error.hpp"

namespace lowbit::cli {
namespace {

const char* name_of_dataflow(const sim::ArrayConfig& array) {
  return array.dataflow == sim::Dataflow::output_stationary ? "os" : "ws";
}

nlohmann::ordered_json layer_json(const sim::GemmShape& shape, const sim::ArrayResult& r) {
  return {{"name", shape.name},
          {"m", shape.m},
          {"n", shape.n},
          {"k", shape.k},
          {"count", shape.count},
          {"cycles", r.cycles},
          {"utilisation", r.utilisation},
          {"bound", name_of(r.bound)},
          {"tiles", r.tiles},
          {"beats", r.beats},
          {"wait_memory", r.wait_memory},
          {"wait_interval", r.wait_interval},
          {"quantizer_cycles", r.quantizer_cycles},
          {"macs", r.macs},
          {"bytes_read", r.bytes_read},
          {"bytes_written", r.bytes_written},
          {"buffer_pj_per_byte", r.buffer_pj_per_byte},
          {"energy_pj",
           {{"total", r.energy_pj},
            {"units", r.energy_units_pj},
            {"buffers", r.energy_buffers_pj},
            {"memory", r.energy_memory_pj}}}};
}

}  // namespace

double ArrayRun::seconds() const {
  return static_cast<double>(total.cycles) / (config.clock_mhz * 1e6);
}

void ArrayRun::add(const sim::GemmShape& shape, const sim::ArrayResult& r) {
  layers.emplace_back(shape, r);
  std::int64_t cycles = 0;
  if (__builtin_mul_overflow(r.cycles, shape.count, &cycles) ||
      __builtin_add_overflow(total.cycles, cycles, &total.cycles)) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("layer {}: the total of cycles leaves 63 bits; give smaller "
                            "layers or counts",
                            shape.name));
  }
  const auto count = static_cast<double>(shape.count);
  total.macs += r.macs * count;
  total.bytes_read += r.bytes_read * count;
  total.bytes_written += r.bytes_written * count;
  total.energy_pj += r.energy_pj * count;
  total.energy_units_pj += r.energy_units_pj * count;
  total.energy_buffers_pj += r.energy_buffers_pj * count;
  total.energy_memory_pj += r.energy_memory_pj * count;
  const double peak = static_cast<double>(config.rows) * config.columns * config.lanes;
  total.utilisation = total.macs / (peak * static_cast<double>(total.cycles));
}

std::string with_prefix(double value, const std::string& unit) {
  if (value == 0) return "0 " + unit;
  static constexpr const char* prefixes[] = {"f", "p", "n", "u", "m", "", "k", "M", "G", "T"};
  constexpr int plain = 5, last = 9;
  int index = static_cast<int>(std::floor(std::log10(std::abs(value)) / 3)) + plain;
  index = std::clamp(index, 0, last);
  double scaled = value * std::pow(10.0, 3 * (plain - index));
  // 999.96 would print as 1000: the next prefix has it.
  if (std::abs(scaled) >= 999.95 && index < last) {
    scaled = value * std::pow(10.0, 3 * (plain - ++index));
  }
  return fmt::format("{:.4g} {}{}", scaled, prefixes[index], unit);
}

std::string array_heading(const ArrayRun& run) {
  const sim::ArrayConfig& array = run.config;
  return fmt::format("{}x{} {} units, {} lanes, {}, {} MHz, {} GB/s, memory latency {} cycles, {}",
                     array.rows, array.columns, run.format, array.lanes,
                     array.dataflow == sim::Dataflow::output_stationary ? "output stationary"
                                                                        : "weight stationary",
                     array.clock_mhz, array.bandwidth_gb_s, array.memory_latency, run.unit);
}

void print_layer_heading() {
  fmt::print("{:<12} {:>7} {:>7} {:>7} {:>5} {:>14} {:>7} {:<9} {:>12}\n", "layer", "M", "N", "K",
             "count", "cycles each", "util %", "bound", "energy");
}

void print_layer(const sim::GemmShape& shape, const sim::ArrayResult& r) {
  fmt::print("{:<12} {:>7} {:>7} {:>7} {:>5} {:>14} {:>7.2f} {:<9} {:>12}\n", shape.name, shape.m,
             shape.n, shape.k, shape.count, r.cycles, 100 * r.utilisation, name_of(r.bound),
             with_prefix(r.energy_pj * static_cast<double>(shape.count) * 1e-12, "J"));
}

void print_total(const ArrayRun& run) {
  const sim::ArrayResult& total = run.total;
  fmt::print(
      "total: {} cycles, {} at {} MHz, utilisation {:.2f} %, {}, {} moved, {} (units {}, "
      "buffers {}, memory {})\n",
      total.cycles, with_prefix(run.seconds(), "s"), run.config.clock_mhz, 100 * total.utilisation,
      with_prefix(total.macs / run.seconds(), "MAC/s"),
      with_prefix(total.bytes_read + total.bytes_written, "B"),
      with_prefix(total.energy_pj * 1e-12, "J"), with_prefix(total.energy_units_pj * 1e-12, "J"),
      with_prefix(total.energy_buffers_pj * 1e-12, "J"),
      with_prefix(total.energy_memory_pj * 1e-12, "J"));
}

void print_comparison(const std::vector<ArrayRun>& runs) {
  fmt::print("{:<12} {:>8} {:>10} {:>7} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8}\n",
             "format", "MHz", "time", "util %", "rate", "energy", "units", "buffers", "memory",
             "pJ/MAC", "energy x");
  for (const ArrayRun& run : runs) {
    const sim::ArrayResult& t = run.total;
    const auto joule = [](double pj) { return with_prefix(pj * 1e-12, "J"); };
    fmt::print(
        "{:<12} {:>8.4g} {:>10} {:>7.2f} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10.4g} {:>8.3f}\n",
        run.format, run.config.clock_mhz, with_prefix(run.seconds(), "s"), 100 * t.utilisation,
        with_prefix(t.macs / run.seconds(), "MAC/s"), joule(t.energy_pj), joule(t.energy_units_pj),
        joule(t.energy_buffers_pj), joule(t.energy_memory_pj), t.energy_pj / t.macs,
        t.energy_pj / runs.front().total.energy_pj);
  }
}

nlohmann::ordered_json to_json(const ArrayRun& run) {
  const sim::ArrayConfig& array = run.config;
  const sim::ArrayResult& total = run.total;
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const auto& [shape, result] : run.layers) layers.push_back(layer_json(shape, result));
  nlohmann::ordered_json buffer;  // null: by the model
  if (array.energy.buffer_pj_per_byte) buffer = *array.energy.buffer_pj_per_byte;
  return {{"array",
           {{"rows", array.rows},
            {"columns", array.columns},
            {"format", run.format},
            {"lanes", array.lanes},
            {"dataflow", name_of_dataflow(array)},
            {"clock_mhz", array.clock_mhz},
            {"unit_latency", array.unit_latency},
            {"bandwidth_gb_s", array.bandwidth_gb_s},
            {"memory_latency", array.memory_latency},
            {"buffer_bytes", array.buffer_bytes},
            {"quantizer", run.quantizer},
            {"unit", run.unit},
            {"pj_per_mac", array.energy.pj_per_mac},
            {"buffer_pj_per_byte", buffer},
            {"sram",
             {{"bytes", array.energy.sram.bytes}, {"pj_per_byte", array.energy.sram.pj_per_byte}}},
            {"memory_pj_per_byte", array.energy.memory_pj_per_byte}}},
          {"layers", layers},
          {"total",
           {{"cycles", total.cycles},
            {"seconds", run.seconds()},
            {"utilisation", total.utilisation},
            {"macs", total.macs},
            {"bytes_read", total.bytes_read},
            {"bytes_written", total.bytes_written},
            {"energy_pj",
             {{"total", total.energy_pj},
              {"units", total.energy_units_pj},
              {"buffers", total.energy_buffers_pj},
              {"memory", total.energy_memory_pj}}}}}};
}

}  // namespace lowbit::cli
