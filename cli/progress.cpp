// SPDX-License-Identifier: MIT
#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "lowbit/error.hpp"

namespace lowbit::cli {

Progress::Progress(const std::string& mode, std::uint64_t total)
    : shown_(mode == "auto" && ::isatty(STDERR_FILENO) == 1), total_(total) {
  if (mode != "auto" && mode != "never") {
    throw Error(ErrorKind::usage, fmt::format("--progress {}: neither auto nor never", mode));
  }
}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void Progress::advance(std::uint64_t elements) {
  done_ += elements;
  const auto now = std::chrono::steady_clock::now();
  if (!shown_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw();
}

void Progress::draw() const {
  constexpr int width = 40;
  const double part =
      total_ == 0 ? 1.0 : std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  const double seconds = std::chrono::duration<double>(drawn_ - begun_).count();
  const double left = part > 0 ? seconds / part - seconds : 0.0;
  const int full = static_cast<int>(part * width);
  fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {:3.0f} %  {:.0f} s left\033[K", "", full, "",
             width - full, 100 * part, left);
  std::fflush(stderr);
}

}  // namespace lowbit::cli
