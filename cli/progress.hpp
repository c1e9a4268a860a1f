// SPDX-License-Identifier: MIT
// What the command says on standard error beside errors: how far it is, and notes.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <string>

namespace lowbit::cli {

/// Adds --quiet: no bar and no notes, whatever else is asked for. One command runs per process.
void add_quiet(CLI::App& command);

[[nodiscard]] bool is_quiet();

/// A line on standard error, after `lowbit: `, unless --quiet was given.
void note(const std::string& text);

/// A bar on standard error, drawn only where that is a terminal and the user did not say never.
class Progress {
 public:
  /// \throws Error(usage) for a mode that is neither auto nor never.
  Progress(const std::string& mode, std::uint64_t total);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();
  void advance(std::uint64_t elements);

 private:
  using Clock = std::chrono::steady_clock;
  void draw(Clock::time_point now);

  bool shown_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point drawn_ = begun_;
  /// When the work ends, as estimated last; not yet where it is begun_.
  Clock::time_point end_ = begun_;
  Clock::time_point estimated_ = begun_;
};

}  // namespace lowbit::cli
