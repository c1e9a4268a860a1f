// SPDX-License-Identifier: MIT
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "catch.hpp"
#include "lowbit/block_format.hpp"
#include "lowbit/conversion.hpp"
#include "lowbit/scale_rule.hpp"

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

TEST_CASE("what a scale byte says, and what follows from a block format's record") {
  const auto find = [](std::string_view name) -> const BlockFormat& {
    const BlockFormat* const format = find_block_format(name);
    REQUIRE(format != nullptr);
    return *format;
  };
  // Bit 7 flags integer blocks of IF formats, and is part of the scale of all others.
  for (const BlockFormat& f : block_formats()) {
    INFO(f.name);
    const bool adaptive = f.name.starts_with("if");
    const bool exponent = f.name.starts_with("mx");
    CHECK(f.is_adaptive() == adaptive);
    CHECK((f.family() == ScaleFamily::mx) == exponent);
    CHECK((f.family() == ScaleFamily::hif) == f.name.starts_with("hif"));
    CHECK(f.scale->name == (exponent             ? "e8m0"
                            : f.has_levels()     ? "e6m2"
                            : f.name == "amdfp4" ? "ue5m3"
                                                 : "e4m3"));
    CHECK(f.integer_flag() == (adaptive ? 0x80 : 0));
    for (int byte = 0; byte < 256; ++byte) {
      const auto b = static_cast<std::uint8_t>(byte);
      const bool integer = adaptive && byte >= 128;
      CHECK(f.is_integer_block(b) == integer);
      CHECK(f.scale_magnitude(b) == (integer ? byte - 128 : byte));
      CHECK(&f.element_of(b) == (integer ? f.integer : f.element));
      CHECK(f.unit_of(b) == (integer ? f.integer_unit() : Ratio{1, 1}));
    }
  }
  CHECK(find("if4").integer_unit() == Ratio{6, 7});
  CHECK(inverse(find("if4").integer_unit()) == Ratio{7, 6});
  CHECK(find("nvfp4").integer_unit() == Ratio{1, 1});
  CHECK(find("nvfp4").largest_element() == 6.0F);
  CHECK(find("nvfp4").second_element() == 4.0F);
  CHECK(find("nvfp6_e3m2").largest_element() == 28.0F);
  CHECK(find("nvint4").largest_element() == 7.0F);
  CHECK(find("nvfp4").largest_scale() == 448.0F);
  CHECK(find("nvfp4").headroom_scale() == 256.0F);
  CHECK(find("amdfp4").largest_scale() == 114688.0F);
  CHECK(find("amdfp4").headroom_scale() == 65536.0F);
  CHECK(find("amdfp4").bits_per_element() == 4.5);
  // A scale format whose largest value has no room for half as much again: 4, so 2.
  constexpr BlockFormat narrow{"narrow", &e2m1, nullptr, &e2m0, 16};
  CHECK(narrow.headroom_scale() == 2.0F);
  CHECK(find("nvfp4").bits_per_element() == 4.5);
  CHECK(find("mxfp4").bits_per_element() == 4.25);
  CHECK(default_scale_max(find("nvfp4"), ScaleRule::static_6) == 448.0F);
  CHECK(default_scale_max(find("nvfp4"), ScaleRule::static_4) == 448.0F);
  CHECK(default_scale_max(find("nvfp4"), ScaleRule::mae) == 256.0F);
  CHECK(default_scale_max(find("if4"), ScaleRule::mse) == 448.0F);
  CHECK(is_valid_scale_max(find("if4"), 256.0F));
  CHECK(is_valid_scale_max(find("if4"), 448.0F));
  CHECK_FALSE(is_valid_scale_max(find("if4"), 300.0F));
  CHECK_FALSE(is_valid_scale_max(find("mxfp4"), find("mxfp4").largest_scale()));
}

TEST_CASE("UE5M3: no sign, no infinity, one NaN") {
  const ElementFormat* const f = find_element_format("ue5m3");
  REQUIRE(f != nullptr);
  CHECK(f->code_count() == 256);
  CHECK(f->max_code() == 0xFE);
  CHECK(f->nan_code() == 0xFF);
  CHECK_FALSE(f->has_infinity());
  CHECK(to_float(*f, 0x00) == 0.0F);
  for (std::uint32_t code = 1; code < 8; ++code) {
    CHECK(to_float(*f, code) == static_cast<float>(code) * 0x1p-17F);
  }
  CHECK(to_float(*f, 0x08) == 0x1p-14F);
  CHECK(to_float(*f, 0x78) == 1.0F);
  CHECK(to_float(*f, 0xF8) == 65536.0F);  // the top binade is numbers
  CHECK(to_float(*f, 0xFE) == 114688.0F);
  CHECK(std::isnan(to_float(*f, 0xFF)));
  // Ties to even, on normal and subnormal numbers, and at both ends.
  CHECK(from_float(*f, 1.0625F) == 0x78);
  CHECK(from_float(*f, 1.1875F) == 0x7A);
  CHECK(from_float(*f, 0x1p-18F) == 0x00);
  CHECK(from_float(*f, 0x1.8p-17F) == 0x02);
  CHECK(from_float(*f, 0x1.ep-15F) == 0x08);  // the carry into the normal numbers
  CHECK(from_float(*f, 118783.0F) == 0xFE);
  CHECK(from_float(*f, 1e30F) == 0xFE);
  CHECK(from_float(*f, 118784.0F, {.overflow = Overflow::infinity}) == 0xFE);  // a tie, to even
  CHECK(from_float(*f, 118784.01F, {.overflow = Overflow::infinity}) == 0xFF);
  CHECK(from_float(*f, 118783.0F, {.overflow = Overflow::infinity}) == 0xFE);
  CHECK(from_float(*f, std::numeric_limits<float>::infinity()) == 0xFE);
  CHECK(from_float(*f, std::numeric_limits<float>::quiet_NaN()) == 0xFF);
  CHECK(from_float(*f, -1.0F) == 0x00);
}
