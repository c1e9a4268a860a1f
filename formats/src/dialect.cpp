// SPDX-License-Identifier: MIT
#include "lowbit/dialect.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "dialects/records.hpp"
#include "lowbit/block_format.hpp"
#include "lowbit/dialect_axis.hpp"

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
  if (dialect.formats.empty()) return true;
  std::string_view rest = dialect.formats;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == format.name) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
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
