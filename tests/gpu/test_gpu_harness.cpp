// SPDX-License-Identifier: MIT
// What the harness says, without a device: the library's check of a GEMM kernel's words under each
// schedule, the verdict on a measured time, and which machine code counts as run.
#include <bit>
#include <cmath>
#include <random>
#include <set>

#include "catch.hpp"
#include "gemm/library_check.hpp"
#include "lowbit/gpu/gemm_replay.hpp"
#include "lowbit/gpu/kernel.hpp"
#include "lowbit/gpu/mma_f16_layout.hpp"

namespace {

using namespace lowbit;
using gpu::GemmKernel;
using gpu::detail::LibraryProblem;

/// Random operands whose sums are not exact, and D as the schedule of gemm_replay.hpp gives it.
LibraryProblem problem_of(GemmKernel kernel, std::size_t rows, std::size_t columns, std::size_t k) {
  LibraryProblem p;
  p.kernel = kernel;
  p.rows = rows;
  p.columns = columns;
  p.k = k;
  p.alpha = 0.75F;
  std::mt19937 random(static_cast<unsigned>(k));
  const auto word = [&] {
    return static_cast<std::uint16_t>((random() & 0x83FF) | (8 + random() % 14) << 10);
  };
  for (std::size_t i = 0; i < rows * k; ++i) p.a.push_back(word());
  for (std::size_t i = 0; i < columns * k; ++i) p.b.push_back(word());
  const auto sum_of = [&](std::size_t m, std::size_t n, int instructions, const auto& column) {
    std::uint32_t sum = 0;
    for (int i = 0; i < instructions; ++i) {
      std::uint32_t x[16];
      std::uint32_t y[16];
      for (int slot = 0; slot < 16; ++slot) {
        const auto c = static_cast<std::size_t>(column(i, slot));
        x[slot] = c < k ? p.a[m * k + c] : 0;
        y[slot] = c < k ? p.b[n * k + c] : 0;
      }
      sum = gpu::detail::fdpa_f16(x, y, 16, sum, 25, false);
    }
    return std::bit_cast<float>(sum);
  };
  const int blocks = static_cast<int>(k / 16);
  for (std::size_t m = 0; m < rows; ++m) {
    for (std::size_t n = 0; n < columns; ++n) {
      float total = 0;
      if (kernel == GemmKernel::wgmma) {
        total = sum_of(m, n, gpu::wgmma_step_count(static_cast<int>(k)),
                       [](int i, int slot) { return gpu::wgmma_column(i, slot); });
      } else if (kernel == GemmKernel::mma_f16) {
        total = sum_of(m, n, gpu::mma_f16_instructions(blocks),
                       [](int i, int slot) { return gpu::mma_f16_column(i, slot); });
      } else {
        const int super_steps = (blocks * 16 + gpu::decode_super_step - 1) / gpu::decode_super_step;
        for (int w = 0; w < gpu::decode_splits; ++w) {
          const float part = sum_of(
              m, n, gpu::decode_step_count(w, super_steps) * gpu::decode_instructions,
              [w](int i, int slot) {
                return gpu::decode_step(w, i / gpu::decode_instructions) * gpu::decode_super_step +
                       gpu::decode_column(i % gpu::decode_instructions, slot);
              });
          total = w == 0 ? part : total + part;
        }
      }
      p.d.push_back(p.alpha * total);
    }
  }
  return p;
}

TEST_CASE("the library's check takes the words of each schedule and no others") {
  for (const GemmKernel kernel : {GemmKernel::wgmma, GemmKernel::decode, GemmKernel::mma_f16}) {
    for (const int capability : {90, 100, 120}) {
      LibraryProblem p = problem_of(kernel, 5, 37, 1392);
      p.capability = capability;
      const auto clean = gpu::detail::check_with_library(p);
      CHECK(clean.compared == 5 * 37);
      CHECK(clean.mismatched == 0);
      CHECK(clean.first.empty());
      p.first_row = 100;
      p.d[2 * 37 + 36] = std::nextafter(p.d[2 * 37 + 36], 1e30F);
      const auto wrong = gpu::detail::check_with_library(p);
      CHECK(wrong.mismatched == 1);
      CHECK(wrong.first.find("D[102,36]") != std::string::npos);
    }
  }
  // Another schedule's words are mostly other words.
  LibraryProblem p = problem_of(GemmKernel::wgmma, 5, 37, 1392);
  p.kernel = GemmKernel::mma_f16;
  CHECK(gpu::detail::check_with_library(p).mismatched > 5 * 37 / 4);
}

TEST_CASE("machine code counts as run where a record says so, architecture by architecture") {
  std::set<std::string> names;
  for (const gpu::Kernel& kernel : gpu::kernels()) {
    CHECK(names.insert(kernel.info.name).second);
    CHECK(static_cast<bool>(kernel.verify) == static_cast<bool>(kernel.bench));
    const auto left = gpu::not_run_architectures(kernel.info);
    const gpu::RunRecord* run = gpu::find_run(kernel.info.name);
    CHECK((run != nullptr) == (left.size() < kernel.info.architectures.size()));
    for (const std::string& architecture : left) {
      if (run != nullptr) CHECK(architecture != run->architecture);
    }
    if (!kernel.verify) CHECK(left == kernel.info.architectures);  // nobody can have run it
  }
  CHECK(names.count("gemm_if4_mma_f16") == 1);
}

TEST_CASE(
    "kernels of no one architecture have machine code for those that this build was asked for") {
  for (const gpu::Kernel& kernel : gpu::kernels()) {
    if (kernel.info.operation != gpu::Operation::quantize &&
        !kernel.info.name.ends_with("_mma_f16"))
      continue;
    std::string list;
    for (const std::string& architecture : kernel.info.architectures)
      list += (list.empty() ? "" : " ") + architecture;
    CHECK(list == LOWBIT_GPU_ARCHITECTURES);
  }
}

}  // namespace
