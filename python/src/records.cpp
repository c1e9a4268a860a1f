// SPDX-License-Identifier: MIT
// The registries: block formats with their rules, dialects, metrics, instructions.
#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include "lowbit/block_format.hpp"
#include "lowbit/capture.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/dialect_formats.hpp"
#include "lowbit/metrics.hpp"
#include "lowbit/sim/instruction.hpp"
#include "module.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace lowbit::python {
namespace {

std::string text(std::string_view view) {
  return std::string(view);
}

nb::list formats() {
  nb::list all;
  for (const BlockFormat& format : block_formats()) {
    nb::list rules;
    for (const ScaleRule rule : scale_rules()) {
      // `search` takes a number, which this interface has no way to say.
      if (rule == ScaleRule::search || !is_valid_rule(format, rule)) continue;
      rules.append(text(name_of(rule)));
    }
    nb::dict d;
    d["name"] = text(format.name);
    d["element"] = text(format.element->name);
    d["integer"] =
        format.integer == nullptr ? nb::object(nb::none()) : nb::cast(text(format.integer->name));
    d["scale"] = text(format.scale->name);
    d["block_size"] = format.block_size;
    d["bits_per_element"] = format.bits_per_element();
    d["rules"] = rules;
    d["default_rule"] = text(name_of(default_rule(format)));
    all.append(d);
  }
  return all;
}

nb::list dialect_list() {
  nb::list all;
  for (const Dialect& dialect : dialects()) {
    nb::dict d;
    d["name"] = text(dialect.name);
    d["summary"] = text(dialect.summary);
    nb::list formats;
    nb::dict rules;
    for (const BlockFormat& format : block_formats()) {
      if (!has_format(dialect, format)) continue;
      nb::list names;
      for (const ScaleRule rule : rules_of(dialect, format)) names.append(text(name_of(rule)));
      formats.append(text(format.name));
      rules[text(format.name).c_str()] = names;
    }
    d["formats"] = formats;
    d["rules"] = rules;
    all.append(d);
  }
  return all;
}

nb::list metric_list() {
  nb::list all;
  for (const Metric& metric : metrics()) {
    nb::dict d;
    d["name"] = text(metric.name);
    d["heading"] = text(metric.heading);
    d["style"] = static_cast<int>(metric.style);
    d["formula"] = text(metric.formula);
    all.append(d);
  }
  return all;
}

nb::list instruction_names() {
  nb::list all;
  for (const sim::Instruction& instruction : sim::instructions())
    all.append(text(instruction.name));
  return all;
}

/// What tests need of the configurations whose captures a dialect reproduces.
nb::list captured_configurations() {
  constexpr std::string_view scales[] = {"none", "encode", "decode", "amax"};
  constexpr std::string_view shapes[] = {"rows", "square", "row_scaled", "hadamard_columns"};
  nb::list all;
  for (const CaptureConfiguration& c : capture_configurations()) {
    nb::dict d;
    d["file"] = text(c.file);
    d["configuration"] = text(c.configuration);
    d["dialect"] = text(c.dialect);
    d["cuda_dialect"] = text(c.cuda_dialect);
    d["format"] = fmt::format("{}:{}", c.format, name_of(c.rule));
    d["scale"] = text(scales[static_cast<std::size_t>(c.scale)]);
    d["shape"] = text(shapes[static_cast<std::size_t>(c.shape)]);
    d["scale_max"] = c.scale_max == 0.0F ? nb::object(nb::none()) : nb::cast(c.scale_max);
    d["casts_input"] = c.casts_input;
    d["plain"] = !c.gives_scale && !c.has_ggml_blocks;
    all.append(d);
  }
  return all;
}

}  // namespace

void add_records(nb::module_& m) {
  m.def("formats", &formats, nb::sig("def formats() -> list[dict[str, typing.Any]]"),
        "Every block format: name, element, integer, scale, block_size, bits_per_element, rules, "
        "default_rule.");
  m.def("dialects", &dialect_list, nb::sig("def dialects() -> list[dict[str, typing.Any]]"),
        "Every dialect: name, summary, formats (the block formats that its program has), rules (of "
        "each of these formats).");
  m.def("captured_configurations", &captured_configurations,
        nb::sig("def captured_configurations() -> list[dict[str, typing.Any]]"),
        "Outputs of other programs that are dialects, for the tests: how each was made.");
  m.def("metrics", &metric_list, nb::sig("def metrics() -> list[dict[str, typing.Any]]"),
        "Every metric of `evaluate`: name, heading, style, formula.");
  m.def("instructions", &instruction_names, nb::sig("def instructions() -> list[str]"),
        "Every tensor-core instruction, as `mma` takes it.");
}

}  // namespace lowbit::python
