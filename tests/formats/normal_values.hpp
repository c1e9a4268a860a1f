// SPDX-License-Identifier: MIT
// Values like those of weights.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace lowbit {

/// Normal values with a standard deviation of 0.02; the count is the seed.
inline std::vector<float> values_of(std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::normal_distribution<float> normal(0.0F, 0.02F);
  std::vector<float> values(count);
  for (float& v : values) v = normal(random);
  return values;
}

}  // namespace lowbit
