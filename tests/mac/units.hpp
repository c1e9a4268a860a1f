// SPDX-License-Identifier: MIT
// What the tests of the simulated units share.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "catch.hpp"
#include "lowbit/sim/mac_model.hpp"
#include "lowbit/sim/mac_simulator.hpp"
#include "lowbit/sim/mac_stimulus.hpp"
#include "lowbit/sim/mac_vectors.hpp"

namespace lowbit::sim {

inline const BlockFormat& format_of(std::string_view name) {
  return *find_mac_format(name);
}

inline std::string golden(const std::string& name) {
  const char* full = std::getenv("LOWBIT_GOLDEN_DIR");
  return full != nullptr ? std::string(full) + "/mac/" + name
                         : std::string(LOWBIT_TEST_DATA_DIR) + "/mac/" + name;
}

inline std::vector<MacShape> compiled(MacBackend backend = MacBackend::verilator) {
  std::vector<MacShape> shapes;
  for (const MacVariant& v : mac_variants()) {
    if (v.backend == backend) shapes.push_back({v.unit, &format_of(v.format), v.lanes});
  }
  return shapes;
}

inline std::string text_of(const MacShape& s) {
  return std::string(name_of(s.unit)) + " " + std::string(s.format->name) + " " +
         std::to_string(s.lanes);
}

/// Runs the unit on the stream and demands every result of the model.
inline MacRunStats check_unit(const BeatStream& stream, const MacRunOptions& options = {},
                              MacBackend backend = MacBackend::verilator) {
  const std::vector<MacResult> expected = mac_model(stream);
  const MacRunStats stats = run_mac(stream, expected, options, backend);
  INFO(text_of(stream.shape()) << ": " << stats.first_mismatch);
  CHECK(stats.mismatches == 0);
  CHECK(stats.outputs >= expected.size());
  return stats;
}

}  // namespace lowbit::sim
