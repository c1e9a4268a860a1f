// SPDX-License-Identifier: MIT
// Loops on several threads: every part once, no slot used twice at a time, and failures that come
// out as from one thread.
#include <atomic>
#include <chrono>
#include <fstream>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "lowbit/detail/parallel.hpp"

namespace {

using lowbit::detail::parallel_chunks;
using lowbit::detail::parallel_indices;
using lowbit::detail::parallel_parts;

TEST_CASE("every index is called once, for any number of threads") {
  for (const unsigned threads : {0U, 1U, 2U, 7U}) {
    for (const std::size_t count : {0U, 1U, 2U, 100U, 1000U}) {
      std::vector<std::atomic<int>> calls(count);
      parallel_indices(count, threads, [&](std::size_t i, unsigned) { ++calls.at(i); });
      for (const auto& c : calls) CHECK(c == 1);
    }
  }
}

TEST_CASE("chunks cover the count, all of the asked length but the last") {
  for (const unsigned threads : {1U, 5U}) {
    for (const std::size_t count : {0U, 1U, 6U, 7U, 8U, 700U, 701U}) {
      std::mutex mutex;
      std::set<std::pair<std::size_t, std::size_t>> parts;
      parallel_chunks(count, 7, threads, [&](std::size_t first, std::size_t last) {
        const std::lock_guard lock(mutex);
        parts.emplace(first, last);
      });
      std::size_t at = 0;
      for (const auto& [first, last] : parts) {
        CHECK(first == at);
        CHECK((last == first + 7 || (last == count && last > first && last < first + 7)));
        at = last;
      }
      CHECK(at == count);
    }
  }
  std::atomic<std::size_t> sum{0};
  std::atomic<bool> aligned{true};
  parallel_parts(100'001, 64, [&](std::size_t first, std::size_t last) {
    sum += last - first;
    if (first % 64 != 0) aligned = false;
  });
  CHECK(sum == 100'001);
  CHECK(aligned);
}

TEST_CASE(
    "more threads than cores run at the same time when they are asked for, each in a slot of its "
    "own") {
  constexpr unsigned threads = 6;
  std::atomic<unsigned> inside{0};
  std::atomic<bool> all{false};
  std::vector<std::atomic<int>> in_slot(threads);
  std::atomic<bool> shared{false};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  parallel_indices(threads * 4, threads, [&](std::size_t, unsigned slot) {
    if (in_slot.at(slot)++ != 0) shared = true;
    if (++inside == threads) all = true;
    while (!all && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    --inside;
    --in_slot.at(slot);
  });
  CHECK(all);
  CHECK_FALSE(shared);
}

TEST_CASE("the exception of the lowest index comes out, and all indices below it were called") {
  for (const unsigned threads : {1U, 2U, 4U, 8U}) {
    for (int round = 0; round < 50; ++round) {
      constexpr std::size_t count = 400;
      const std::size_t lowest = static_cast<std::size_t>(round) * 7;
      std::vector<std::atomic<int>> calls(count);
      std::string what;
      try {
        parallel_indices(count, threads, [&](std::size_t i, unsigned) {
          ++calls.at(i);
          if (i < lowest || (i - lowest) % 3 != 0) return;
          // The lowest is late, so that others are under way where there are threads: they fail
          // before it, or after it.
          if (i == lowest) std::this_thread::sleep_for(std::chrono::microseconds(150));
          if (i > lowest && round % 2 == 1)
            std::this_thread::sleep_for(std::chrono::microseconds(600));
          throw std::runtime_error(std::to_string(i));
        });
      } catch (const std::runtime_error& error) {
        what = error.what();
      }
      CHECK(what == std::to_string(lowest));
      for (std::size_t i = 0; i <= lowest; ++i) CHECK(calls[i] == 1);
      for (std::size_t i = lowest + 1; i < count; ++i) CHECK(calls[i] <= 1);
    }
  }
}

TEST_CASE("a loop inside a loop ends") {
  std::atomic<int> calls{0};
  parallel_indices(8, 4, [&](std::size_t, unsigned) {
    parallel_indices(8, 4, [&](std::size_t, unsigned) { ++calls; });
  });
  CHECK(calls == 64);
}

TEST_CASE("a thread that waits for a loop inside a loop begins no index of the outer one") {
  // Bodies may keep buffers per thread.
  std::atomic<int> entered_again{0};
  for (int round = 0; round < 200; ++round) {
    parallel_indices(16, 4, [&](std::size_t, unsigned) {
      thread_local int depth = 0;
      if (depth++ != 0) ++entered_again;
      parallel_indices(16, 4, [&](std::size_t i, unsigned) {
        if (i % 3 == 0) std::this_thread::yield();
      });
      --depth;
    });
  }
  CHECK(entered_again == 0);
}

/// The private memory of this process, in bytes.
std::size_t private_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::size_t kilobytes = 0;
    if (word == "RssAnon:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

TEST_CASE("many short loops leave nothing behind, within a loop or one after the other") {
  std::atomic<int> calls{0};
  const auto loop = [&] { parallel_indices(8, 2, [&](std::size_t, unsigned) { ++calls; }); };
  const auto outer = [&](std::size_t count) {
    parallel_indices(count, 2, [&](std::size_t, unsigned) { loop(); });
  };
  loop();
  outer(2);
  const std::size_t before = private_memory();
  REQUIRE(before != 0);
  SECTION("one after the other") {
    for (int i = 0; i < 4000; ++i) loop();
  }
  SECTION("within a loop") {
    outer(4000);
  }
  CHECK(calls == 4003 * 8);
  // An arena for each takes 4 KiB or more.
  CHECK(private_memory() < before + (std::size_t{4} << 20));
}

}  // namespace
