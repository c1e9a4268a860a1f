// SPDX-License-Identifier: MIT
// Threads over chunks of independent rows: who computes a row does not change it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace lowbit::sim {

inline unsigned thread_count(unsigned asked) {
  return asked != 0 ? asked : std::max(1U, std::thread::hardware_concurrency());
}

/// body(first, last) for chunks of [0, count). The first exception is thrown again here.
template <typename Body>
void parallel_chunks(std::size_t count, std::size_t chunk, unsigned threads, const Body& body) {
  const std::size_t chunks = (count + chunk - 1) / chunk;
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    try {
      for (std::size_t c = next++; c < chunks; c = next++) {
        body(c * chunk, std::min(count, (c + 1) * chunk));
      }
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      next = chunks;
    }
  };
  std::vector<std::jthread> pool;
  const std::size_t helpers = std::min<std::size_t>(thread_count(threads), chunks);
  for (std::size_t t = 1; t < helpers; ++t) pool.emplace_back(work);
  work();
  pool.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace lowbit::sim
