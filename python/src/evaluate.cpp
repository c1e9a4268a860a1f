// SPDX-License-Identifier: MIT
// evaluate: error statistics of an array, or of one tensor of a file, under several formats.
#include "lowbit/evaluate.hpp"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <thread>

#include "arrays.hpp"
#include "float_environment.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/quantize_record.hpp"
#include "module.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace lowbit::python {
namespace {

/// An open file and the requests that its tensors, or arrays, are evaluated under. Sums are kept,
/// so that totals are those of the command.
class Evaluator {
 public:
  Evaluator(const std::vector<std::string>& formats, const std::string& dialect, int axis,
            std::optional<float> scale_max, const std::string& nonfinite, unsigned threads)
      : axis_(axis),
        threads_(threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency())) {
    const Dialect& whose = dialect_named(dialect);
    const auto policy = find_nonfinite(nonfinite);
    if (!policy || *policy == NonFinite::propagate) {
      throw Error(ErrorKind::usage,
                  "nonfinite: NaN has no error to report; choose error or saturate");
    }
    for (const std::string& text : formats) {
      const FormatChoice choice = format_choice_named(text, {}, &whose);
      QuantizeOptions request;
      request.format = choice.format;
      request.rule = choice.rule.value_or(default_rule(*choice.format, &whose));
      request.dialect = &whose;
      request.nonfinite = *policy;
      if (choice.format->family() == ScaleFamily::nv) request.scale_max = scale_max;
      requests_.push_back(request);
    }
    totals_.resize(requests_.size());
  }

  nb::list labels() const {
    nb::list out;
    for (const QuantizeOptions& r : requests_) {
      out.append(nb::make_tuple(std::string(r.format->name), std::string(name_of(*r.rule))));
    }
    return out;
  }

  nb::list array(const AnyArray& x, const std::string& dtype) {
    return tensor(tensor_of(x, dtype));
  }

  nb::list tensor(const TensorInfo& info) {
    std::vector<ErrorStatistics> results;
    {
      const Computing computing;
      // A call that Ctrl-C ends: the calling thread does its share of the chunks and looks between
      // them.
      const std::thread::id caller = std::this_thread::get_id();
      EvaluateOptions options{axis_, threads_, {}};
      options.progress = [caller](std::uint64_t) {
        if (std::this_thread::get_id() != caller) return;
        const nb::gil_scoped_acquire acquired;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
      };
      results = evaluate(info, requests_, options);
    }
    nb::list out;
    for (std::size_t i = 0; i < results.size(); ++i) {
      totals_[i].add(results[i]);
      out.append(numbers(results[i]));
    }
    return out;
  }

  nb::list totals() const {
    nb::list out;
    for (const ErrorStatistics& total : totals_) out.append(numbers(total));
    return out;
  }

 private:
  static nb::dict numbers(const ErrorStatistics& statistics) {
    nb::dict d;
    d["elements"] = statistics.elements;
    d["blocks"] = statistics.blocks;
    for (const Metric& metric : metrics()) {
      d[nb::cast(std::string(metric.name))] = metric.value(statistics);
    }
    return d;
  }

  std::vector<QuantizeOptions> requests_;
  std::vector<ErrorStatistics> totals_;
  int axis_;
  unsigned threads_;
};

}  // namespace

void add_evaluate(nb::module_& m) {
  nb::class_<TensorInfo>(m, "FileTensor")
      .def_ro("name", &TensorInfo::name)
      .def_prop_ro("dtype", [](const TensorInfo& t) { return std::string(t.dtype->name); })
      .def_prop_ro("shape", [](const TensorInfo& t) { return nb::tuple(nb::cast(t.shape)); })
      .def_prop_ro("is_float", [](const TensorInfo& t) { return t.dtype->is_float(); })
      .def_prop_ro("elements", &TensorInfo::elements);
  nb::class_<TensorFile>(m, "TensorFile")
      .def_static(
          "open",
          [](const std::filesystem::path& path) {
            const nb::gil_scoped_release released;
            return TensorFile::open(path);
          },
          "path"_a)
      .def("tensors", [](nb::handle_t<TensorFile> self) {
        nb::list out;
        for (const TensorInfo& t : nb::cast<const TensorFile&>(self).tensors()) {
          out.append(nb::cast(&t, nb::rv_policy::reference_internal, self));
        }
        return out;
      });
  nb::class_<Evaluator>(m, "Evaluator")
      .def(nb::init<const std::vector<std::string>&, const std::string&, int, std::optional<float>,
                    const std::string&, unsigned>(),
           "formats"_a, "dialect"_a, "axis"_a, "scale_max"_a.none(), "nonfinite"_a, "threads"_a)
      .def("labels", &Evaluator::labels)
      .def("array", &Evaluator::array, "x"_a, "dtype"_a)
      .def("tensor", &Evaluator::tensor, "tensor"_a)
      .def("totals", &Evaluator::totals);
}

}  // namespace lowbit::python
