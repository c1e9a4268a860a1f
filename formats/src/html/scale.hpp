// SPDX-License-Identifier: MIT
// From numbers to places in a picture, and the ticks of an axis.
#pragma once

#include <string>
#include <vector>

namespace lowbit::html {

/// Values low..high to pixels from..to; logarithmic in powers of ten.
struct PixelScale {
  double low = 0.0;
  double high = 1.0;
  double from = 0.0;
  double to = 1.0;
  bool logarithmic = false;

  /// Whether the value has a place: not NaN or infinite, and above 0 on a logarithmic scale.
  [[nodiscard]] bool has(double value) const;
  [[nodiscard]] double operator()(double value) const;
};

/// A mark on an axis.
struct Tick {
  double value = 0.0;
  std::string text;
};

/// About `wanted` ticks within low..high: multiples of 1, 2 or 5 times a power of ten, and the same
/// within each decade of a logarithmic axis that spans few of them.
[[nodiscard]] std::vector<Tick> ticks_of(double low, double high, bool logarithmic, int wanted);

}  // namespace lowbit::html
