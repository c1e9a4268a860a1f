// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_energy.hpp"

#include <nlohmann/json.hpp>

#include "lowbit/error.hpp"
#include "mac_report_rows.hpp"  // generated: docs/mac_report/rows.json

namespace lowbit::sim {

std::optional<MacEnergy> measured_mac_energy(std::string_view format) {
  static const nlohmann::json rows =
      nlohmann::json::parse(generated::mac_report_rows, nullptr, false);
  if (!rows.is_array())
    throw Error(ErrorKind::internal, "docs/mac_report/rows.json: not a list of results");
  for (const nlohmann::json& row : rows) {
    if (row.at("unit") == "exact" && row.at("recipe") == "area" && row.at("format") == format) {
      return MacEnergy{row.at("pj_per_mac"), row.at("lanes"), row.at("library")};
    }
  }
  return std::nullopt;
}

}  // namespace lowbit::sim
