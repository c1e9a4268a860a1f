// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cmath>

#include "checkpoint/weight_rows.hpp"
#include "evaluate/tensor_errors.hpp"
#include "lowbit/checkpoint_eval.hpp"
#include "lowbit/error.hpp"
#include "lowbit/metrics.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit {
namespace {

/// Which blocks of an IF format are integer ones.
std::vector<BlockChoice> choices_of(const BlockTensor& t) {
  std::vector<BlockChoice> choices;
  if (!t.format->is_adaptive()) return choices;
  for (const std::uint8_t byte : t.scales) {
    choices.push_back(t.format->is_integer_block(byte) ? BlockChoice::integer
                                                       : BlockChoice::floating);
  }
  return choices;
}

/// Where a weight and its original are read together.
class StoredErrors {
 public:
  StoredErrors(const QuantizedTensor& tensor, const detail::OriginalMatrix& original,
               const Checkpoint& checkpoint)
      : tensor_(tensor), original_(original), checkpoint_(checkpoint) {}

  ErrorStatistics sums() {
    ErrorStatistics all;
    for (std::size_t part = 0; part < tensor_.parts(); ++part) {
      all.add(of_part(part));
      if (tensor_.layout.tensor_scale != TensorScaleKind::none) {
        add_tensor_scale(all, *tensor_.format);
      }
    }
    return all;
  }

 private:
  /// A strip at a time, added up as one tensor.
  ErrorStatistics of_part(std::size_t part) {
    const detail::StoredPart stored(tensor_, part);
    ErrorStatistics sums;
    detail::LaneSums lanes;
    for (const Rectangle& strip : stored.strips()) {
      const BlockTensor t = stored.read(strip);
      const Rectangle of_all = stored.in_weight(strip);
      read(of_all);
      dequantize_strip(t, of_all, tensor_.tensor_scales[part]);
      detail::add_tensor_errors(x_, t, q_, choices_of(t), lanes, sums);
    }
    lanes.add_to(sums);
    return sums;
  }

  void read(const Rectangle& strip) {
    x_.resize(strip.rows * strip.columns);
    original_.matrix().read(strip, x_);
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (std::isfinite(x_[i])) continue;
      throw Error(
          ErrorKind::invalid_input,
          fmt::format("{}: tensor \"{}\": row {}, column {} is {}; the reference must be finite",
                      printable(checkpoint_.path()), printable(tensor_.name),
                      strip.row + i / strip.columns, strip.column + i % strip.columns, x_[i]));
    }
  }

  /// As Checkpoint::dequantize() does.
  void dequantize_strip(const BlockTensor& t, const Rectangle& strip, float tensor_scale) {
    q_.resize(x_.size());
    if (!tensor_.convention->is_gguf) return dequantize(t, q_);
    to_f32(*tensor_.codes, strip.row * tensor_.columns + strip.column, q_);
    for (float& q : q_) q *= tensor_scale;
  }

  const QuantizedTensor& tensor_;
  const detail::OriginalMatrix& original_;
  const Checkpoint& checkpoint_;  ///< that holds the original
  std::vector<float> x_, q_;
};

}  // namespace

EvalReport evaluate_checkpoint(const Checkpoint& checkpoint, const Checkpoint& original,
                               const NamePatterns& names,
                               const std::function<void(std::uint64_t)>& progress) {
  require_no_faults(checkpoint);
  if (checkpoint.quantized().empty()) {
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: no weights in blocks to score; without --reference its weights are "
                    "quantized and scored",
                    printable(checkpoint.path())));
  }
  EvalReport report;
  report.dialect = "stored";
  report.weight_layout = "last";
  report.files = {checkpoint.path()};
  report.formats.emplace_back();
  report.formats.back().is_stored = true;
  report.totals.resize(1);
  for (const QuantizedTensor& tensor : checkpoint.quantized()) {
    if (!names.accepts(tensor.name)) continue;
    const auto of = detail::original_matrix_of(tensor, original);
    if (!of) {
      report.skipped.push_back({tensor.codes->file, tensor.name,
                                tensor.is_rearranged
                                    ? "transformed, or quantized along another axis"
                                    : "the reference has no float tensor of that name and shape"});
      continue;
    }
    EvalTensor entry{tensor.codes->file,
                     tensor.name,
                     std::string(tensor.format->name),
                     tensor.shape,
                     tensor.rows,
                     tensor.columns,
                     "",
                     {}};
    entry.results.push_back({StoredErrors(tensor, *of, original).sums(), {}});
    report.totals[0].errors.add(entry.results[0].errors);
    report.tensors.push_back(std::move(entry));
    progress(of->tensor.elements());
  }
  for (const ForeignTensor& foreign : checkpoint.foreign()) {
    report.skipped.push_back(
        {foreign.tensor->file, foreign.tensor->name, std::string(foreign.reason)});
  }
  if (report.tensors.empty()) {
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: none of the {} weights in blocks is a float tensor of {}; give the "
                    "checkpoint that was quantized",
                    printable(checkpoint.path()), checkpoint.quantized().size(),
                    printable(original.path())));
  }
  return report;
}

}  // namespace lowbit
