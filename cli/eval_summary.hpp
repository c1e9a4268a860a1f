// SPDX-License-Identifier: MIT
// The form of the report that fits a screen.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lowbit/eval_report.hpp"

namespace lowbit::cli {

/// How the summary is ordered and cut.
struct SummaryOptions {
  const EvalMetric* sort = nullptr;
  std::size_t worst = 10;
};

/// Totals by format, the worst layers, what was left out: at most 40 lines of 100 columns where
/// `worst` is at most 10.
[[nodiscard]] std::string as_summary(const EvalReport& report, const SummaryOptions& options);
/// The tensors from bad to good by the metric under the first format (of gain_share, under the
/// first whose rule is not an end of its scale); those without it come last.
[[nodiscard]] std::vector<std::size_t> worst_first(const EvalReport& report,
                                                   const EvalMetric& metric);

}  // namespace lowbit::cli
