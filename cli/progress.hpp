// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace lowbit::cli {

/// A bar on stderr, drawn only where that is a terminal and the user did not say never.
class Progress {
 public:
  Progress(const std::string& mode, std::uint64_t total);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();
  void advance(std::uint64_t elements);

 private:
  void draw() const;
  bool shown_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point drawn_ = begun_;
};

}  // namespace lowbit::cli
