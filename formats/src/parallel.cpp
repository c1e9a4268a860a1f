// SPDX-License-Identifier: MIT
#include "lowbit/detail/parallel.hpp"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace lowbit::detail {
namespace {

/// The arena of one loop. Arenas are kept for later loops: oneTBB frees one only after a worker has
/// found it empty, so that many short loops with new arenas fill the memory, and every loop walks
/// the list of them. There are as many of one size as loops of that size ran at one time. A
/// loop within a body has another one, so that a thread that waits for it begins no other body.
class BorrowedArena {
 public:
  explicit BorrowedArena(unsigned threads) : threads_(threads) {
    const std::lock_guard lock(kept().mutex);
    auto& free = kept().free[threads];
    if (free.empty()) {
      free.reserve(free.capacity() + 1);  // for the destructor, which must not throw
      arena_ = std::make_unique<oneapi::tbb::task_arena>(static_cast<int>(threads));
    } else {
      arena_ = std::move(free.back());
      free.pop_back();
    }
  }
  BorrowedArena(const BorrowedArena&) = delete;
  BorrowedArena& operator=(const BorrowedArena&) = delete;
  ~BorrowedArena() {
    const std::lock_guard lock(kept().mutex);
    kept().free[threads_].push_back(std::move(arena_));
  }

  [[nodiscard]] oneapi::tbb::task_arena& get() { return *arena_; }

 private:
  struct Kept {
    std::mutex mutex;
    std::map<unsigned, std::vector<std::unique_ptr<oneapi::tbb::task_arena>>> free;
  };
  /// Never destroyed: oneTBB may be gone before a static object is.
  static Kept& kept() {
    static Kept& all = *new Kept;
    return all;
  }

  unsigned threads_;
  std::unique_ptr<oneapi::tbb::task_arena> arena_;
};

}  // namespace

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
  std::optional<oneapi::tbb::global_control> allowed;
  if (std::cmp_greater(wanted, oneapi::tbb::info::default_concurrency())) {
    allowed.emplace(oneapi::tbb::global_control::max_allowed_parallelism, wanted);
  }
  BorrowedArena(wanted).get().execute([&] {
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
