// SPDX-License-Identifier: MIT
#include "lowbit/block_format.hpp"

#include <array>

namespace lowbit {
namespace {

using enum ScaleFamily;

// name, element, integer element, scale family, block size, element exponent
constexpr auto registry = std::to_array<BlockFormat>({
    {"nvfp4", &e2m1, nullptr, nv, 16},      {"nvfp4_bs8", &e2m1, nullptr, nv, 8},
    {"nvfp3", &e2m0, nullptr, nv, 16},      {"nvfp3_bs8", &e2m0, nullptr, nv, 8},
    {"nvfp6_e2m3", &e2m3, nullptr, nv, 16}, {"nvfp6_e3m2", &e3m2, nullptr, nv, 16},
    {"nvint3", &int3, nullptr, nv, 16},     {"nvint3_bs8", &int3, nullptr, nv, 8},
    {"nvint4", &int4, nullptr, nv, 16},     {"nvint4_bs8", &int4, nullptr, nv, 8},
    {"nvint6", &int6, nullptr, nv, 16},     {"if3", &e2m0, &int3, nv, 16},
    {"if3_bs8", &e2m0, &int3, nv, 8},       {"if4", &e2m1, &int4, nv, 16},
    {"if4_bs8", &e2m1, &int4, nv, 8},       {"if6_e2m3", &e2m3, &int6, nv, 16},
    {"if6_e3m2", &e3m2, &int6, nv, 16},     {"mxfp3", &e2m0, nullptr, mx, 32},
    {"mxfp4", &e2m1, nullptr, mx, 32},      {"mxfp6_e2m3", &e2m3, nullptr, mx, 32},
    {"mxfp6_e3m2", &e3m2, nullptr, mx, 32}, {"mxfp8_e4m3", &e4m3, nullptr, mx, 32},
    {"mxfp8_e5m2", &e5m2, nullptr, mx, 32}, {"mxint8", &int8, nullptr, mx, 32, -6},
});

// The published constants, derived: docs/formats.md, sections 4 to 6.
static_assert(registry[13].integer_unit() == Ratio{6, 7});
static_assert(registry[11].integer_unit() == Ratio{4, 3});
static_assert(registry[15].integer_unit() == Ratio{15, 62} &&
              registry[15].exact_denominator() == 31);
static_assert(registry[16].integer_unit() == Ratio{28, 31});

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

}  // namespace lowbit
