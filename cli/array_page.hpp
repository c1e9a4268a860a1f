// SPDX-License-Identifier: MIT
// The array's results as one HTML page.
#pragma once

#include <string>
#include <vector>

#include "array_report.hpp"

namespace lowbit::cli {

/// One run, or several formats side by side: totals, the roofline with every layer, where each
/// layer's cycles and energy go, and the figures as tables.
[[nodiscard]] std::string array_page(const std::vector<ArrayRun>& runs);

}  // namespace lowbit::cli
