// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace lowbit::cli {

/// The tensors rand0 and rand1 of a file of random numbers; rand1 is empty where the file lacks it.
struct RandomNumbers {
  std::vector<float> first;
  std::vector<float> second;
};
[[nodiscard]] RandomNumbers random_numbers(const std::string& path);

}  // namespace lowbit::cli
