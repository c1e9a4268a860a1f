// SPDX-License-Identifier: MIT
#include "gemm/library_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "lowbit/detail/parallel.hpp"
#include "lowbit/gpu/gemm_layout.hpp"
#include "lowbit/gpu/mma_f16_layout.hpp"
#include "lowbit/sim/mma.hpp"

namespace lowbit::gpu::detail {
namespace {

const sim::Instruction& instruction_of(GemmKernel kernel, int capability) {
  if (kernel == GemmKernel::wgmma) return sim::instruction("wgmma.Hopper.m64n128k16.f32.f16.f16");
  if (kernel == GemmKernel::decode) return sim::instruction("wgmma.Hopper.m64n16k16.f32.f16.f16");
  const char* const family = capability >= 120   ? "RTX_Blackwell"
                             : capability >= 100 ? "Blackwell"
                                                 : "Hopper";
  return sim::instruction(fmt::format("mma.{}.m16n8k16.f32.f16.f16.f32", family));
}

// Columns of K, in the order in which accumulator `split` takes them; -1 past the end.
std::vector<std::vector<int>> column_orders(GemmKernel kernel, int columns) {
  std::vector<std::vector<int>> orders(kernel == GemmKernel::decode ? decode_splits : 1);
  const auto take = [&](int split, int c) {
    orders[static_cast<std::size_t>(split)].push_back(c < columns ? c : -1);
  };
  if (kernel == GemmKernel::wgmma) {
    for (int step = 0; step < wgmma_step_count(columns); ++step) {
      for (int slot = 0; slot < 16; ++slot) take(0, wgmma_column(step, slot));
    }
    return orders;
  }
  if (kernel == GemmKernel::mma_f16) {
    for (int i = 0; i < mma_f16_instructions(columns / gemm_block); ++i) {
      for (int slot = 0; slot < 16; ++slot) take(0, mma_f16_column(i, slot));
    }
    return orders;
  }
  const int super_steps = (columns + decode_super_step - 1) / decode_super_step;
  for (int w = 0; w < decode_splits; ++w) {
    for (int i = 0; i < decode_step_count(w, super_steps); ++i) {
      for (int j = 0; j < decode_instructions; ++j) {
        for (int slot = 0; slot < 16; ++slot)
          take(w, decode_step(w, i) * decode_super_step + decode_column(j, slot));
      }
    }
  }
  return orders;
}

std::vector<std::uint8_t> gather(const std::vector<std::uint16_t>& half, std::size_t first,
                                 std::size_t rows, std::size_t columns,
                                 const std::vector<int>& order) {
  std::vector<std::uint8_t> bytes(rows * order.size() * 2);
  std::size_t at = 0;
  for (std::size_t r = first; r < first + rows; ++r) {
    for (const int c : order) {
      const std::uint16_t h =
          c < 0 ? std::uint16_t{0} : half[r * columns + static_cast<std::size_t>(c)];
      bytes[at++] = static_cast<std::uint8_t>(h & 0xFF);
      bytes[at++] = static_cast<std::uint8_t>(h >> 8);
    }
  }
  return bytes;
}

}  // namespace

LibraryCheck check_with_library(const LibraryProblem& p) {
  const sim::Instruction& instruction = instruction_of(p.kernel, p.capability);
  const auto orders = column_orders(p.kernel, static_cast<int>(p.k));
  std::vector<sim::MmaOperand> a_operands;
  for (const auto& order : orders) {
    a_operands.emplace_back(instruction, sim::MmaSide::a, gather(p.a, 0, p.rows, p.k, order),
                            p.rows, order.size());
  }
  // Slabs of columns: few enough to share A's operand well, enough of them for every core. The
  // model takes 16 columns at once.
  const std::size_t cores = lowbit::detail::thread_count(0);
  const std::size_t slab = std::clamp<std::size_t>(p.columns / (2 * cores) / 16 * 16, 16, 256);
  std::vector<LibraryCheck> of_slab((p.columns + slab - 1) / slab);
  lowbit::detail::parallel_chunks(p.columns, slab, 0, [&](std::size_t start, std::size_t last) {
    const std::size_t count = last - start;
    std::vector<float> total(p.rows * count);
    std::vector<std::uint32_t> partial(p.rows * count);
    for (std::size_t s = 0; s < orders.size(); ++s) {
      std::fill(partial.begin(), partial.end(), 0U);
      if (!orders[s].empty()) {
        const sim::MmaOperand operand(instruction, sim::MmaSide::b,
                                      gather(p.b, start, count, p.k, orders[s]), count,
                                      orders[s].size());
        sim::mma(instruction, a_operands[s], operand, partial);
      }
      for (std::size_t i = 0; i < total.size(); ++i) {
        const auto part = std::bit_cast<float>(partial[i]);
        total[i] = s == 0 ? part : total[i] + part;
      }
    }
    LibraryCheck& check = of_slab[start / slab];
    check.compared = total.size();
    for (std::size_t i = 0; i < total.size(); ++i) {
      const std::size_t row = i / count;
      const std::size_t column = start + i % count;
      auto want = std::bit_cast<std::uint32_t>(p.alpha * total[i]);
      if ((want & 0x7FFFFFFFU) > 0x7F800000U) want = 0x7FFFFFFFU;
      const auto got = std::bit_cast<std::uint32_t>(p.d[row * p.columns + column]);
      if (got == want) continue;
      if (check.mismatched++ == 0) {
        check.first = fmt::format("library: D[{},{}] is {:08x}, the model says {:08x}",
                                  p.first_row + row, p.first_column + column, got, want);
      }
    }
  });
  LibraryCheck result;
  for (const LibraryCheck& check : of_slab) {
    result.compared += check.compared;
    result.mismatched += check.mismatched;
    if (result.first.empty()) result.first = check.first;
  }
  return result;
}

}  // namespace lowbit::gpu::detail
