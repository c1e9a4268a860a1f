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

TEST_CASE("the page of the dialects has the table of examples") {
  std::ifstream file(LOWBIT_DOCS_DIR "/dialects.md");
  std::ostringstream page;
  page << file.rdbuf();
  CHECK(page.str().find(axis_examples::table(examples())) != std::string::npos);
}
