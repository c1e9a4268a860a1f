// SPDX-License-Identifier: MIT
#include "gemm/operand_coding.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

std::int64_t shift_left(std::int64_t value, int by) {
  return value * (std::int64_t{1} << by);
}

void fill_raw(std::array<std::int64_t, 256>& table, const ElementFormat& element, int unit) {
  for (std::uint32_t code = 0; code < 256; ++code) {
    const Number n = decode(element, code);
    if (n.number_class != NumberClass::finite) continue;
    const std::int64_t magnitude = shift_left(n.significand, n.exponent - unit);
    table[code] = n.negative ? -magnitude : magnitude;
  }
}

OperandCoding make_coding(const BlockFormat& format) {
  OperandCoding c;
  c.format = &format;
  const int unit = format.element->unit_exponent();
  c.element_exponent = unit + format.element_exponent;
  c.denominator = static_cast<std::uint32_t>(format.exact_denominator());
  fill_raw(c.raw[0], *format.element, unit);
  c.raw[1] = c.raw[0];
  if (format.is_adaptive()) {
    // One integer unit is E = n / (d * 2^k); in units of 2^unit / d that is n * 2^(-k - unit).
    const Ratio e = format.integer_unit();
    int k = 0;
    for (int d = e.denominator; d % 2 == 0; d /= 2) ++k;
    c.factor = {static_cast<std::int32_t>(c.denominator), e.numerator * (1 << (-k - unit))};
    fill_raw(c.raw[1], *format.integer, 0);
  }
  for (std::uint32_t code = 0; code < 256; ++code) {
    const NumberClass kind = decode(*format.element, code).number_class;
    const bool special = kind == NumberClass::nan || kind == NumberClass::infinity;
    c.element_class[code] = special ? kind : NumberClass::finite;
    c.has_specials = c.has_specials || special;
    for (std::size_t table = 0; table < 2; ++table) {
      const std::int64_t magnitude = std::abs(c.raw[table][code]);
      c.largest_raw = std::max(c.largest_raw, magnitude);
      c.largest_value = std::max(c.largest_value, magnitude * c.factor[table]);
    }
  }
  const ElementFormat& scale = *format.scale;
  c.scale_exponent = scale.unit_exponent();
  // E4M3 spans 18 bits: the shift goes into the integer, so that blocks add without shifting. UE5M3
  // spans 34, E8M0 254.
  c.has_shifts = scale.max_exponent() - scale.unit_exponent() > 20;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    // A sign bit is a flag, or nothing.
    Number n = decode(scale, byte & scale.magnitude_mask());
    if (n.number_class == NumberClass::nan) {
      c.scale_is_nan[byte] = true;
      n = decode(scale, scale.max_code());
    }
    c.scale_significand[byte] = static_cast<std::int32_t>(n.significand);
    c.scale_shift[byte] = static_cast<std::int16_t>(n.exponent - c.scale_exponent);
    if (!c.has_shifts) {
      c.scale_significand[byte] <<= c.scale_shift[byte];
      c.scale_shift[byte] = 0;
    }
    c.block_kind[byte] = format.is_integer_block(static_cast<std::uint8_t>(byte)) ? 1 : 0;
    c.largest_significand =
        std::max<std::int64_t>(c.largest_significand, c.scale_significand[byte]);
  }
  return c;
}

}  // namespace

const OperandCoding& operand_coding(const BlockFormat& format) {
  if (format.has_levels()) {
    throw Error(ErrorKind::usage, "products of " + std::string(format.name) +
                                      " are not modelled: it has levels of exponents below its "
                                      "scales; dequantize it first");
  }
  static const std::vector<OperandCoding> codings = [] {
    std::vector<OperandCoding> all;
    for (const BlockFormat& f : block_formats()) {
      if (!f.has_levels()) all.push_back(make_coding(f));
    }
    return all;
  }();
  for (const OperandCoding& coding : codings) {
    if (coding.format == &format || coding.format->name == format.name) return coding;
  }
  throw Error(ErrorKind::usage, "block format '" + std::string(format.name) +
                                    "' is not in the registry; see `lowbit formats`");
}

}  // namespace lowbit::sim
