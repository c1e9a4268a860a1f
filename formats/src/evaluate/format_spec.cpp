// SPDX-License-Identifier: MIT
#include "lowbit/format_spec.hpp"

#include <fmt/format.h>

#include <charconv>

#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace {

/// The K of "search:K", 1 to 254.
int radius_of(std::string_view text, std::size_t colon) {
  int radius = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] =
      std::from_chars(colon == text.npos ? end : text.data() + colon + 1, end, radius);
  if (error != std::errc{} || stop != end || radius < 1 || radius > 254) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: the rule search is spelled search:K, K from 1 to 254 bytes",
                            printable(text)));
  }
  return radius;
}

}  // namespace

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

FormatSpec format_spec_named(std::string_view text, const Dialect& dialect, std::string_view rule) {
  const std::size_t colon = text.find(':');
  const std::string name = in_lower_case(text.substr(0, colon));
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
    if (in_text != text.npos && radius_of(text, in_text) != spec.search_radius) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} and the rule {} contradict each other; name one rule",
                              printable(text), printable(rule)));
    }
  } else if (has_number) {
    throw Error(ErrorKind::usage, fmt::format("{}: only the rule search takes a number",
                                              printable(rule.empty() ? text : rule)));
  }
  return spec;
}

void require_block_format(const FormatSpec& spec) {
  if (spec.format != nullptr) return;
  throw Error(
      ErrorKind::usage,
      fmt::format("{} is no block format, and only those are written; `lowbit formats` lists them",
                  spec.label()));
}

}  // namespace lowbit
