// SPDX-License-Identifier: MIT
/// \file
/// The axes on which dialects differ, as a table: one descriptor per axis prints, parses and
/// documents it. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lowbit/block_format.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/scale_rule.hpp"

namespace lowbit {

/// One value of an axis.
struct AxisValue {
  std::string_view name;     ///< snake_case; it names arithmetic, not a program
  std::string_view meaning;  ///< one line
};

/// Where an axis can show; elsewhere all of its values give the same bytes. Each member that is
/// false, and `element`, takes away a part.
struct AxisScope {
  bool nv = true;            ///< in NV and IF formats, whose scales have a mantissa
  bool mx = true;            ///< in MX formats
  bool static_rules = true;  ///< under rules that do not choose between two candidates
  bool finite = true;        ///< on finite inputs
  bool nearest = true;       ///< where elements are rounded to nearest
  bool bytes = true;         ///< in bytes at all; an axis of dequantization is not
  /// Where no block of finite numbers has the scale 0 or NaN, and A is an ordinary number.
  bool ordinary = true;
  /// The axis decides constants of the tensor and nothing else: S, D, A and the range's exponent.
  bool constants_only = false;
  /// Whether it shows on elements of that format; null: on all.
  bool (*element)(const ElementFormat&) = nullptr;
};

/// A quantization, as far as it decides which axes can show.
struct AxisUse {
  const BlockFormat* format = nullptr;   ///< of the blocks
  ScaleRule rule = ScaleRule::static_6;  ///< of the scales
  bool finite = false;                   ///< whether the inputs are
  bool nearest = true;                   ///< whether elements are rounded to nearest
};

/// One axis: a member of Dialect and what may stand in it. Values are numbered from 0 in the order
/// of the member's enumeration.
struct DialectAxis {
  std::string_view name;                      ///< snake_case
  std::string_view meaning;                   ///< what it decides, in one line
  std::span<const AxisValue> values;          ///< numbered from 0
  std::uint8_t (*get)(const Dialect&);        ///< the number of the dialect's value
  void (*set)(Dialect&, std::uint8_t value);  ///< sets the dialect's value by its number
  AxisScope scope{};                          ///< where it can show

  /// The value that the dialect has.
  [[nodiscard]] const AxisValue& value_of(const Dialect& dialect) const {
    return values[get(dialect)];
  }
};

/// Every axis, in the order of the record.
[[nodiscard]] std::span<const DialectAxis> dialect_axes();
/// Whether the axis can show in the bytes of such a quantization.
[[nodiscard]] bool can_show(const DialectAxis& axis, const AxisUse& use);
/// The axis of that name, or nullptr.
[[nodiscard]] const DialectAxis* find_dialect_axis(std::string_view name);

/// Sets an axis by words.
/// \param text  "axis=value"
/// \param dialect  the record to change
/// \throws Error(usage) for an axis or a value that is not there, naming those that are.
void set_dialect_axis(Dialect& dialect, std::string_view text);

/// The Markdown tables of docs/dialects.md: the records, their axes, and the axes by value.
[[nodiscard]] std::string dialect_tables();

}  // namespace lowbit
