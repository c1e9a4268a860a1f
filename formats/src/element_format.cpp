// SPDX-License-Identifier: MIT
#include "lowbit/element_format.hpp"

#include <array>
#include <cmath>
#include <limits>

namespace lowbit {
namespace {

constexpr std::array<const ElementFormat*, 19> registry{
    &e2m0, &e2m1, &s1p2, &e2m3, &e3m2, &e4m3, &e5m2, &ue4m3, &ue5m3, &e8m0,
    &e6m2, &int3, &int4, &int6, &int8, &f16,  &bf16, &tf32,  &f32};

}  // namespace

std::span<const ElementFormat* const> element_formats() {
  return registry;
}

const ElementFormat* find_element_format(std::string_view name) {
  for (const ElementFormat* format : registry) {
    if (format->name == name) return format;
  }
  return nullptr;
}

double to_double(const ElementFormat& format, std::uint32_t code) {
  const Number n = decode(format, code);
  double magnitude = 0.0;
  switch (n.number_class) {
    case NumberClass::zero:
      break;
    case NumberClass::finite:
      magnitude = std::ldexp(n.significand, n.exponent);
      break;
    case NumberClass::infinity:
      magnitude = std::numeric_limits<double>::infinity();
      break;
    case NumberClass::nan:
      return std::numeric_limits<double>::quiet_NaN();
  }
  // Integers have no negative zero, whatever the sign bit of a sign-magnitude code says.
  if (magnitude == 0.0 && format.is_integer()) return 0.0;
  return n.negative ? -magnitude : magnitude;
}

float to_float(const ElementFormat& format, std::uint32_t code) {
  return static_cast<float>(to_double(format, code));
}

}  // namespace lowbit
