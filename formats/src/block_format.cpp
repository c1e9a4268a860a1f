// SPDX-License-Identifier: MIT
#include "lowbit/block_format.hpp"

#include <fmt/format.h>

#include <array>

#include "lowbit/error.hpp"

namespace lowbit {
namespace {

// name, element, integer element, scale, block size, element exponent, levels
constexpr auto registry = std::to_array<BlockFormat>({
    {"nvfp4", &e2m1, nullptr, &e4m3, 16},
    {"nvfp4_bs8", &e2m1, nullptr, &e4m3, 8},
    {"nvfp3", &e2m0, nullptr, &e4m3, 16},
    {"nvfp3_bs8", &e2m0, nullptr, &e4m3, 8},
    {"nvfp6_e2m3", &e2m3, nullptr, &e4m3, 16},
    {"nvfp6_e3m2", &e3m2, nullptr, &e4m3, 16},
    {"nvint3", &int3, nullptr, &e4m3, 16},
    {"nvint3_bs8", &int3, nullptr, &e4m3, 8},
    {"nvint4", &int4, nullptr, &e4m3, 16},
    {"nvint4_bs8", &int4, nullptr, &e4m3, 8},
    {"nvint6", &int6, nullptr, &e4m3, 16},
    {"if3", &e2m0, &int3, &e4m3, 16},
    {"if3_bs8", &e2m0, &int3, &e4m3, 8},
    {"if4", &e2m1, &int4, &e4m3, 16},
    {"if4_bs8", &e2m1, &int4, &e4m3, 8},
    {"if6_e2m3", &e2m3, &int6, &e4m3, 16},
    {"if6_e3m2", &e3m2, &int6, &e4m3, 16},
    {"mxfp3", &e2m0, nullptr, &e8m0, 32},
    {"mxfp4", &e2m1, nullptr, &e8m0, 32},
    {"mxfp6_e2m3", &e2m3, nullptr, &e8m0, 32},
    {"mxfp6_e3m2", &e3m2, nullptr, &e8m0, 32},
    {"mxfp8_e4m3", &e4m3, nullptr, &e8m0, 32},
    {"mxfp8_e5m2", &e5m2, nullptr, &e8m0, 32},
    {"mxint8", &int8, nullptr, &e8m0, 32, -6},
    {"mxfp4_bs16", &e2m1, nullptr, &e8m0, 16},
    {"amdfp4", &e2m1, nullptr, &ue5m3, 16},
    // Formats with levels stand last: MAC units number the others by their place.
    {"hif4", &s1p2, nullptr, &e6m2, 64, 0, {8, 16}},
});

constexpr const BlockFormat& record(std::string_view name) {
  for (const BlockFormat& format : registry) {
    if (format.name == name) return format;
  }
  throw "no such format";  // not a constant expression: the compiler stops here
}

// The published constants, derived: docs/formats.md, sections 4 to 6.
static_assert(record("if4").integer_unit() == Ratio{6, 7});
static_assert(record("if3").integer_unit() == Ratio{4, 3});
static_assert(record("if6_e2m3").integer_unit() == Ratio{15, 62});
static_assert(record("if6_e2m3").exact_denominator() == 31);
static_assert(record("if6_e3m2").integer_unit() == Ratio{28, 31});
static_assert(record("nvfp4").largest_scale() == 448 && record("nvfp4").headroom_scale() == 256);
static_assert(record("amdfp4").largest_scale() == 114688 &&
              record("amdfp4").headroom_scale() == 65536);
static_assert(record("hif4").largest_scale() == 49152 && record("hif4").block_bytes() == 35);
static_assert(record("if4").integer_flag() == 0x80 && record("nvfp4").integer_flag() == 0);

/// What is wrong with a record, or nothing.
constexpr std::string_view fault_of(const BlockFormat& f) {
  if (f.element == nullptr) return "it has no element format";
  if (f.scale == nullptr) return "it has no scale format";
  if (f.element->bits > 8) return "its elements have more than 8 bits";
  if (f.scale->bits > 8) return "its scale has more than 8 bits";
  if (f.scale->is_integer()) return "its scale is an integer format";
  if (f.block_size < 1 || f.block_size > max_block_size) return "its block size is out of range";
  if (f.storage_bits() == 4 && f.block_size % 2 != 0) return "4-bit codes need an even block size";
  if (f.is_adaptive() && f.integer->bits != f.element->bits) {
    return "its integer elements have another number of bits than its float ones";
  }
  if (f.is_adaptive() && !f.scale->is_signed) return "its scale has no sign bit for the flag";
  const auto& [second, third] = f.levels;
  if (!f.has_levels()) return third != 0 ? "it has a third level without a second" : "";
  if (third % second != 0 || third == 0 || f.block_size % third != 0) {
    return "its levels do not divide the block";
  }
  if (f.level_bits() > 24) return "its levels have more than 24 bits";
  if (f.is_adaptive()) return "an IF format has no levels";
  return "";
}

static_assert([] {
  for (const BlockFormat& format : registry) {
    if (!fault_of(format).empty()) return false;
  }
  return true;
}());

}  // namespace

std::span<const BlockFormat> block_formats() {
  return registry;
}

const BlockFormat* find_block_format(std::string_view name) {
  for (const BlockFormat& format : registry) {
    if (format.name == name) return &format;
  }
  return nullptr;
}

void check_block_format(const BlockFormat& format) {
  const std::string_view fault = fault_of(format);
  if (fault.empty()) return;
  throw Error(ErrorKind::usage, fmt::format("block format {}: {}", format.name, fault));
}

}  // namespace lowbit
