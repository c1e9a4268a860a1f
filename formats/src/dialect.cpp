// SPDX-License-Identifier: MIT
#include "lowbit/dialect.hpp"

#include <array>

namespace lowbit {
namespace {

constexpr auto registry =
    std::to_array<Dialect>({canonical, fos_pytorch, fos_pytorch_cuda, fos_triton});

}  // namespace

std::span<const Dialect> dialects() {
  return registry;
}

const Dialect* find_dialect(std::string_view name) {
  for (const Dialect& dialect : registry) {
    if (dialect.name == name) return &dialect;
  }
  return nullptr;
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
