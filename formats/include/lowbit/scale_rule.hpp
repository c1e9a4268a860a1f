// SPDX-License-Identifier: MIT
/// \file
/// How a block's scale is chosen. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lowbit/block_format.hpp"

namespace lowbit {

struct Dialect;

/// How the scale of a block is chosen.
enum class ScaleRule : std::uint8_t {
  static_6,  ///< the block's amax maps to the largest value; `rceil` for MX
  static_4,  ///< E2M1 elements only: to the value below the largest, 4
  mse,       ///< E2M1: 4 or 6, IF: float or integer, by the smaller sum of squared errors
  mae,       ///< by the smaller sum of absolute errors
  abs_max,   ///< by the smaller largest absolute error
  floor,     ///< MX: floor(log2 amax) - emax (OCP MX v1.0 section 6.3)
  rceil,     ///< MX: least power of two for which nothing is clipped
  ceil,      ///< MX: floor, plus 1 unless amax is a power of two
  even,      ///< MX: floor of amax rounded to the element's mantissa
  optimal,   ///< the byte with the least exact (weighted) sum of squared errors, of all
  search,    ///< of those within QuantizeOptions::search_radius of the byte of static_6
};
/// Every rule, in the order above.
[[nodiscard]] std::span<const ScaleRule> scale_rules();
/// The rule's name, as the command spells it.
[[nodiscard]] std::string_view name_of(ScaleRule rule);
/// The rule of that name, or nullopt.
[[nodiscard]] std::optional<ScaleRule> find_scale_rule(std::string_view name);

/// Whether the rule codes each block in two ways and keeps the better one.
[[nodiscard]] constexpr bool selects(ScaleRule rule) {
  return rule == ScaleRule::mse || rule == ScaleRule::mae || rule == ScaleRule::abs_max;
}
/// Whether the rule looks for the best byte; `canonical` arithmetic only.
[[nodiscard]] constexpr bool searches(ScaleRule rule) {
  return rule == ScaleRule::optimal || rule == ScaleRule::search;
}
/// Whether the pair exists (docs/formats.md).
/// \param format  the block format
/// \param rule  the rule
/// \param dialect  canonical where null
[[nodiscard]] bool is_valid_rule(const BlockFormat& format, ScaleRule rule,
                                 const Dialect* dialect = nullptr);
/// The rule that is used where the caller names none: static_6 for NV and HiF, mse for IF, floor
/// for MX; static_6 for MX in dialects that know no other.
/// \param format  the block format
/// \param dialect  canonical where null
[[nodiscard]] ScaleRule default_rule(const BlockFormat& format, const Dialect* dialect = nullptr);

/// M where the caller names none: the largest scale, or headroom_scale() where a block may map its
/// amax to either of two element values. Of the nv family alone.
[[nodiscard]] constexpr float default_scale_max(const BlockFormat& format, ScaleRule rule) {
  return selects(rule) && !format.is_adaptive() ? format.headroom_scale() : format.largest_scale();
}
/// Whether a caller may ask for that M: one of the two above.
[[nodiscard]] constexpr bool is_valid_scale_max(const BlockFormat& format, float scale_max) {
  return format.family() == ScaleFamily::nv &&
         (scale_max == format.largest_scale() || scale_max == format.headroom_scale());
}

}  // namespace lowbit
