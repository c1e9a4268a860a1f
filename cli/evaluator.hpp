// SPDX-License-Identifier: MIT
// One tensor after another under several formats: what eval reports and plan decides by.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "accumulation.hpp"
#include "activations.hpp"
#include "file_arguments.hpp"
#include "lowbit/eval_report.hpp"
#include "lowbit/remedy.hpp"
#include "lowbit/selection.hpp"
#include "recipe.hpp"

namespace lowbit::cli {

/// Options of eval and plan.
struct EvaluatorOptions {
  std::string dialect = "canonical";
  std::vector<std::string> axes;  ///< of --set
  std::string scale_max;
  std::string nonfinite = "error";  ///< or saturate, skip
  std::string activations;
  std::string activation_map;
  std::string importance;
  std::string transform;    ///< remedies; eval only
  bool optimum = false;     ///< whether possible gains are measured; eval only
  std::string accumulate;   ///< a model of the sums; eval only
  std::string output_dump;  ///< outputs that a kernel computed; eval only
  unsigned threads = 1;

  EvaluatorOptions();
  void add_to(CLI::App& command, FileArguments& files);
  /// With the axes that --set changes. \throws Error(usage)
  [[nodiscard]] const Dialect& chosen_dialect() const;
};

class Evaluator {
 public:
  /// \throws Error for options that have no meaning and files that cannot be read.
  Evaluator(const EvaluatorOptions& options, std::vector<FormatSpec> formats,
            std::optional<Recipe> recipe);

  [[nodiscard]] bool skips_nonfinite() const { return skips_nonfinite_; }
  [[nodiscard]] bool has_inputs() const { return inputs_.has_value(); }
  /// Lines for people: formats that the model of the sums cannot take.
  [[nodiscard]] std::vector<std::string> notes() const;

  /// \param file  the path that the report names
  /// \param progress  called with the elements done; what it throws comes out
  /// \param details  filled where not null: one format per format of the evaluator
  [[nodiscard]] EvalTensor evaluate_tensor(const SelectedTensor& entry, const std::string& file,
                                           const std::function<void(std::uint64_t)>& progress,
                                           EvalDetails* details = nullptr) const;

 private:
  /// Which of the measured formats a format's rules lie between.
  struct GainPlaces {
    std::size_t of_static;
    std::size_t of_optimal;
  };
  /// Adds those that are not among the formats yet, with their requests; nothing for formats that
  /// have no such gain.
  [[nodiscard]] std::vector<std::optional<GainPlaces>> add_gain_formats(
      std::span<const float> importance, std::vector<FormatSpec>& formats,
      std::vector<QuantizeOptions>& requests) const;
  [[nodiscard]] QuantizeOptions request_of(const FormatSpec& spec,
                                           std::span<const float> importance) const;
  /// A matrix through a format and back; `blocks` is empty for what is no block format.
  struct Passed {
    std::vector<float> values;
    BlockTensor blocks;
  };
  [[nodiscard]] Passed through(const FormatSpec& spec, const std::vector<float>& x,
                               std::size_t columns, const Dtype& dtype, OperandSide side,
                               std::span<const float> importance) const;
  /// Finds out which formats the model of the sums cannot take.
  void probe_accumulation();
  void add_outputs(const SelectedTensor& entry, const std::vector<FormatSpec>& formats,
                   std::span<const float> importance, EvalTensor& out,
                   const std::function<void(std::uint64_t)>& progress) const;

  [[nodiscard]] EvalResult with_remedies(const SelectedTensor& entry, const FormatSpec& spec,
                                         std::span<const float> importance) const;
  void add_details(const SelectedTensor& entry, const std::vector<FormatSpec>& formats,
                   std::span<const float> importance, EvalDetails& details) const;

  EvaluatorOptions options_;
  Remedies remedies_;
  std::vector<FormatSpec> formats_;
  std::optional<Recipe> recipe_;
  NonFinite nonfinite_ = NonFinite::error;
  bool skips_nonfinite_ = false;
  std::optional<RecordedInputs> inputs_;
  std::optional<RecordedInputs> importance_;
  std::optional<RecordedOutputs> dump_;
  std::optional<Accumulation> accumulation_;
  std::set<const BlockFormat*> untaken_;  ///< by the model of the sums
};

}  // namespace lowbit::cli
