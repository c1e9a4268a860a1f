// SPDX-License-Identifier: MIT
// Source and sink of a unit's stream, cycle by cycle, the same for every simulator: what to drive
// before each rising edge, and what the edge means.
#pragma once

#include <ctime>
#include <vector>

#include "lowbit/sim/mac_simulator.hpp"

namespace lowbit::sim {

/// Processor time of this thread: what a simulation costs, however busy the machine is.
inline double processor_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

class MacHarness {
 public:
  MacHarness(const BeatStream& stream, std::span<const MacResult> expected,
             const MacRunOptions& options);

  // What the pins are to be at the next rising edge.
  bool reset = false;
  bool in_valid = false;
  bool out_ready = true;
  std::size_t beat = 0;  // valid while in_valid
  // Beats that the source may offer so far: all of them, or what a transactor has been given.
  std::size_t limit;

  [[nodiscard]] bool finished() const { return finished_; }
  [[nodiscard]] const BeatStream& stream() const { return stream_; }
  MacRunStats& stats() { return stats_; }

  void choose() {
    // A source that has offered a beat keeps offering it.
    if (!in_valid) in_valid = beat < limit && (in_limit_ == 0 || draw() >= in_limit_);
    out_ready = out_limit_ == 0 || draw() >= out_limit_;
    reset = reset_limit_ != 0 && beat < stream_.size() && draw() < reset_limit_;
  }

  // The rising edge, with the pins as they were just before it. `read` gives the result word.
  template <typename Read>
  void edge(bool in_ready, bool out_valid, Read read) {
    ++stats_.cycles;
    if (reset) {
      restart();
      return;
    }
    if (in_valid) {
      if (in_ready) {
        ++beat;
        ++stats_.beats;
        in_valid = false;
        idle_ = 0;
      } else {
        ++stats_.refused;
      }
    }
    if (out_valid && out_ready) {
      idle_ = 0;
      check(read());
    } else if (++idle_ > patience) {
      stop();
    }
  }

 private:
  // Longer than any pipeline, and than any pause at stall probabilities up to 0.99.
  static constexpr std::uint64_t patience = 4096;

  std::uint32_t draw() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>(state_ >> 32);
  }
  void check(const MacResult& result) {
    ++stats_.outputs;
    if (next_ >= expected_.size() || !(result == expected_[next_])) mismatch(result);
    ++next_;
    // A few cycles more, so that surplus results show.
    if (next_ >= expected_.size()) idle_ = patience - 64;
  }
  void mismatch(const MacResult& result);
  void restart();
  void stop();

  const BeatStream& stream_;
  std::span<const MacResult> expected_;
  std::uint64_t state_;
  std::uint64_t in_limit_;
  std::uint64_t out_limit_;
  std::uint64_t reset_limit_;
  std::vector<std::size_t> segment_start_;  // filled where resets can happen
  std::size_t next_ = 0;                    // result due
  std::uint64_t idle_ = 0;
  bool finished_ = false;
  MacRunStats stats_;
};

}  // namespace lowbit::sim
