// SPDX-License-Identifier: MIT
#include "lowbit/dialect.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "dialects/records.hpp"
#include "lowbit/block_format.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/dialect_formats.hpp"

namespace lowbit {
std::span<const Dialect> dialects() {
  static const std::vector<Dialect> all = [] {
    std::vector<Dialect> records{canonical, fos_pytorch, fos_pytorch_cuda, fos_triton};
    for (const auto& family :
         {detail::cuda_kernel_dialects(), detail::pytorch_dialects(), detail::native_dialects()}) {
      records.insert(records.end(), family.begin(), family.end());
    }
    return records;
  }();
  return all;
}

namespace {

const Dialect* find_record(std::string_view name) {
  for (const Dialect& dialect : dialects()) {
    if (dialect.name == name || (!name.empty() && dialect.alias == name)) return &dialect;
  }
  return nullptr;
}

/// The first word of a list that `accepts`.
template <typename Accepts>
std::optional<std::string_view> find_word(std::string_view list, char between, Accepts accepts) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(between), list.size());
    const std::string_view word = list.substr(0, end);
    if (accepts(word)) return word;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return std::nullopt;
}

/// FORMAT or FORMAT:RULE,RULE of the record's list.
std::optional<std::string_view> entry_of(const Dialect& dialect, const BlockFormat& format) {
  return find_word(dialect.formats, ' ', [&](std::string_view word) {
    return word.substr(0, word.find(':')) == format.name;
  });
}

bool holds(std::string_view list, char between, std::string_view word) {
  return find_word(list, between, [&](std::string_view w) { return w == word; }).has_value();
}

/// A record with some axes set, under its composite name. Kept for the life of the program, because
/// requests and records refer to dialects.
struct Derived {
  std::string name;
  Dialect dialect;
};

}  // namespace

const Dialect* find_dialect(std::string_view name) {
  const std::size_t plus = name.find('+');
  if (plus == name.npos) return find_record(name);
  static std::mutex mutex;
  static std::deque<Derived> all;
  const std::lock_guard lock(mutex);
  for (const Derived& derived : all) {
    if (derived.name == name) return &derived.dialect;
  }
  const Dialect* const base = find_record(name.substr(0, plus));
  if (base == nullptr) return nullptr;
  Dialect dialect = *base;
  for (std::size_t at = plus; at != name.npos;) {
    const std::size_t next = name.find('+', at + 1);
    set_dialect_axis(dialect, name.substr(at + 1, next == name.npos ? next : next - at - 1));
    at = next;
  }
  Derived& derived = all.emplace_back(Derived{std::string(name), dialect});
  derived.dialect.name = derived.name;
  derived.dialect.alias = {};
  derived.dialect.status = DialectStatus::modelled;
  return &derived.dialect;
}

bool has_format(const Dialect& dialect, const BlockFormat& format) {
  return dialect.formats.empty() || entry_of(dialect, format).has_value();
}

bool has_rule(const Dialect& dialect, const BlockFormat& format, ScaleRule rule) {
  if (!is_valid_rule(format, rule, &dialect)) return false;
  if (dialect.formats.empty()) return true;
  const auto entry = entry_of(dialect, format);
  if (!entry) return false;
  const std::size_t colon = entry->find(':');
  return colon == entry->npos || holds(entry->substr(colon + 1), ',', name_of(rule));
}

std::vector<ScaleRule> rules_of(const Dialect& dialect, const BlockFormat& format) {
  std::vector<ScaleRule> rules;
  for (const ScaleRule rule : scale_rules()) {
    if (!searches(rule) && has_rule(dialect, format, rule)) rules.push_back(rule);
  }
  return rules;
}

std::string_view name_of(DialectStatus status) {
  switch (status) {
    case DialectStatus::defined:
      return "defined";
    case DialectStatus::captured:
      return "captured";
    case DialectStatus::modelled:
      return "modelled";
    case DialectStatus::approximate:
      return "approximate";
  }
  return "";
}

}  // namespace lowbit
