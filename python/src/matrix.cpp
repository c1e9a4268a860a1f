// SPDX-License-Identifier: MIT
#include "matrix.hpp"

#include <fmt/format.h>

#include <thread>

#include "lowbit/element_format.hpp"
#include "lowbit/error.hpp"
#include "lowbit/format_spec.hpp"
#include "lowbit/names.hpp"

namespace lowbit::python {

nanobind::object utf8(std::string_view text) {
  return nanobind::steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

std::function<void(std::uint64_t)> stopping() {
  return [caller = std::this_thread::get_id()](std::uint64_t) {
    if (std::this_thread::get_id() != caller) return;
    const nanobind::gil_scoped_acquire acquired;
    if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
  };
}

QuantizeRecord record_named(const std::string& format, const std::string& rule,
                            const std::string& dialect) {
  QuantizeRecord record;
  record.dialect = &dialect_named(dialect);
  const FormatSpec spec = format_spec_named(format, *record.dialect, rule);
  require_block_format(spec);
  record.format = spec.format;
  record.rule = spec.rule;
  if (spec.search_radius != 0) record.search_radius = spec.search_radius;
  return record;
}

TensorMatrix matrix_along(const TensorInfo& tensor, int axis, bool transposed) {
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  return matrix_of(tensor, view_along(shape, axis), transposed);
}

NonFinite nonfinite_named(const std::string& name) {
  if (const auto policy = find_nonfinite(name)) return *policy;
  throw Error(ErrorKind::usage,
              fmt::format("nonfinite='{:.40}': not error, saturate or propagate", name));
}

ElementRounding rounding_named(const std::string& name) {
  if (const auto rounding = find_element_rounding(name)) return *rounding;
  throw Error(
      ErrorKind::usage,
      fmt::format("rounding='{:.40}': not nearest, stochastic or stochastic_unbiased", name));
}

const ElementFormat& output_named(const std::string& name) {
  for (const ElementFormat* format : {&f32, &f16, &bf16}) {
    if (format->name == name) return *format;
  }
  throw Error(ErrorKind::usage, fmt::format("output='{:.40}': not f32, f16 or bf16", name));
}

}  // namespace lowbit::python
