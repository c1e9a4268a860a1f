// SPDX-License-Identifier: MIT
// Results of the array as tables and JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "lowbit/sim/array.hpp"

namespace lowbit::cli {

/// The array in one format on all layers.
struct ArrayRun {
  sim::ArrayConfig config;
  std::string format, quantizer;
  std::string unit;  ///< where the unit's energy is from: "unit energy 11.92 pJ/MAC (exact if4,
                     ///< osu018, area)"
  std::vector<std::pair<sim::GemmShape, sim::ArrayResult>> layers;
  sim::ArrayResult total;  ///< of all counts: cycles, utilisation, MACs, bytes and energies

  [[nodiscard]] double seconds() const;
  /// Adds a layer `shape.count` times. \throws Error(invalid_input) where cycles leave 63 bits.
  void add(const sim::GemmShape& shape, const sim::ArrayResult& result);
};

/// "212.4 J": four digits, with the prefix that leaves one to three of them before the point.
[[nodiscard]] std::string with_prefix(double value, const std::string& unit);

[[nodiscard]] std::string array_heading(const ArrayRun& run);  ///< machine and unit, one line
void print_layer_heading();
void print_layer(const sim::GemmShape& shape, const sim::ArrayResult& result);
void print_total(const ArrayRun& run);
/// One line per format: time, energy and its parts, and the energy over the first format's.
void print_comparison(const std::vector<ArrayRun>& runs);
[[nodiscard]] nlohmann::ordered_json to_json(const ArrayRun& run);

}  // namespace lowbit::cli
