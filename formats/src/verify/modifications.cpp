// SPDX-License-Identifier: MIT
// Every single decision that could have been made otherwise than in a recipe.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "lowbit/dialect_axis.hpp"
#include "verify/causes.hpp"

namespace lowbit::detail {
namespace {

struct AxisCause {
  std::string_view axis;
  Cause cause;
};
/// The axes whose values a cause of its own names; all others are the cause dialect.
constexpr AxisCause axis_causes[] = {
    {"negative_zero", Cause::negative_zero},  {"scale_rounding", Cause::scale_rounding},
    {"element_ties", Cause::element_tie},     {"e2m0_ties", Cause::element_tie},
    {"subnormal_carry", Cause::element_tie},  {"scale_floor", Cause::zero_block},
    {"zero_scale", Cause::zero_block},        {"empty_scale", Cause::zero_block},
    {"tensor_scale_edge", Cause::zero_block}, {"mx_empty", Cause::zero_block},
    {"error_value", Cause::selection},        {"error_order", Cause::selection},
    {"error_fusion", Cause::selection},       {"scale_overflow", Cause::saturation},
    {"element_overflow", Cause::saturation},  {"nan_element", Cause::saturation},
    {"scale_nan", Cause::saturation},         {"mx_even_bits", Cause::scale_rounding},
};

class Modifications {
 public:
  Modifications(const Trial& trial, const Recipe& base) : trial_(trial), base_(base) {}

  std::vector<Modification> run() {
    for (const Cause cause : causes()) {
      switch (cause) {
        case Cause::scale_max:
          largest_scale();
          break;
        case Cause::fp16_input:
          half_inputs();
          break;
        case Cause::stale_amax:
          other_amax();
          break;
        case Cause::selection:
          other_rules(cause);
          axes(cause);
          break;
        case Cause::scale_rounding:
          axes(cause);
          if (base_.format->family() == ScaleFamily::mx) other_rules(cause, Mixture::codes);
          break;
        case Cause::dialect:
          records();
          other_axes();
          break;
        default:
          axes(cause);
      }
    }
    return std::move(all_);
  }

 private:
  void add(Cause cause, std::string change, Recipe recipe, Mixture mixture = Mixture::none,
           std::string meaning = {}) {
    if (!Trial::exists(recipe)) return;
    all_.push_back({cause, std::move(change), std::move(recipe), mixture, std::move(meaning)});
  }

  /// "  the dump: ...; te_ge_2.14: ..."
  [[nodiscard]] std::string in_words(std::string_view dump, std::string_view own) const {
    return fmt::format("  the dump: {}; {}: {}\n", dump, own_name(), own);
  }
  [[nodiscard]] std::string own_name() const {
    std::string name(base_.dialect.name);
    for (const std::string& axis : trial_.request().axes) name += "+" + axis;
    return name;
  }

  void axis_values(Cause cause, const DialectAxis& axis, Mixture mixture, bool named) {
    const std::uint8_t own = axis.get(base_.dialect);
    for (std::uint8_t value = 0; value < axis.values.size(); ++value) {
      if (value == own) continue;
      Recipe changed = base_;
      axis.set(changed.dialect, value);
      add(cause,
          fmt::format("{}{} instead of {}", named ? fmt::format("{} ", axis.name) : "",
                      axis.values[value].name, axis.values[own].name),
          std::move(changed), mixture,
          in_words(axis.values[value].meaning, axis.values[own].meaning));
    }
  }

  void axes(Cause cause) {
    for (const AxisCause& known : axis_causes) {
      if (known.cause != cause) continue;
      const DialectAxis* axis = find_dialect_axis(known.axis);
      if (axis == nullptr) continue;
      // A byte that was rounded otherwise may stand beside the codes of either byte.
      axis_values(cause, *axis, cause == Cause::scale_rounding ? Mixture::codes : Mixture::none,
                  known.axis != name_of(cause));
    }
  }

  void other_axes() {
    for (const DialectAxis& axis : dialect_axes()) {
      const bool known =
          std::ranges::any_of(axis_causes, [&](const AxisCause& c) { return c.axis == axis.name; });
      if (!known) axis_values(Cause::dialect, axis, Mixture::none, true);
    }
  }

