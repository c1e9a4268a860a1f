// SPDX-License-Identifier: MIT
#include <set>
#include <string>

#include "catch.hpp"
#include "lowbit/block_format.hpp"
#include "lowbit/conversion.hpp"

using namespace lowbit;

TEST_CASE("names are unique and found again") {
  std::set<std::string_view> names;
  for (const ElementFormat* f : element_formats()) {
    CHECK(names.insert(f->name).second);
    CHECK(find_element_format(f->name) == f);
  }
  for (const BlockFormat& f : block_formats()) {
    CHECK(names.insert(f.name).second);
    CHECK(find_block_format(f.name) == &f);
  }
  CHECK(find_element_format("nothing") == nullptr);
  CHECK(find_block_format("nothing") == nullptr);
}

TEST_CASE("every finite code converts back to itself") {
  for (const ElementFormat* f : element_formats()) {
    if (f->bits > 16) continue;
    for (std::uint32_t code = 0; code < f->code_count(); ++code) {
      const Number n = decode(*f, code);
      if (n.number_class == NumberClass::nan) continue;
      // Two codes read back as another: sign-magnitude -0, and the most negative two's complement.
      const bool has_twin = f->is_integer() && (code == f->sign_mask());
      if (has_twin) continue;
      INFO(f->name << " code " << code);
      CHECK(from_double(*f, to_double(*f, code), {.overflow = Overflow::infinity}) == code);
    }
  }
}
