// SPDX-License-Identifier: MIT
#include "verify/margins.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lowbit::detail {
namespace {

/// The finite magnitudes of a format, in order.
std::vector<double> magnitudes_of(const ElementFormat& format) {
  std::vector<double> all;
  for (std::uint32_t code = 0; code < format.code_count(); ++code) {
    const Number n = decode(format, code);
    if (n.number_class == NumberClass::nan || n.number_class == NumberClass::infinity) continue;
    all.push_back(std::abs(to_double(format, code)));
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace

Margin margin_of(const ElementFormat& format, double number) {
  const std::vector<double> all = magnitudes_of(format);
  const double x = std::abs(number);
  Margin m;
  const auto above = std::lower_bound(all.begin(), all.end(), x);
  if (above == all.end()) {
    m.is_beyond = true;
    m.lower = m.upper = m.boundary = all.back();
    return m;
  }
  m.upper = *above;
  if (*above == x || above == all.begin()) {
    m.lower = m.boundary = m.upper;
    return m;
  }
  m.lower = *std::prev(above);
  m.boundary = (m.lower + m.upper) / 2;
  m.distance = std::abs(x - m.boundary) / (m.upper - m.lower);
  m.is_tie = x == m.boundary;
  return m;
}

}  // namespace lowbit::detail
