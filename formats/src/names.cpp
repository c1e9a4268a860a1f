// SPDX-License-Identifier: MIT
#include "lowbit/names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit {
namespace {

/// Longer than any name; bounds the time that a nonsensical one costs.
constexpr std::size_t longest_name = 64;

/// The number of letters to insert, delete, exchange or swap with their neighbour (optimal string
/// alignment distance).
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t exchanged = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, exchanged});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        now[j] = std::min(now[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

[[noreturn]] void unknown(const std::string& what, std::string_view name,
                          std::span<const std::string_view> known, std::string_view remedy) {
  throw Error(ErrorKind::usage,
              fmt::format("unknown {} '{:.60}'; nearest: {}{}", what, printable(name),
                          fmt::join(nearest_names(name, known), ", "), remedy));
}

template <typename Record>
std::vector<std::string_view> names_of(std::span<const Record> records) {
  std::vector<std::string_view> names;
  for (const Record& record : records) names.push_back(record.name);
  return names;
}

}  // namespace

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::vector<std::string> nearest_names(std::string_view name,
                                       std::span<const std::string_view> known, std::size_t count) {
  const std::string wanted = in_lower_case(name.substr(0, longest_name));
  std::vector<std::pair<std::size_t, std::size_t>> order;  // edits, index
  for (std::size_t i = 0; i < known.size(); ++i) {
    order.emplace_back(edits(wanted, in_lower_case(known[i].substr(0, longest_name))), i);
  }
  std::sort(order.begin(), order.end());
  std::vector<std::string> nearest;
  for (std::size_t i = 0; i < std::min(count, order.size()); ++i) {
    nearest.emplace_back(known[order[i].second]);
  }
  return nearest;
}

const BlockFormat& block_format_named(std::string_view name) {
  if (const BlockFormat* format = find_block_format(in_lower_case(name))) return *format;
  unknown("block format", name, names_of(block_formats()), "; `lowbit formats` lists all");
}

const Dialect& dialect_named(std::string_view name) {
  if (const Dialect* dialect = find_dialect(in_lower_case(name))) return *dialect;
  unknown("dialect", name, names_of(dialects()), "; docs/dialects.md lists all");
}

ScaleRule scale_rule_named(std::string_view name, const BlockFormat& format,
                           const Dialect* dialect) {
  std::string text = in_lower_case(name);
  if (text == "4over6" || text == "4/6") text = name_of(ScaleRule::mse);
  const std::optional<ScaleRule> rule = find_scale_rule(text);
  if (rule && is_valid_rule(format, *rule, dialect)) return *rule;
  std::vector<std::string_view> known;
  for (const ScaleRule r : scale_rules()) {
    if (is_valid_rule(format, r, dialect)) known.push_back(name_of(r));
  }
  unknown(fmt::format("rule of {}", format.name), name, known, "");
}

FormatChoice format_choice_named(std::string_view text, std::string_view rule,
                                 const Dialect* dialect) {
  const std::size_t colon = text.find(':');
  FormatChoice choice{&block_format_named(text.substr(0, colon)), {}};
  if (colon != text.npos) {
    choice.rule = scale_rule_named(text.substr(colon + 1), *choice.format, dialect);
  }
  if (rule.empty()) return choice;
  const ScaleRule apart = scale_rule_named(rule, *choice.format, dialect);
  if (choice.rule && *choice.rule != apart) {
    throw Error(ErrorKind::usage,
                fmt::format("{} and the rule {} contradict each other; name one rule",
                            printable(text), printable(rule)));
  }
  choice.rule = apart;
  return choice;
}

}  // namespace lowbit
