// SPDX-License-Identifier: MIT
// Words of a GEMM kernel against the library's instruction model (lowbit::sim::mma) under the
// kernel's schedule, on all cores of the host.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lowbit/gpu/gemm.hpp"

namespace lowbit::gpu::detail {

// A part of D and the expanded operands (FP16 words, row-major) that it takes.
struct LibraryProblem {
  GemmKernel kernel = GemmKernel::wgmma;
  int capability =
      90;  // of the device that made d: the instruction of its architecture is the model
  std::size_t rows = 0, columns = 0, k = 0;
  std::size_t first_row = 0, first_column = 0;  // of the part in D, for messages
  std::vector<std::uint16_t> a, b;
  std::vector<float> d;
  float alpha = 1.0F;
};

struct LibraryCheck {
  std::uint64_t compared = 0;
  std::uint64_t mismatched = 0;
  std::string first;
};

LibraryCheck check_with_library(const LibraryProblem& problem);

}  // namespace lowbit::gpu::detail
