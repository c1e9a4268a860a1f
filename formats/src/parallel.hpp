// SPDX-License-Identifier: MIT
// Work on several threads whose result does not depend on their number.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace lowbit::detail {

/// Calls work(index, buffers of this thread) for every index, on several threads; the exception of
/// the lowest index that failed comes out, as it would with one thread.
template <typename Buffers, typename Work>
void for_each_index(std::size_t count, unsigned threads, const Work& work) {
  std::atomic<std::size_t> next{0};
  std::mutex failure_mutex;
  std::size_t failed_at = count;
  std::exception_ptr failure;
  const auto run = [&] {
    Buffers buffers;
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i, buffers);
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (i < failed_at) {
          failed_at = i;
          failure = std::current_exception();
        }
        next = count;
      }
    }
  };
  std::vector<std::jthread> helpers;
  const auto wanted = std::min<std::size_t>(std::max(threads, 1U), count);
  for (std::size_t t = 1; t < wanted; ++t) helpers.emplace_back(run);
  run();
  helpers.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace lowbit::detail
