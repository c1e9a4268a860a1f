// SPDX-License-Identifier: MIT
#include "lowbit/transform.hpp"

#include <bit>
#include <charconv>

#include "lowbit/hadamard.hpp"
#include "transform/transforms.hpp"

namespace lowbit {

void Transform::fit(const MatrixView&, const MatrixView&) {}
void Transform::check(std::size_t) const {}

std::shared_ptr<const Transform> find_transform(std::string_view name) {
  if (name == hadamard()->name()) return hadamard();
  constexpr std::string_view prefix = "hadamard:";
  if (!name.starts_with(prefix)) return nullptr;
  const auto number = [](std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole ? std::optional(value) : std::nullopt;
  };
  name.remove_prefix(prefix.size());
  const std::size_t colon = name.find(':');
  if (colon == name.npos) return nullptr;
  const std::optional<std::uint32_t> seed = number(name.substr(colon + 1));
  if (!seed) return nullptr;
  if (name.substr(0, colon) == "full") return detail::rotation(0, *seed);
  const std::optional<std::uint32_t> points = number(name.substr(0, colon));
  if (!points || *points < 16 || !std::has_single_bit(*points)) return nullptr;
  return detail::rotation(*points, *seed);
}

}  // namespace lowbit
