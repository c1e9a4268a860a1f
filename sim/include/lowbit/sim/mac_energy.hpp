// SPDX-License-Identifier: MIT
/// \file
/// Measured energies of MAC units, from the results of `lowbit mac report` that the library is
/// built with (docs/mac_report/rows.json, made by scripts/mac_docs.sh).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lowbit::sim {

/// The measured energy of one unit.
struct MacEnergy {
  double pj_per_mac =
      0;  ///< pJ per multiply-add of two elements, zero delay, operands of the shipped sample
  int lanes = 0;        ///< elements per beat of the unit that was measured
  std::string library;  ///< of cells: "osu018_stdcells"
};

/// The energy of the smallest exact unit of a block format (recipe "area"), which is what the array
/// is made of. \param format  name of a block format: "if4" \return nothing where the format has
/// not been measured. Thread-safe. Throws Error(internal) if the results cannot be read.
[[nodiscard]] std::optional<MacEnergy> measured_mac_energy(std::string_view format);

}  // namespace lowbit::sim
