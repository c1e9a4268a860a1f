// SPDX-License-Identifier: MIT
// evaluate: error statistics of an array, or of the tensors of files, as the report of the command.
#include "lowbit/evaluate.hpp"

#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <thread>

#include "arrays.hpp"
#include "float_environment.hpp"
#include "lowbit/checkpoint_eval.hpp"
#include "lowbit/eval_report.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/selection.hpp"
#include "matrix.hpp"
#include "module.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace lowbit::python {
namespace {

using Words = std::vector<std::string>;

/// Formats, requests and the report that one tensor after another is added to.
class Evaluator {
 public:
  Evaluator(const Words& formats, const std::string& dialect, std::optional<float> scale_max,
            const std::string& nonfinite, unsigned threads)
      : skips_nonfinite_(nonfinite == "skip"),
        nonfinite_(skips_nonfinite_ ? NonFinite::error : nonfinite_named(nonfinite)) {
    if (nonfinite_ == NonFinite::propagate) {
      throw Error(ErrorKind::usage,
                  "nonfinite: NaN has no error to report; choose error, saturate or skip");
    }
    how_.threads = threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
    how_.progress = stopping();
    const Dialect& whose = dialect_named(dialect);
    report_.dialect = whose.name;
    for (const std::string& text : formats) {
      const FormatSpec spec = format_spec_named(text, whose);
      report_.formats.push_back(spec);
      if (spec.format == nullptr) continue;
      QuantizeOptions request;
      request.format = spec.format;
      request.rule = spec.rule;
      request.search_radius = spec.search_radius;
      request.dialect = &whose;
      request.nonfinite = nonfinite_;
      if (spec.format->family() == ScaleFamily::nv) request.scale_max = scale_max;
      requests_.push_back(request);
      block_size_ = std::max(block_size_, spec.format->block_size);
    }
    report_.totals.resize(report_.formats.size());
  }

  void add(const SelectedTensor& entry, const std::string& file) {
    const TensorInfo& tensor = *entry.tensor;
    how_.view = entry.view;
    EvalTensor out = described(entry, file);
    try {
      for (const ErrorStatistics& errors :
           evaluate(tensor, report_.formats, requests_, nonfinite_, how_)) {
        report_.totals[out.results.size()].errors.add(errors);
        out.results.push_back({errors});
      }
    } catch (const NonFiniteInput&) {
      if (!skips_nonfinite_) throw;
      report_.skipped.push_back({file, tensor.name, "holds NaN or infinities"});
      return;
    }
    report_.tensors.push_back(std::move(out));
  }

  /// The tensors of files that the rules select.
  void add(const std::vector<std::string>& paths, const SelectionRules& rules) {
    std::vector<TensorFile> files;
    for (const std::string& path : paths) {
      files.push_back(TensorFile::open(path));
      refuse_quantized(files.back(), path, rules);
    }
    const Selection selection = select_tensors(files, paths, rules);
    report_.notes = selection.notes;
    for (std::string& warning : padding_warnings(selection, block_size_)) {
      report_.notes.push_back(std::move(warning));
    }
    for (const LeftOutTensor& entry : selection.left_out) {
      report_.skipped.push_back({paths[entry.file], entry.tensor->name, std::string(entry.reason)});
    }
    if (selection.taken.empty() && report_.skipped.empty()) {
      throw Error(
          ErrorKind::usage,
          fmt::format("{}: no float tensor to evaluate; `lowbit inspect` lists what there is",
                      printable(paths.front())));
    }
    for (const SelectedTensor& entry : selection.taken) add(entry, paths[entry.file]);
  }

  /// The report, with what was said about files and dimensions.
  EvalReport report(Words files, std::optional<int> axis, const std::string& layout) && {
    report_.files = std::move(files);
    report_.axis = axis;
    report_.weight_layout = layout;
    return std::move(report_);
  }

