// SPDX-License-Identifier: MIT
// Bit models of the baselines (docs/mac.md, Baselines).
#pragma once

#include <vector>

#include "lowbit/sim/mac_model.hpp"

namespace lowbit::sim {

/// mac_model() of a baseline's stream.
[[nodiscard]] std::vector<MacResult> baseline_model(const BeatStream& stream, MacDefect defect);

}  // namespace lowbit::sim
