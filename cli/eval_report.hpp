// SPDX-License-Identifier: MIT
// What `lowbit eval` found, and the forms in which it is written.
#pragma once

#include <string>
#include <vector>

#include "lowbit/metrics.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit::cli {

/// One --format F:RULE.
struct EvalFormat {
  const BlockFormat* format;
  ScaleRule rule;
  [[nodiscard]] std::string label() const;
};

struct EvalTensor {
  std::string file;
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::vector<ErrorStatistics> results;  ///< one per format
};

struct SkippedTensor {
  std::string file;
  std::string name;
  std::string reason;
};

struct EvalReport {
  std::string dialect;
  int axis = -1;
  std::vector<std::string> files;
  std::vector<EvalFormat> formats;
  std::vector<EvalTensor> tensors;
  std::vector<SkippedTensor> skipped;
  std::vector<ErrorStatistics> totals;  ///< one per format
};

[[nodiscard]] std::string as_text(const EvalReport& report);
[[nodiscard]] std::string as_json(const EvalReport& report);
[[nodiscard]] std::string as_csv(const EvalReport& report);
[[nodiscard]] std::string as_markdown(const EvalReport& report);

/// "NAME  FORMULA" lines of every metric, for --help and the Markdown report.
[[nodiscard]] std::string metric_help();

}  // namespace lowbit::cli
