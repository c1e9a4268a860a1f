// SPDX-License-Identifier: MIT
#include "lowbit/format_spec.hpp"

#include <fmt/format.h>

namespace lowbit {

std::string_view FormatSpec::name() const {
  if (is_recipe) return "recipe";
  if (is_stored) return "stored";
  if (codec != nullptr) return codec->name();
  return format != nullptr ? format->name : "keep";
}

std::string FormatSpec::rule_name() const {
  if (format == nullptr) return {};
  return rule == ScaleRule::search ? fmt::format("search:{}", search_radius)
                                   : std::string(lowbit::name_of(rule));
}

std::string FormatSpec::label() const {
  return format == nullptr ? std::string(name()) : fmt::format("{}:{}", name(), rule_name());
}

}  // namespace lowbit
