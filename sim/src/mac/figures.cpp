// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_figures.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lowbit/error.hpp"
#include "mac_report_rows.hpp"  // generated: docs/mac_report/rows.json

namespace lowbit::sim {
namespace {

/// Stages of the exact core, where the row does not say: 4, with the deeper pipeline 6, or 7 with
/// integer blocks (lowbit_mac_exact_core.sv).
int stages(const nlohmann::json& row) {
  if (row.contains("latency_cycles")) return row.at("latency_cycles");
  const std::string recipe = row.at("recipe");
  if (!recipe.ends_with("+pipeline")) return 4;
  return row.value("integers", false) ? 7 : 6;
}

std::vector<MacFigures> figures(const nlohmann::json& rows, const std::string& file,
                                ErrorKind kind) {
  if (!rows.is_array()) {
    throw Error(kind, file + ": not a list of results; make it by `lowbit mac report --json`");
  }
  std::vector<MacFigures> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const nlohmann::json& row = rows[i];
    try {
      if (row.is_object() && (!row.contains("pj_per_mac") || row.at("pj_per_mac").is_null()))
        continue;
      out.push_back({row.at("unit"), row.at("format"), row.at("recipe"), row.at("library"),
                     row.at("lanes"), row.at("pj_per_mac"), row.at("fmax_mhz"), stages(row)});
    } catch (const nlohmann::json::exception&) {
      throw Error(kind, fmt::format("{}: row {} is no result of `lowbit mac report --json` (unit, "
                                    "format, recipe, library, "
                                    "lanes, pj_per_mac, fmax_mhz)",
                                    file, i + 1));
    }
    const MacFigures& last = out.back();
    if (!(last.pj_per_mac >= 0) || !(last.fmax_mhz > 0) || last.lanes < 1 || last.latency < 1) {
      throw Error(kind, fmt::format("{}: row {}: energy, clock, lanes and latency must be positive",
                                    file, i + 1));
    }
  }
  return out;
}

}  // namespace

const std::vector<MacFigures>& shipped_mac_figures() {
  static const std::vector<MacFigures> rows =
      figures(nlohmann::json::parse(generated::mac_report_rows, nullptr, false),
              "docs/mac_report/rows.json", ErrorKind::internal);
  return rows;
}

std::vector<MacFigures> read_mac_figures(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) {
    throw Error(ErrorKind::invalid_input,
                path.string() + ": cannot be read; name a file of `lowbit mac report --json`");
  }
  return figures(nlohmann::json::parse(in, nullptr, false), path.string(),
                 ErrorKind::invalid_input);
}

std::optional<MacFigures> exact_unit_figures(std::span<const MacFigures> rows,
                                             std::string_view format, std::string_view recipe,
                                             int lanes) {
  std::optional<MacFigures> found;
  for (const MacFigures& row : rows) {
    if (row.unit != "exact" || row.format != format || row.recipe != recipe) continue;
    if (row.lanes == lanes) return row;
    if (!found) found = row;
  }
  return found;
}

}  // namespace lowbit::sim
