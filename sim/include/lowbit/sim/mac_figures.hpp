// SPDX-License-Identifier: MIT
/// \file
/// What MAC units were measured to cost: rows of `lowbit mac report`, from the file that the
/// library is built with (docs/mac_report/rows.json, made by scripts/mac_docs.sh) or from one of
/// the user's.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit::sim {

/// The measured figures of one MAC unit.
struct MacFigures {
  std::string unit;     ///< "exact"
  std::string format;   ///< of blocks: "if4"
  std::string recipe;   ///< of synthesis: "area"
  std::string library;  ///< of cells: "osu018_stdcells"
  int lanes = 0;        ///< elements per beat of the unit that was measured
  double pj_per_mac =
      0;  ///< pJ per multiply-add of two elements, zero delay, operands of the shipped sample
  double fmax_mhz = 0;  ///< highest clock of the unit
  int latency = 0;      ///< cycles from a beat to its result
};

/// The figures that the library is built with. Thread-safe. Throws Error(internal) if they cannot
/// be read.
[[nodiscard]] const std::vector<MacFigures>& shipped_mac_figures();

/// The figures of a file that `lowbit mac report --json` wrote; rows without energy are left out.
/// Throws Error(invalid_input) naming the file and the row.
[[nodiscard]] std::vector<MacFigures> read_mac_figures(const std::filesystem::path& path);

/// The row of an exact unit in this format by this recipe with as many lanes, else the first one of
/// other lanes (its `lanes` say so), or nothing.
/// \param rows  figures of shipped_mac_figures() or read_mac_figures()
/// \param format  name of a block format: "if4"
/// \param recipe  "area"
/// \param lanes  elements per beat of the unit that the figures are for
[[nodiscard]] std::optional<MacFigures> exact_unit_figures(std::span<const MacFigures> rows,
                                                           std::string_view format,
                                                           std::string_view recipe, int lanes);

}  // namespace lowbit::sim
