// SPDX-License-Identifier: MIT
/// \file
/// How a caller follows a call that takes seconds, and ends it early.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace lowbit::sim {

/// What a long call does with its caller while it runs. Both functions may be empty; they are
/// called on the thread that made the call.
struct Watch {
  /// Called at the start of a phase and after each part of it: what is done, how much of how much.
  std::function<void(std::string_view phase, std::uint64_t done, std::uint64_t total)> report;
  /// Asked between parts: true ends the call with what it has found so far.
  std::function<bool()> stop;

  /// Calls report, where there is one.
  void tell(std::string_view phase, std::uint64_t done, std::uint64_t total) const {
    if (report) report(phase, done, total);
  }
  /// Whether the caller wants the call to end.
  [[nodiscard]] bool stopped() const { return stop && stop(); }
};

}  // namespace lowbit::sim
