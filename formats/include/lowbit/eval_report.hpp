// SPDX-License-Identifier: MIT
/// \file
/// The errors of several tensors under several formats, and the forms in which they are written:
/// what `lowbit eval` prints. No form depends on the terminal, the locale or the clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lowbit/eval_details.hpp"
#include "lowbit/eval_metrics.hpp"
#include "lowbit/format_spec.hpp"

namespace lowbit {

struct SelectedTensor;

/// One tensor that was evaluated.
struct EvalTensor {
  std::string file;                  ///< as the caller named it: the index, where there are shards
  std::string name;                  ///< in the file
  std::string dtype;                 ///< as the file spells it
  std::vector<std::uint64_t> shape;  ///< slowest dimension first; empty for a scalar
  std::size_t rows = 0;              ///< of the matrix that it was taken for
  std::size_t columns = 0;           ///< of that matrix
  std::string input;                 ///< the recorded input that it was paired with, if any
  std::vector<EvalResult> results;   ///< one per format, in their order
};

/// What a report says of a tensor before it is evaluated: everything but `input` and `results`.
/// Thread-safe.
/// \param entry  the tensor, and how its dimensions are meant
/// \param file  as the caller named it
[[nodiscard]] EvalTensor described(const SelectedTensor& entry, std::string file);

/// One tensor that was not, and why.
struct SkippedTensor {
  std::string file;    ///< as in EvalTensor
  std::string name;    ///< in the file
  std::string reason;  ///< one line
};

/// What an evaluation found. `formats`, the results of each tensor and `totals` have the same
/// order.
struct EvalReport {
  std::string dialect;                   ///< its name
  std::optional<int> axis;               ///< along which blocks run, where it was asked for
  std::string weight_layout;             ///< how the dimensions of weights were taken
  std::vector<std::string> files;        ///< all that were asked for
  std::vector<FormatSpec> formats;       ///< what each tensor became
  std::vector<EvalTensor> tensors;       ///< in the order of the files and of the tensors in them
  std::vector<SkippedTensor> skipped;    ///< what was left out
  std::vector<EvalResult> totals;        ///< one per format, without output errors
  std::vector<std::string> notes;        ///< one line each, for people
  bool has_outputs = false;              ///< whether inputs were recorded
  bool has_gains = false;                ///< whether possible gains were measured
  std::string transform{};               ///< the list of remedies; empty: none
  std::string accumulate{};              ///< what sums products, by its name; empty: nothing does
  bool has_kernel = false;               ///< whether outputs of a kernel were recorded
  std::optional<EvalDetails> details{};  ///< of the blocks, where somebody asked for them

  /// Whether the report has what a metric is computed from.
  [[nodiscard]] bool has(MetricSource source) const;
  /// The mean over layers of the squared relative error of one part of the output's error, as
  /// -10 log10 of it. \return nothing where no layer has that part
  /// \param format  of the report's formats
  /// \param part  of output_parts()
  [[nodiscard]] std::optional<double> mean_output_db(std::size_t format,
                                                     const OutputPart& part) const;
};

// Each function is thread-safe and gives a whole document that ends with a line break. Names cannot
// break the document: control characters are written as \xHH in text and Markdown, quoted in CSV
// and escaped in JSON, where bytes that are not UTF-8 become U+FFFD.

/// Every tensor under every format, as tables for people.
[[nodiscard]] std::string as_text(const EvalReport& report);
/// Every digit. Numbers that JSON lacks (NaN, infinities) are null.
[[nodiscard]] std::string as_json(const EvalReport& report);
/// RFC 4180 with a head line; every digit: the shortest text that reads back as the same double.
[[nodiscard]] std::string as_csv(const EvalReport& report);
/// Tables with the digits of as_text(), and the formula of each metric.
[[nodiscard]] std::string as_markdown(const EvalReport& report);

/// A page with a heat map of tensors and formats, charts of `details` and the formulas; see
/// html.hpp.
[[nodiscard]] std::string as_html(const EvalReport& report);

}  // namespace lowbit
