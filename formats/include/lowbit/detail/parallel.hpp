// SPDX-License-Identifier: MIT
// Loops over independent parts on several threads. The libraries' own; oneTBB is behind it
// (parallel.cpp).
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace lowbit::detail {

/// How many threads `asked` means: itself, or for 0 one per core.
[[nodiscard]] unsigned thread_count(unsigned asked);

/// Calls body(index, slot) for every index of [0, count), on at most thread_count(threads) threads,
/// the caller among them. No two calls with one slot, a number in [0, thread_count(threads)), run
/// at the same time: a slot is the place of buffers. One thread, or one index: in order, without
/// any other thread. A thread that waits for a loop within a body begins no other body meanwhile.
///
/// Where calls throw, the exception of the lowest index comes out, as it would with one thread:
/// every index below it has been called, indices above it may have been.
void parallel_indices(std::size_t count, unsigned threads,
                      const std::function<void(std::size_t index, unsigned slot)>& body);

/// parallel_indices with buffers for each slot: calls work(index, buffers).
template <typename Buffers, typename Work>
void for_each_index(std::size_t count, unsigned threads, const Work& work) {
  std::vector<Buffers> buffers(count < thread_count(threads) ? count : thread_count(threads));
  parallel_indices(count, threads,
                   [&](std::size_t index, unsigned slot) { work(index, buffers[slot]); });
}

/// parallel_indices over the chunks [0, chunk), [chunk, 2 chunk), ... of [0, count).
void parallel_chunks(std::size_t count, std::size_t chunk, unsigned threads,
                     const std::function<void(std::size_t first, std::size_t last)>& body);

/// parallel_chunks on all cores, with chunks of a multiple of `grain`, about four per core. A count
/// within one chunk starts no thread.
void parallel_parts(std::size_t count, std::size_t grain,
                    const std::function<void(std::size_t first, std::size_t last)>& body);

}  // namespace lowbit::detail
