// SPDX-License-Identifier: MIT
#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "lowbit/error.hpp"

namespace lowbit::cli {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

bool quiet = false;

std::string time_text(seconds time) {
  const auto s = time.count();
  if (s < 100) return fmt::format("{} s", s);
  if (s < 6000) return fmt::format("{} min", (s + 30) / 60);
  return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
}

}  // namespace

void add_quiet(CLI::App& command) {
  command.add_flag("--quiet", quiet, "Nothing on standard error but errors");
}

bool is_quiet() {
  return quiet;
}

void note(const std::string& text) {
  if (!quiet) fmt::print(stderr, "lowbit: {}\n", text);
}

Progress::Progress(const std::string& mode, std::uint64_t total)
    : shown_(mode == "auto" && !quiet && ::isatty(STDERR_FILENO) == 1), total_(total) {
  if (mode != "auto" && mode != "never") {
    throw Error(ErrorKind::usage, fmt::format("--progress {}: neither auto nor never", mode));
  }
}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void Progress::advance(std::uint64_t elements) {
  done_ += elements;
  const auto now = Clock::now();
  if (!shown_ || now - drawn_ < milliseconds(100)) return;
  draw(now);
}

void Progress::draw(Clock::time_point now) {
  drawn_ = now;
  const double part =
      total_ == 0 ? 1.0 : std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  // The end that the mean speed so far gives. In the first second it jumps, so none is shown. Later
  // it moves once a second and by a quarter of the way, so that the time left counts down instead
  // of flickering.
  const auto spent = now - begun_;
  if (part > 0 && spent >= seconds(1) && now - estimated_ >= seconds(1)) {
    const auto end = begun_ + duration_cast<Clock::duration>(spent / part);
    end_ = end_ == begun_ ? end : end_ + (end - end_) / 4;
    estimated_ = now;
  }
  const std::string left =
      end_ == begun_ ? ""
                     : time_text(std::max(seconds(0),
                                          duration_cast<seconds>(end_ - now + milliseconds(500)))) +
                           " left";
  constexpr int width = 40;
  const int full = static_cast<int>(part * width);
  fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {:3.0f} %  {}\033[K", "", full, "", width - full,
             100 * part, left);
  std::fflush(stderr);
}

}  // namespace lowbit::cli
