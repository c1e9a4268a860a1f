// SPDX-License-Identifier: MIT
// A GEMM kernel against its model: every output word by the replay on the device, and as many as
// the budget allows by the library's instruction model (lowbit::sim::mma) on all cores.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <mutex>
#include <thread>

#include "gemm_campaign.hpp"
#include "gemm_harness.hpp"
#include "lowbit/error.hpp"
#include "lowbit/gpu/device.hpp"
#include "lowbit/gpu/gemm_layout.hpp"
#include "lowbit/sim/mma.hpp"

namespace lowbit::gpu::detail {
namespace {

struct Case {
  int m = 0;
  int n = 0;
  int k = 0;
};

// Shapes off and on the tile (128 x 256 x 256; decode 16 x 64 x 2048), odd block counts, K = 0.
constexpr Case wgmma_short[] = {{1, 1, 16},      {128, 256, 128}, {129, 257, 144}, {200, 300, 1000},
                                {64, 9, 4096},   {3, 513, 250},   {257, 1, 400},   {5, 7, 0},
                                {384, 512, 768}, {16, 1024, 2048}};
constexpr Case decode_short[] = {{1, 1, 16},     {16, 64, 2048}, {15, 65, 2064}, {3, 300, 1000}, {8, 9, 4096},
                                 {16, 513, 250}, {9, 640, 6000}, {5, 7, 0},      {16, 512, 8192}, {2, 130, 128}};
// Campaigns: about 59 million outputs a round of wgmma, 36 million a round of decode, more than half at K up to 256 and
// over a million at K of 4096 or more.
constexpr Case wgmma_long[] = {{4096, 4096, 128}, {4096, 2048, 256}, {1100, 1000, 4096}, {3001, 2999, 80},
                               {2048, 4096, 512}, {4096, 4096, 64},  {512, 512, 8192}};
constexpr Case decode_long[] = {{16, 1 << 20, 128}, {16, 70000, 4096}, {13, 1 << 19, 256}, {16, 131072, 2048},
                                {7, 99999, 1000},   {16, 16384, 8192}, {15, 1 << 19, 64}};

std::span<const Case> cases(GemmKernel kernel, bool campaign) {
  if (kernel == GemmKernel::wgmma) {
    return campaign ? std::span<const Case>(wgmma_long) : std::span<const Case>(wgmma_short);
  }
  return campaign ? std::span<const Case>(decode_long) : std::span<const Case>(decode_short);
}

struct Operands {
  DeviceBuffer a_codes, a_scales, b_codes, b_scales, a_half, b_half, b_swapped;
};

// Columns of K, in the order in which accumulator `split` takes them; -1 past the end.
std::vector<std::vector<int>> column_orders(GemmKernel kernel, int columns) {
  std::vector<std::vector<int>> orders;
  if (kernel == GemmKernel::wgmma) {
    orders.emplace_back();
    for (int step = 0; step < wgmma_step_count(columns); ++step) {
      for (int slot = 0; slot < 16; ++slot) {
        const int c = wgmma_column(step, slot);
        orders[0].push_back(c < columns ? c : -1);
      }
    }
    return orders;
  }
  orders.resize(decode_splits);
  const int super_steps = (columns + decode_super_step - 1) / decode_super_step;
  for (int w = 0; w < decode_splits; ++w) {
    for (int i = 0; i < decode_step_count(w, super_steps); ++i) {
      for (int j = 0; j < decode_instructions; ++j) {
        for (int slot = 0; slot < 16; ++slot) {
          const int c = decode_step(w, i) * decode_super_step + decode_column(j, slot);
          orders[static_cast<std::size_t>(w)].push_back(c < columns ? c : -1);
        }
      }
    }
  }
  return orders;
}

std::vector<std::uint8_t> gather(const std::vector<std::uint16_t>& half, std::size_t first, std::size_t rows,
                                 std::size_t columns, const std::vector<int>& order) {
  std::vector<std::uint8_t> bytes(rows * order.size() * 2);
  std::size_t at = 0;
  for (std::size_t r = first; r < first + rows; ++r) {
    for (const int c : order) {
      const std::uint16_t h = c < 0 ? std::uint16_t{0} : half[r * columns + static_cast<std::size_t>(c)];
      bytes[at++] = static_cast<std::uint8_t>(h & 0xFF);
      bytes[at++] = static_cast<std::uint8_t>(h >> 8);
    }
  }
  return bytes;
}

struct LibraryCheck {
  std::uint64_t compared = 0;
  std::uint64_t mismatched = 0;
  std::string first;
};

// The library's model on rows [0, rows) and columns [first_column, first_column + columns_n) of D.
LibraryCheck check_with_library(GemmKernel kernel, const std::vector<std::uint16_t>& a, std::size_t rows,
                                const std::vector<std::uint16_t>& b, std::size_t b_rows, std::size_t k,
                                std::size_t first_row, std::size_t first_column, std::size_t n, float alpha,
                                const std::vector<float>& d) {
  const sim::Instruction& instruction =
      sim::instruction(kernel == GemmKernel::wgmma ? "wgmma.Hopper.m64n256k16.f32.f16.f16"
                                                   : "mma.Hopper.m16n8k16.f32.f16.f16.f32");
  const auto orders = column_orders(kernel, static_cast<int>(k));
  std::vector<sim::MmaOperand> a_operands;
  for (const auto& order : orders) {
    a_operands.emplace_back(instruction, sim::MmaSide::a, gather(a, 0, rows, k, order), rows, order.size());
  }
  LibraryCheck result;
  std::mutex mutex;
  std::atomic<std::size_t> next{0};
  constexpr std::size_t slab = 256;
  const auto work = [&] {
    for (;;) {
      const std::size_t start = next.fetch_add(slab);
      if (start >= b_rows) return;
      const std::size_t count = std::min(slab, b_rows - start);
      std::vector<float> total(rows * count);
      std::vector<std::uint32_t> partial(rows * count);
      for (std::size_t s = 0; s < orders.size(); ++s) {
        std::fill(partial.begin(), partial.end(), 0U);
        if (!orders[s].empty()) {
          const sim::MmaOperand operand(instruction, sim::MmaSide::b, gather(b, start, count, k, orders[s]), count,
                                        orders[s].size());
          sim::mma(instruction, a_operands[s], operand, partial);
        }
        for (std::size_t i = 0; i < total.size(); ++i) {
          const auto p = std::bit_cast<float>(partial[i]);
          total[i] = s == 0 ? p : total[i] + p;
        }
      }
      std::uint64_t wrong = 0;
      std::string first;
      for (std::size_t i = 0; i < total.size(); ++i) {
        const std::size_t row = i / count;
        const std::size_t column = start + i % count;
        auto want = std::bit_cast<std::uint32_t>(alpha * total[i]);
        if ((want & 0x7FFFFFFFU) > 0x7F800000U) want = 0x7FFFFFFFU;
        const auto got = std::bit_cast<std::uint32_t>(d[row * b_rows + column]);
        if (got == want) continue;
        if (wrong++ == 0) {
          first = fmt::format("library: D[{},{}] is {:08x}, the model says {:08x}", first_row + row,
                              first_column + column, got, want);
        }
      }
      const std::scoped_lock lock(mutex);
      result.compared += total.size();
      result.mismatched += wrong;
      if (result.first.empty()) result.first = first;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < std::max(1U, std::thread::hardware_concurrency()); ++t) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  (void)n;
  return result;
}

void run_case(GemmKernel kernel, GemmFormat format, const Case& c, InputKind kind, std::uint64_t seed,
              double library_products, VerifyResult& total) {
  const auto blocks = static_cast<std::size_t>((c.k + 15) / 16);
  const auto m = static_cast<std::size_t>(c.m);
  const auto n = static_cast<std::size_t>(c.n);
  require_memory((m + n * 2) * blocks * 32 + (m + n) * blocks * 9 + m * n * 4, "gemm verify");
  Operands o{DeviceBuffer(std::max<std::size_t>(m * blocks * 8, 16)), DeviceBuffer(std::max<std::size_t>(m * blocks, 16)),
             DeviceBuffer(std::max<std::size_t>(n * blocks * 8, 16)), DeviceBuffer(std::max<std::size_t>(n * blocks, 16)),
             DeviceBuffer(std::max<std::size_t>(m * blocks * 32, 16)), DeviceBuffer(std::max<std::size_t>(n * blocks * 32, 16)),
             DeviceBuffer(std::max<std::size_t>(n * blocks * 32, 16))};
  DeviceBuffer d(m * n * sizeof(float));
  d.fill(0xAB);  // an output that nothing writes is a mismatch
  DeviceBuffer counts(sizeof(ReplayCounts));
  ReplayCounts zero;
  counts.upload(&zero, sizeof zero);
  const int kb = static_cast<int>(blocks);
  check(generate_operand(format, kind, seed, 0, c.m, c.k, o.a_codes.as<std::uint8_t>(), o.a_scales.as<std::uint8_t>(), nullptr), "generate A");
  check(generate_operand(format, kind, seed, 1, c.n, c.k, o.b_codes.as<std::uint8_t>(), o.b_scales.as<std::uint8_t>(), nullptr), "generate B");
  check(expand_operand(format, false, c.m, kb, o.a_codes.as<std::uint8_t>(), o.a_scales.as<std::uint8_t>(), o.a_half.as<std::uint16_t>(), nullptr), "expand A");
  check(expand_operand(format, false, c.n, kb, o.b_codes.as<std::uint8_t>(), o.b_scales.as<std::uint8_t>(), o.b_half.as<std::uint16_t>(), nullptr), "expand B");
  check(expand_operand(format, true, c.n, kb, o.b_codes.as<std::uint8_t>(), o.b_scales.as<std::uint8_t>(), o.b_swapped.as<std::uint16_t>(), nullptr), "expand B");

  GemmProblem problem;
  problem.format = format;
  problem.m = m;
  problem.n = n;
  problem.k = static_cast<std::size_t>(c.k);
  problem.a_codes = o.a_codes.as<std::uint8_t>();
  problem.a_scales = o.a_scales.as<std::uint8_t>();
  problem.b_codes = o.b_codes.as<std::uint8_t>();
  problem.b_scales = o.b_scales.as<std::uint8_t>();
  problem.d = d.as<float>();
  problem.alpha = gemm_alpha(format, 3.25F + static_cast<float>(seed % 97), 2688.0F, 0.71F, 2688.0F);
  total.kernel_seconds += median_seconds(1, [&](int) { launch_gemm(kernel, problem, nullptr); }, 0);
  check(cudaDeviceSynchronize(), "gemm");
  check(replay_compare(kernel, c.m, c.n, kb, o.a_half.as<std::uint16_t>(), o.b_half.as<std::uint16_t>(),
                       o.b_swapped.as<std::uint16_t>(), problem.alpha, d.as<float>(),
                       counts.as<ReplayCounts>(), nullptr), "replay");
  check(cudaDeviceSynchronize(), "replay");
  ReplayCounts got;
  counts.download(&got, sizeof got);
  total.cases += 1;
  total.compared += got.compared;
  total.mismatched += got.mismatched;
  const auto describe = [&](const std::string& what) {
    return fmt::format("{}x{}x{} seed {} inputs {}: {}", c.m, c.n, c.k, seed, static_cast<int>(kind), what);
  };
  if (got.compared != m * n) {
    throw Error(ErrorKind::internal, describe(fmt::format("compared {} of {} outputs", got.compared, m * n)));
  }
  if (got.mismatched != 0 && total.first_mismatch.empty()) {
    total.first_mismatch = describe(fmt::format("replay: {} words, first D[{},{}]", got.mismatched, got.first / n, got.first % n));
  }
  for (std::size_t i = 0; i < mutant_names.size(); ++i) {
    // The wgmma schedule adds no partial sums, but its steps can be reversed; every mutant applies.
    if (total.mutants.size() <= i) total.mutants.emplace_back(mutant_names[i], 0);
    total.mutants[i].second += got.exposed[i];
  }

  // The library on a slab of columns (decode) or rows (wgmma), whose place varies with the seed.
  if (blocks == 0 || library_products <= 0) return;
  const std::size_t k = blocks * 16;
  const double per_row = static_cast<double>(n) * static_cast<double>(k);
  const bool by_rows = kernel == GemmKernel::wgmma;
  const double per_line = by_rows ? per_row : static_cast<double>(m) * static_cast<double>(k);
  const std::size_t lines = by_rows ? m : n;
  const std::size_t take = std::min(lines, static_cast<std::size_t>(std::max(1.0, library_products / per_line)));
  const std::size_t start = lines == take ? 0 : seed * 7919 % (lines - take + 1);
  const std::size_t rows = by_rows ? take : m;
  const std::size_t row0 = by_rows ? start : 0;
  const std::size_t columns = by_rows ? n : take;
  const std::size_t column0 = by_rows ? 0 : start;
  std::vector<std::uint16_t> a(rows * k);
  std::vector<std::uint16_t> b(columns * k);
  std::vector<float> words(rows * columns);
  o.a_half.download(a.data(), a.size() * 2, row0 * k * 2);
  o.b_half.download(b.data(), b.size() * 2, column0 * k * 2);
  for (std::size_t r = 0; r < rows; ++r) {
    d.download(words.data() + r * columns, columns * 4, ((row0 + r) * n + column0) * 4);
  }
  const LibraryCheck library =
      check_with_library(kernel, a, rows, b, columns, k, row0, column0, n, problem.alpha, words);
  total.library_compared += library.compared;
  total.mismatched += library.mismatched;
  if (!library.first.empty() && total.first_mismatch.empty()) total.first_mismatch = describe(library.first);
}

}  // namespace

VerifyResult verify_gemm(GemmKernel kernel, GemmFormat format, const VerifyOptions& options) {
  VerifyResult result;
  // A product budget of the library's model for each case: whole cases in campaigns.
  const double library_products = options.elements == 0 ? 4e8 : 5e9;
  if (options.shape.m != 0 || options.shape.n != 0 || options.shape.k != 0) {
    constexpr std::int64_t limit = 1 << 24;
    if (options.shape.m > limit || options.shape.n > limit || options.shape.k > limit) {
      throw Error(ErrorKind::usage, "gemm: a dimension exceeds 2^24; split the product");
    }
    const Case c{static_cast<int>(options.shape.m), static_cast<int>(options.shape.n), static_cast<int>(options.shape.k)};
    if (c.m == 0 || c.n == 0) return result;
    for (int kind = 0; kind < input_kinds; ++kind) {
      run_case(kernel, format, c, static_cast<InputKind>(kind), options.seed, library_products, result);
      if (result.compared >= options.elements && options.elements != 0) break;
    }
    return result;
  }
  std::uint64_t seed = options.seed;
  do {
    for (const Case& c : cases(kernel, options.elements != 0)) {
      // One kind of inputs a case in campaigns (each seed has its own), every kind otherwise. The
      // benign and NaN inputs, which tell least, come up half as often as the others.
      constexpr InputKind order[] = {InputKind::spread, InputKind::cancel, InputKind::raw, InputKind::sparse,
                                     InputKind::cancel, InputKind::spread, InputKind::raw, InputKind::nan_scale,
                                     InputKind::cancel, InputKind::benign};
      if (options.elements != 0) {
        run_case(kernel, format, c, order[seed % std::size(order)], seed, library_products, result);
      } else {
        for (int kind = 0; kind < input_kinds; ++kind) {
          run_case(kernel, format, c, static_cast<InputKind>(kind), seed, library_products, result);
        }
      }
      ++seed;
    }
  } while (result.compared < options.elements);
  return result;
}

}  // namespace lowbit::gpu::detail
