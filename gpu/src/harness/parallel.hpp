// SPDX-License-Identifier: MIT
// Work on all cores of the host.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace lowbit::gpu::detail {

/// Calls f(first, last) on all cores for parts of [0, count), part boundaries multiples of `grain`.
/// The first exception is thrown again at the end.
template <class F>
void in_parallel(std::size_t count, std::size_t grain, F&& f) {
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t grains = (count + grain - 1) / grain;
  const std::size_t part = std::max<std::size_t>(1, (grains + 4 * cores - 1) / (4 * cores)) * grain;
  if (count <= part) {  // small cases are many: no thread for one part
    if (count != 0) f(std::size_t{0}, count);
    return;
  }
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::atomic<bool> failed{false};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < std::min(cores, (count + part - 1) / part); ++t) {
    threads.emplace_back([&] {
      try {
        for (std::size_t first = next.fetch_add(part); first < count;
             first = next.fetch_add(part)) {
          f(first, std::min(count, first + part));
        }
      } catch (...) {
        if (!failed.exchange(true)) failure = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace lowbit::gpu::detail
