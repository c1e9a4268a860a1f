// SPDX-License-Identifier: MIT
#include "html/scale.hpp"

#include <fmt/format.h>

#include <cmath>

namespace lowbit::html {
namespace {

/// A short text: 1200 as 1200, 2e-06 as 2e-06, 12 million as 1.2e+07.
std::string tick_text(double value) {
  return fmt::format("{:.6g}", std::fabs(value) < 1e-12 ? 0.0 : value);
}

}  // namespace

bool PixelScale::has(double value) const {
  return std::isfinite(value) && (!logarithmic || value > 0.0);
}

double PixelScale::operator()(double value) const {
  const double part =
      logarithmic ? (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low))
                  : (value - low) / (high - low);
  return from + part * (to - from);
}

std::vector<Tick> ticks_of(double low, double high, bool logarithmic, int wanted) {
  std::vector<Tick> ticks;
  if (logarithmic) {
    const int first = static_cast<int>(std::floor(std::log10(low)));
    const int last = static_cast<int>(std::ceil(std::log10(high)));
    const int decades = last - first;
    const int step = std::max(1, (decades + wanted - 1) / wanted);
    for (int e = first; e <= last; e += step) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        if (digit != 1.0 && 2 * decades > wanted) continue;
        const double value = digit * std::pow(10.0, e);
        if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) continue;
        ticks.push_back({value, tick_text(value)});
      }
    }
    return ticks;
  }
  const double raw = (high - low) / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10.0 * power;
  for (const double digit : {5.0, 2.0, 1.0}) {
    if (digit * power >= raw * (1 - 1e-9)) step = digit * power;
  }
  // Counted in steps: sums of a step would leave 0.30000000000000004 on the axis.
  const double slack = 1e-9 * (high - low);
  for (double k = std::ceil((low - slack) / step); k * step <= high + slack; k += 1.0) {
    ticks.push_back({k * step, tick_text(k * step)});
  }
  return ticks;
}

}  // namespace lowbit::html
