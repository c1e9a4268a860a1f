// SPDX-License-Identifier: MIT
#include "format_spec.hpp"

#include <fmt/format.h>

#include <charconv>

#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::cli {
namespace {

/// The K of "search:K", 1 to 254.
int radius_of(const std::string& text, std::size_t colon) {
  int radius = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, radius);
  if (colon == text.npos || error != std::errc{} || stop != end || radius < 1 || radius > 254) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: the rule search is spelled search:K, K from 1 to 254 bytes",
                            printable(text)));
  }
  return radius;
}

}  // namespace

FormatSpec format_spec_of(const std::string& text, const Dialect& dialect,
                          const std::string& rule) {
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  FormatSpec spec;
  spec.codec = find_reference_codec(name);
  if (spec.codec != nullptr || name == "keep") {
    if (colon == text.npos && rule.empty()) return spec;
    throw Error(ErrorKind::usage, fmt::format("{} has no scale rules", name));
  }
  // The K of search:K is taken off before the names are looked up.
  const std::size_t in_text = colon == text.npos ? colon : text.find(':', colon + 1);
  const std::size_t in_rule = rule.find(':');
  const FormatChoice choice =
      format_choice_named(text.substr(0, in_text), rule.substr(0, in_rule), &dialect);
  spec.format = choice.format;
  spec.rule = choice.rule.value_or(default_rule(*spec.format, &dialect));
  const bool has_number = in_text != text.npos || in_rule != rule.npos;
  if (spec.rule == ScaleRule::search) {
    spec.search_radius = in_rule != rule.npos ? radius_of(rule, in_rule) : radius_of(text, in_text);
  } else if (has_number) {
    throw Error(ErrorKind::usage, fmt::format("{}: only the rule search takes a number",
                                              printable(rule.empty() ? text : rule)));
  }
  return spec;
}

}  // namespace lowbit::cli
