// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <utility>

#include "lowbit/dialect.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/scale_rule.hpp"

namespace lowbit {
namespace {

using enum ScaleRule;

constexpr auto names = std::to_array<std::pair<ScaleRule, std::string_view>>({
    {static_6, "static_6"},
    {static_4, "static_4"},
    {mse, "mse"},
    {mae, "mae"},
    {abs_max, "abs_max"},
    {floor, "floor"},
    {rceil, "rceil"},
    {ceil, "ceil"},
    {even, "even"},
    {optimal, "optimal"},
    {search, "search"},
});

constexpr auto rules = [] {
  std::array<ScaleRule, names.size()> out{};
  for (std::size_t i = 0; i < names.size(); ++i) out[i] = names[i].first;
  return out;
}();

/// Whether the dialect distinguishes them: the exponent of a rounded quotient is one rule.
bool has_mx_rules(const Dialect* dialect) {
  if (dialect == nullptr) return true;
  return dialect->mx_scale == MxScale::exact || dialect->mx_scale == MxScale::log2_divided ||
         dialect->mx_scale == MxScale::log2_reciprocal ||
         dialect->mx_scale == MxScale::log2_full_division ||
         dialect->mx_scale == MxScale::log2_floor || dialect->mx_scale == MxScale::log2_floor_typed;
}

/// Whether every axis has canonical's value, on whose arithmetic searches and levels are defined.
bool is_canonical(const Dialect* dialect) {
  if (dialect == nullptr) return true;
  const std::span<const DialectAxis> axes = dialect_axes();
  return std::all_of(axes.begin(), axes.end(), [&](const DialectAxis& axis) {
    return axis.get(*dialect) == axis.get(canonical);
  });
}

}  // namespace

std::span<const ScaleRule> scale_rules() {
  return rules;
}

std::string_view name_of(ScaleRule rule) {
  for (const auto& [value, name] : names) {
    if (value == rule) return name;
  }
  return "unknown";
}

std::optional<ScaleRule> find_scale_rule(std::string_view name) {
  for (const auto& [value, text] : names) {
    if (text == name) return value;
  }
  return std::nullopt;
}

bool is_valid_rule(const BlockFormat& format, ScaleRule rule, const Dialect* dialect) {
  if (format.has_levels()) return rule == static_6 && is_canonical(dialect);
  const bool is_e2m1 = *format.element == e2m1;
  switch (rule) {
    case static_6:
      return !format.is_adaptive();
    case static_4:
      return !format.is_adaptive() && is_e2m1;
    case mse:
    case mae:
    case abs_max:
      return format.family() == ScaleFamily::nv && (format.is_adaptive() || is_e2m1);
    case floor:
    case rceil:
    case ceil:
    case even:
      return format.family() == ScaleFamily::mx && has_mx_rules(dialect);
    case optimal:
    case search:
      return is_canonical(dialect);
  }
  return false;
}

ScaleRule default_rule(const BlockFormat& format, const Dialect* dialect) {
  if (format.family() == ScaleFamily::mx) return has_mx_rules(dialect) ? floor : static_6;
  return format.is_adaptive() ? mse : static_6;
}

}  // namespace lowbit