  void records() {
    for (const Dialect& record : dialects()) {
      if (record.name == base_.dialect.name || !has_format(record, *base_.format)) continue;
      Recipe changed = base_;
      changed.dialect = record;
      for (const std::string& axis : trial_.request().axes) {
        set_dialect_axis(changed.dialect, axis);
      }
      changed.dialect.name = record.name;
      std::string meaning = axes_apart(changed.dialect);
      add(Cause::dialect, fmt::format("{} instead of {}", record.name, base_.dialect.name),
          std::move(changed), Mixture::none, std::move(meaning));
    }
  }

  /// The axes on which the dialect and the recipe's differ, as far as they matter to the recipe.
  [[nodiscard]] std::string axes_apart(const Dialect& other) const {
    const auto key = [&](const Recipe& r) { return trial_.key(r); };
    std::string names;
    for (const DialectAxis& axis : dialect_axes()) {
      if (axis.get(other) == axis.get(base_.dialect)) continue;
      Recipe changed = base_;
      axis.set(changed.dialect, axis.get(other));
      if (key(changed) == key(base_)) continue;
      names +=
          fmt::format("{}{}={}", names.empty() ? "" : ", ", axis.name, axis.value_of(other).name);
    }
    return names.empty() ? names
                         : fmt::format("  {} is {} with {}\n", other.name, own_name(), names);
  }

  void largest_scale() {
    if (base_.format->family() != ScaleFamily::nv) return;
    const float own = base_.scale_max.value_or(default_scale_max(*base_.format, base_.rule));
    for (const float other : {base_.format->largest_scale(), base_.format->headroom_scale()}) {
      if (other == own) continue;
      Recipe changed = base_;
      changed.scale_max = other;
      add(Cause::scale_max, fmt::format("{} instead of {}", other, own), std::move(changed),
          Mixture::codes,
          fmt::format("  the dump: the block at the tensor's amax has the scale {}; {} {}: {}\n",
                      other, own_name(), name_of(base_.rule), own));
    }
  }

  void half_inputs() {
    Recipe changed = base_;
    changed.through_f16 = true;
    const std::string change = "inputs rounded to F16 first";
    add(Cause::fp16_input, change, changed);
    if (base_.format->family() != ScaleFamily::nv) return;
    changed.amax = trial_.amax(base_);
    add(Cause::fp16_input, change + ", amax measured before", std::move(changed));
  }

  void other_amax() {
    const std::optional<float> stored = trial_.stored().tensor_scale;
    if (!stored || base_.format->family() != ScaleFamily::nv || trial_.amax_is_given()) return;
    const Trial::ScaleCheck check = trial_.check_scale(base_);
    if (check.equal) return;
    const float measured = trial_.amax(base_);
    const float c = base_.format->largest_element() *
                    base_.scale_max.value_or(default_scale_max(*base_.format, base_.rule));
    const float amax = check.kind == TensorScaleKind::multiplier ? *stored * c
                       : check.kind == TensorScaleKind::divisor  ? c / *stored
                                                                 : *stored;
    if (!(amax >= 0.0F) || !std::isfinite(amax)) return;
    const std::string change =
        fmt::format("{} (0x{:08x}) is stored where {} (0x{:08x}) is measured", *stored,
                    std::bit_cast<std::uint32_t>(*stored), check.expected,
                    std::bit_cast<std::uint32_t>(check.expected));
    (void)measured;
    Recipe changed = base_;
    changed.amax = amax;
    add(Cause::stale_amax, change + "; the blocks follow the stored one", changed);
    add(Cause::stale_amax, change + "; the blocks follow the measured one", base_);
    add(Cause::stale_amax, change + "; scale bytes and codes of either", std::move(changed),
        Mixture::either);
  }

  void other_rules(Cause cause, Mixture mixture = Mixture::none) {
    for (const ScaleRule rule : scale_rules()) {
      if (rule == base_.rule || searches(rule)) continue;
      Recipe changed = base_;
      changed.rule = rule;
      add(cause, fmt::format("rule {} instead of {}", name_of(rule), name_of(base_.rule)),
          std::move(changed), mixture);
    }
  }

  const Trial& trial_;
  const Recipe& base_;
  std::vector<Modification> all_;
};

}  // namespace

std::vector<Modification> modifications(const Trial& trial, const Recipe& base) {
  return Modifications(trial, base).run();
}

}  // namespace lowbit::detail
