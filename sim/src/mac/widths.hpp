// SPDX-License-Identifier: MIT
// Widths of the exact unit that follow from a block format: the generator prints them into
// lowbit_formats.sv, the models take their bounds from here.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "lowbit/block_format.hpp"

namespace lowbit::sim {

/// Whether the units decode the format's scale bytes: no other scales than E4M3 and E8M0.
inline bool has_mac_scales(const BlockFormat& f) {
  return *f.scale == e4m3 || *f.scale == e8m0;
}

/// Every element is (-1)^s * magnitude * 2^unit_exponent: the largest magnitude of a format.
inline std::uint64_t largest_magnitude(const ElementFormat& format) {
  std::uint64_t largest = 0;
  for (std::uint32_t code = 0; code < format.code_count(); ++code) {
    const Number n = decode(format, code);
    if (n.number_class != NumberClass::finite) continue;
    largest =
        std::max(largest, std::uint64_t{n.significand} << (n.exponent - format.unit_exponent()));
  }
  return largest;
}

/// G: an integer block's unit counts G where the float block's unit (2^unit_exponent) counts d, so
/// that both are integers: G = E * d * 2^-unit_exponent.
inline int integer_factor(const BlockFormat& f) {
  if (!f.is_adaptive()) return 1;
  const auto e = f.integer_unit();
  return (e.numerator * f.exact_denominator() << -f.element->unit_exponent()) / e.denominator;
}

/// Largest product of the significands of two scales: 15 * 15 for E4M3, 1 where scales are powers
/// of two.
inline std::uint64_t largest_scale_product(const BlockFormat& f) {
  const std::uint64_t significand = (std::uint64_t{2} << f.scale->mantissa_bits) - 1;
  return significand * significand;
}

/// Largest |a * w| of two blocks, times largest_scale_product where `scaled`, times the factors of
/// float and integer blocks where `factors`.
inline std::uint64_t largest_product(const BlockFormat& f, bool scaled, bool factors) {
  const auto factor = [&](int value) { return static_cast<std::uint64_t>(factors ? value : 1); };
  std::uint64_t largest = largest_magnitude(*f.element) * factor(f.exact_denominator());
  if (f.is_adaptive())
    largest = std::max(largest, largest_magnitude(*f.integer) * factor(integer_factor(f)));
  return largest * largest * (scaled ? largest_scale_product(f) : 1);
}

/// Bits of one lane's product in the accumulator, before the shift by the scales' exponents.
inline int factored_bits(const BlockFormat& f) {
  return std::bit_width(largest_product(f, true, true));
}

/// Accumulator that K up to 2^20 cannot overflow, at least 72 bits: products up to
/// 2^factored_bits * 2^28 (both E4M3 exponents at most), 2^20 of them, and a sign. MX: the window.
inline int default_accumulator_bits(const BlockFormat& f) {
  return f.family() == ScaleFamily::mx ? 96 : std::max(72, factored_bits(f) + 28 + 20 + 1);
}

}  // namespace lowbit::sim
