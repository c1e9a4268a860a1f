// SPDX-License-Identifier: MIT
/// \file
/// The axes on which dialects differ, as a table: one descriptor per axis prints, parses and
/// documents it. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lowbit/dialect.hpp"

namespace lowbit {

/// One value of an axis.
struct AxisValue {
  std::string_view name;     ///< snake_case; it names arithmetic, not a program
  std::string_view meaning;  ///< one line
};

/// One axis: a member of Dialect and what may stand in it. Values are numbered from 0 in the order
/// of the member's enumeration.
struct DialectAxis {
  std::string_view name;                      ///< snake_case
  std::string_view meaning;                   ///< what it decides, in one line
  std::span<const AxisValue> values;          ///< numbered from 0
  std::uint8_t (*get)(const Dialect&);        ///< the number of the dialect's value
  void (*set)(Dialect&, std::uint8_t value);  ///< sets the dialect's value by its number

  /// The value that the dialect has.
  [[nodiscard]] const AxisValue& value_of(const Dialect& dialect) const {
    return values[get(dialect)];
  }
};

/// Every axis, in the order of the record.
[[nodiscard]] std::span<const DialectAxis> dialect_axes();
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