 private:
  bool skips_nonfinite_;
  NonFinite nonfinite_;
  EvalReport report_;
  std::vector<QuantizeOptions> requests_;
  EvaluateOptions how_;
  int block_size_ = 1;
};

SelectionRules rules_of(const Words& include, const Words& exclude, bool all,
                        const std::string& layout, std::optional<int> axis) {
  const std::optional<WeightLayout> found = find_weight_layout(layout);
  if (!found) {
    std::string known;
    for (const WeightLayout each : weight_layouts()) {
      known += fmt::format("{}{}", known.empty() ? "" : ", ", name_of(each));
    }
    throw Error(ErrorKind::usage,
                fmt::format("weight_layout='{:.40}': not one of {}", layout, known));
  }
  return {NamePatterns(include, exclude), all, *found, axis};
}

EvalReport evaluate_array(const AnyArray& x, const std::string& dtype, const Words& formats,
                          const std::string& dialect, std::optional<int> axis,
                          const std::string& layout, std::optional<float> scale_max,
                          const std::string& nonfinite, unsigned threads) {
  const TensorInfo tensor = tensor_of(x, dtype);
  const SelectionRules rules = rules_of({}, {}, true, layout, axis);
  Evaluator evaluator(formats, dialect, scale_max, nonfinite, threads);
  const Computing computing;
  evaluator.add(selected(tensor, {}, rules), tensor.file);
  return std::move(evaluator).report({tensor.file}, axis, layout);
}

EvalReport evaluate_files(const std::filesystem::path& path, const Words& include,
                          const Words& exclude, bool all, const Words& formats,
                          const std::string& dialect, std::optional<int> axis,
                          const std::string& layout, std::optional<float> scale_max,
                          const std::string& nonfinite, unsigned threads) {
  const SelectionRules rules = rules_of(include, exclude, all, layout, axis);
  Evaluator evaluator(formats, dialect, scale_max, nonfinite, threads);
  const Computing computing;
  Words paths;
  for (const std::filesystem::path& file : model_files(path)) paths.push_back(file.string());
  evaluator.add(paths, rules);
  return std::move(evaluator).report(paths, axis, layout);
}

EvalReport evaluate_stored(const std::filesystem::path& path,
                           const std::filesystem::path& reference, const Words& include,
                           const Words& exclude) {
  const NamePatterns names(include, exclude);
  const Computing computing;
  const Checkpoint original = Checkpoint::open(reference);
  require_no_faults(original);
  return evaluate_checkpoint(Checkpoint::open(path), original, names, stopping());
}

/// The numbers of one tensor, or of all, under one format.
nb::dict numbers(const FormatSpec& spec, const EvalResult& result) {
  nb::dict d;
  d["format"] = std::string(spec.name());
  d["rule"] = spec.format == nullptr ? nb::object(nb::none()) : nb::cast(spec.rule_name());
  d["elements"] = result.errors.elements;
  d["blocks"] = result.errors.blocks;
  for (const EvalMetric& metric : eval_metrics()) {
    const std::optional<double> value = metric.value(result);
    if (value) d[nb::cast(std::string(metric.name))] = *value;
  }
  return d;
}

nb::list rows(const EvalReport& report) {
  nb::list out;
  for (const EvalTensor& tensor : report.tensors) {
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      nb::dict d;
      d["file"] = utf8(tensor.file);
      d["tensor"] = utf8(tensor.name);
      d["dtype"] = tensor.dtype;
      d["shape"] = nb::tuple(nb::cast(tensor.shape));
      d.update(numbers(report.formats[k], tensor.results[k]));
      out.append(d);
    }
  }
  return out;
}

nb::list totals(const EvalReport& report) {
  nb::list out;
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    out.append(numbers(report.formats[k], report.totals[k]));
  }
  return out;
}

/// What tables show: headings, then a row of texts for each tensor and format.
nb::list cells(const EvalReport& report) {
  nb::list head;
  head.append("tensor");
  head.append("format");
  for (const EvalMetric& metric : eval_metrics()) {
    if (report.has(metric.source)) head.append(std::string(metric.heading));
  }
  nb::list out;
  out.append(head);
  for (const EvalTensor& tensor : report.tensors) {
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      nb::list row;
      row.append(utf8(tensor.name));
      row.append(report.formats[k].label());
      for (const EvalMetric& metric : eval_metrics()) {
        if (report.has(metric.source)) row.append(metric.cell(tensor.results[k]));
      }
      out.append(row);
    }
  }
  return out;
}

nb::list skipped(const EvalReport& report) {
  nb::list out;
  for (const SkippedTensor& tensor : report.skipped) {
    out.append(nb::make_tuple(utf8(tensor.name), tensor.reason));
  }
  return out;
}

nb::list notes(const EvalReport& report) {
  nb::list out;
  for (const std::string& note : report.notes) out.append(utf8(note));
  return out;
}

/// The report in one of its forms.
template <std::string (*form)(const EvalReport&)>
nb::object written(const EvalReport& report) {
  return utf8(form(report));
}

/// What divides sums and takes logarithms does so in the clean floating-point state too.
template <auto function>
auto clean(const EvalReport& report) {
  const FloatEnvironment environment;
  return function(report);
}

}  // namespace

void add_evaluate(nb::module_& m) {
  nb::class_<EvalReport>(m, "EvalReport")
      .def("notes", &notes, nb::sig("def notes(self) -> list[str]"))
      .def("rows", &clean<&rows>, nb::sig("def rows(self) -> list[dict[str, typing.Any]]"))
      .def("totals", &clean<&totals>, nb::sig("def totals(self) -> list[dict[str, typing.Any]]"))
      .def("skipped", &skipped, nb::sig("def skipped(self) -> list[tuple[str, str]]"))
      .def("cells", &clean<&cells>, nb::sig("def cells(self) -> list[list[str]]"))
      .def("text", &clean<&written<as_text>>, nb::sig("def text(self) -> str"))
      .def("json", &clean<&written<as_json>>, nb::sig("def json(self) -> str"))
      .def("csv", &clean<&written<as_csv>>, nb::sig("def csv(self) -> str"))
      .def("markdown", &clean<&written<as_markdown>>, nb::sig("def markdown(self) -> str"))
      .def("html", &clean<&written<as_html>>, nb::sig("def html(self) -> str"));
  m.def("evaluate_array", &evaluate_array, "x"_a, "dtype"_a, nb::kw_only(), "formats"_a,
        "dialect"_a, "axis"_a.none(), "weight_layout"_a, "scale_max"_a.none(), "nonfinite"_a,
        "threads"_a);
  m.def("evaluate_files", &evaluate_files, "path"_a, "include"_a, "exclude"_a, "all"_a,
        nb::kw_only(), "formats"_a, "dialect"_a, "axis"_a.none(), "weight_layout"_a,
        "scale_max"_a.none(), "nonfinite"_a, "threads"_a);
  m.def("evaluate_stored", &evaluate_stored, "path"_a, "reference"_a, "include"_a, "exclude"_a);
}

}  // namespace lowbit::python
