// SPDX-License-Identifier: MIT
// Every value of every axis of the dialects, on a block where it shows:
// tests/data/axis_examples.json, which axis_report found. The elements are from captured inputs
// where a captured dialect has the value, and then test_captures holds the same arithmetic to what
// the library returned.
#include <fstream>
#include <set>
#include <sstream>

#include "axis_examples.hpp"
#include "catch.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/names.hpp"
#include "lowbit/quantize.hpp"
#include "lowbit/test_vectors.hpp"

using namespace lowbit;

namespace {

std::vector<axis_examples::Example> examples() {
  return axis_examples::read(LOWBIT_TEST_DATA_DIR "/axis_examples.json");
}

}  // namespace

TEST_CASE("a block for every value of every axis") {
  std::set<std::string> shown;
  for (const axis_examples::Example& e : examples()) {
    INFO(e.axis << "=" << e.value << " in " << e.dialect << ", " << e.format << ":" << e.rule);
    const Dialect& dialect = dialect_named(e.dialect);
    const DialectAxis* const axis = find_dialect_axis(e.axis);
    REQUIRE(axis != nullptr);
    CHECK(axis->value_of(dialect).name == e.value);
    CHECK(axis_examples::code(e, dialect) == e.result);
    Dialect other = dialect;
    set_dialect_axis(other, e.axis + "=" + e.other);
    CHECK(axis_examples::code(e, other) == e.other_result);
    CHECK(e.result != e.other_result);
    shown.insert(e.axis + "=" + e.value);
  }
  for (const DialectAxis& axis : dialect_axes()) {
    for (const AxisValue& value : axis.values) {
      INFO(axis.name << "=" << value.name);
      CHECK(shown.contains(std::string(axis.name) + "=" + std::string(value.name)));
    }
  }
}

TEST_CASE("an axis that cannot show changes no byte") {
  std::size_t compared = 0;
  for (const DialectAxis& axis : dialect_axes()) {
    for (const BlockFormat& format : block_formats()) {
      if (format.has_levels()) continue;
      for (const ScaleRule rule : scale_rules()) {
        if (searches(rule)) continue;
        if (can_show(axis, {&format, rule, true, true})) continue;
        for (const char* name : {"canonical", "te_python_ref", "torchao", "mlx"}) {
          const Dialect& base = dialect_named(name);
          if (!is_valid_rule(format, rule, &base)) continue;
          for (const VectorInput& input : vector_inputs()) {
            if (input.name != "zeros" && input.name != "tiny" && input.name != "ties" &&
                input.name != "only_zeros") {
              continue;
            }
            QuantizeOptions o;
            o.format = &format;
            o.rule = rule;
            o.input_type = input_type_of(*input.dtype);
            o.dialect = &base;
            const BlockTensor wanted = quantize(input.values, input.rows, input.columns, o);
            for (std::uint8_t v = 0; v < axis.values.size(); ++v) {
              if (v == axis.get(base)) continue;
              Dialect d = base;
              axis.set(d, v);
              o.dialect = &d;
              if (!is_valid_rule(format, rule, &d)) continue;
              const BlockTensor found = quantize(input.values, input.rows, input.columns, o);
              const bool same = found.values == wanted.values && found.scales == wanted.scales;
              ++compared;
              INFO(axis.name << "=" << axis.values[v].name << " " << format.name << " "
                             << name_of(rule) << " " << name << " " << input.name);
              CHECK(same);
            }
          }
        }
      }
    }
  }
  CHECK(compared > 50000);
}

TEST_CASE("the page of the dialects has the table of examples") {
  std::ifstream file(LOWBIT_DOCS_DIR "/dialects.md");
  std::ostringstream page;
  page << file.rdbuf();
  CHECK(page.str().find(axis_examples::table(examples())) != std::string::npos);
}
