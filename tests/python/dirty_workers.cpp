// SPDX-License-Identifier: MIT
// Another extension of the process that shares oneTBB's threads. It leaves them in a floating-point
// mode of its own.
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <xmmintrin.h>

#include <cstddef>
#include <latch>

/// Sets MXCSR of `threads` threads, the caller's too, and never sets it back.
extern "C" void set_mode_of_threads(int threads, unsigned mode) {
  const oneapi::tbb::global_control allowed(oneapi::tbb::global_control::max_allowed_parallelism,
                                            static_cast<std::size_t>(threads));
  oneapi::tbb::task_arena arena(threads);
  std::latch all(threads);
  arena.execute([&] {
    oneapi::tbb::parallel_for(
        0, threads,
        [&](int) {
          // None goes before all have come, so each has a thread of its own.
          all.arrive_and_wait();
          _mm_setcsr(mode);
        },
        oneapi::tbb::simple_partitioner());
  });
}
