// SPDX-License-Identifier: MIT
#include "lowbit/detail/parallel.hpp"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace lowbit::detail {

unsigned thread_count(unsigned asked) {
  return asked != 0 ? asked : std::max(1U, std::thread::hardware_concurrency());
}

void parallel_indices(std::size_t count, unsigned threads,
                      const std::function<void(std::size_t, unsigned)>& body) {
  const auto wanted = static_cast<unsigned>(std::min<std::size_t>(thread_count(threads), count));
  if (wanted <= 1) {
    for (std::size_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  // Exceptions stay in here: oneTBB would cancel the loop, and with it indices below the one that
  // threw.
  std::atomic<std::size_t> failed{count};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto guarded = [&](std::size_t i, unsigned slot) {
    if (i > failed.load(std::memory_order_relaxed)) return;
    try {
      body(i, slot);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (i < failed.load(std::memory_order_relaxed)) {
        failed.store(i, std::memory_order_relaxed);
        failure = std::current_exception();
      }
    }
  };
  // oneTBB has as many threads as cores unless it is told otherwise; here the caller decides.
  const oneapi::tbb::global_control allowed(oneapi::tbb::global_control::max_allowed_parallelism,
                                            wanted);
  oneapi::tbb::task_arena arena(static_cast<int>(wanted));
  arena.execute([&] {
    // Indices are handed out in order, as by one thread, so that a failure stops what is above it
    // soon.
    std::atomic<std::size_t> next{0};
    oneapi::tbb::parallel_for(
        0U, wanted,
        [&](unsigned slot) {
          for (std::size_t i = next++; i < count; i = next++) guarded(i, slot);
        },
        oneapi::tbb::simple_partitioner());
  });
  if (failure) std::rethrow_exception(failure);
}

void parallel_chunks(std::size_t count, std::size_t chunk, unsigned threads,
                     const std::function<void(std::size_t, std::size_t)>& body) {
  const std::size_t chunks = count / chunk + (count % chunk != 0 ? 1 : 0);
  parallel_indices(chunks, threads, [&](std::size_t c, unsigned) {
    body(c * chunk, std::min(count, (c + 1) * chunk));
  });
}

void parallel_parts(std::size_t count, std::size_t grain,
                    const std::function<void(std::size_t, std::size_t)>& body) {
  const std::size_t parts = std::size_t{4} * thread_count(0);
  const std::size_t grains = (count + grain - 1) / grain;
  parallel_chunks(count, std::max<std::size_t>(1, (grains + parts - 1) / parts) * grain, 0, body);
}

}  // namespace lowbit::detail
