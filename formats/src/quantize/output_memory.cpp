// SPDX-License-Identifier: MIT
#include "quantize/output_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <memory>

#include "lowbit/detail/parallel.hpp"

namespace lowbit::detail {
namespace {

/// Memory that is smaller is made as it is written.
constexpr std::size_t least = std::size_t{1} << 20;

/// Asks for the pages that lie within the memory alone. Advice changes no byte and is no access to
/// an object; a system that does not know it refuses, and makes pages as it would have done.
void make_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t count,
                [[maybe_unused]] unsigned threads) {
#ifdef MADV_POPULATE_WRITE
  if (count < least) return;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* first = memory;
  if (std::align(page, page, first, count) == nullptr) return;
  const std::size_t whole = count / page * page;
  (void)madvise(first, whole, MADV_HUGEPAGE);
  constexpr std::size_t large_page = std::size_t{1} << 21;
  parallel_chunks(whole, large_page, threads, [&](std::size_t from, std::size_t to) {
    (void)madvise(static_cast<std::byte*>(first) + from, to - from, MADV_POPULATE_WRITE);
  });
#endif
}

}  // namespace

void resize_output(std::vector<std::uint8_t>& bytes, std::size_t count, unsigned threads) {
  if (bytes.capacity() < count) {
    bytes = {};
    bytes.reserve(count);
    make_pages(bytes.data(), count, threads);
  }
  bytes.resize(count);
}

}  // namespace lowbit::detail
