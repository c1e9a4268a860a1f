// SPDX-License-Identifier: MIT
// What `lowbit eval` found, and the forms in which it is written.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval_metrics.hpp"
#include "format_spec.hpp"

namespace lowbit::cli {

struct EvalTensor {
  std::string file;
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::size_t rows = 0;  ///< of the matrix that it was taken for
  std::size_t columns = 0;
  std::string input;                ///< the recorded input that it was paired with, if any
  std::vector<EvalResult> results;  ///< one per format
};

struct SkippedTensor {
  std::string file;
  std::string name;
  std::string reason;
};

struct EvalReport {
  std::string dialect;
  std::optional<int> axis;
  std::string weight_layout;
  std::vector<std::string> files;
  std::vector<FormatSpec> formats;
  std::vector<EvalTensor> tensors;
  std::vector<SkippedTensor> skipped;
  std::vector<EvalResult> totals;  ///< one per format, without output errors
  std::vector<std::string> notes;  ///< one line each, for people
  bool has_outputs = false;        ///< whether inputs were recorded
};

/// How the summary is ordered and cut.
struct SummaryOptions {
  const EvalMetric* sort = nullptr;
  std::size_t worst = 10;
};

/// Totals by format, the worst layers, what was left out: at most 40 lines of 100 columns where
/// `worst` is at most 10.
[[nodiscard]] std::string as_summary(const EvalReport& report, const SummaryOptions& options);
/// Every tensor under every format.
[[nodiscard]] std::string as_text(const EvalReport& report);
[[nodiscard]] std::string as_json(const EvalReport& report);
[[nodiscard]] std::string as_csv(const EvalReport& report);
[[nodiscard]] std::string as_markdown(const EvalReport& report);

/// The tensors from bad to good by the metric under the first format; those without it come last.
[[nodiscard]] std::vector<std::size_t> worst_first(const EvalReport& report,
                                                   const EvalMetric& metric);

}  // namespace lowbit::cli
