// SPDX-License-Identifier: MIT
#include "format_spec.hpp"

#include <fmt/format.h>

#include "lowbit/error.hpp"
#include "lowbit/names.hpp"

namespace lowbit::cli {

std::string_view FormatSpec::name() const {
  return codec != nullptr ? codec->name() : format->name;
}

std::string FormatSpec::rule_name() const {
  return codec != nullptr ? std::string() : std::string(lowbit::name_of(rule));
}

std::string FormatSpec::label() const {
  return codec != nullptr ? std::string(name()) : fmt::format("{}:{}", name(), rule_name());
}

FormatSpec format_spec_of(const std::string& text, const Dialect& dialect) {
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  FormatSpec spec;
  spec.codec = find_reference_codec(name);
  if (spec.codec != nullptr) {
    if (colon == text.npos) return spec;
    throw Error(ErrorKind::usage, fmt::format("{} has no scale rules", name));
  }
  const FormatChoice choice = format_choice_named(text, {}, &dialect);
  spec.format = choice.format;
  spec.rule = choice.rule.value_or(default_rule(*spec.format, &dialect));
  return spec;
}

}  // namespace lowbit::cli
