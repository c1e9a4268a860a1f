// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cmath>

#include "lowbit/checkpoint_eval.hpp"
#include "lowbit/checkpoint_lint.hpp"
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

ErrorStatistics errors_of(const Checkpoint& checkpoint, const QuantizedTensor& tensor,
                          std::span<const float> original) {
  const std::vector<float> values = checkpoint.dequantize(tensor);
  const std::size_t size = values.size() / tensor.parts();
  ErrorStatistics sums;
  for (std::size_t part = 0; part < tensor.parts(); ++part) {
    const BlockTensor t = checkpoint.read(tensor, part);
    sums.add(error_statistics(original.subspan(part * size, size), t,
                              std::span(values).subspan(part * size, size), choices_of(t)));
    if (tensor.layout.tensor_scale != TensorScaleKind::none) add_tensor_scale(sums, *tensor.format);
  }
  return sums;
}

void require_finite(const QuantizedTensor& tensor, std::span<const float> x,
                    const Checkpoint& original) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isfinite(x[i])) continue;
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: tensor \"{}\": row {}, column {} is {}; the reference must be finite",
                    printable(original.path()), printable(tensor.name), i / tensor.columns,
                    i % tensor.columns, x[i]));
  }
}

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
    const auto x = original_of(tensor, original);
    if (!x) {
      report.skipped.push_back({tensor.codes->file, tensor.name,
                                tensor.is_rearranged
                                    ? "transformed, or quantized along another axis"
                                    : "the reference has no float tensor of that name and shape"});
      continue;
    }
    require_finite(tensor, *x, original);
    EvalTensor entry{tensor.codes->file,
                     tensor.name,
                     std::string(tensor.format->name),
                     tensor.shape,
                     tensor.rows,
                     tensor.columns,
                     "",
                     {}};
    entry.results.push_back({errors_of(checkpoint, tensor, *x), {}});
    report.totals[0].errors.add(entry.results[0].errors);
    report.tensors.push_back(std::move(entry));
    progress(x->size());
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
