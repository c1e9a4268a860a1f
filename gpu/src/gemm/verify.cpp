// SPDX-License-Identifier: MIT
// A GEMM kernel against its model: every output word by the replay on the device, and as many as
// the budget allows by the library's instruction model (lowbit::sim::mma) on all cores.
#include <fmt/format.h>

#include <algorithm>

#include "gemm/campaign.hpp"
#include "gemm/harness.hpp"
#include "gemm/library_check.hpp"
#include "lowbit/error.hpp"
#include "lowbit/gpu/device.hpp"

namespace lowbit::gpu::detail {
namespace {

struct Case {
  int m = 0;
  int n = 0;
  int k = 0;
};

// Shapes off and on the tile (128 x 256 x 256, 128 x 128 x 128; decode 16 x 64 x 1024, narrower
// where that makes no more tiles than the device has multiprocessors: 8448 columns are 132 full
// ones), every number of blocks mod 4, K = 0.
constexpr Case wgmma_short[] = {
    {1, 1, 16},    {128, 256, 128}, {129, 257, 144}, {200, 300, 1000}, {64, 9, 4096}, {3, 513, 250},
    {257, 1, 400}, {5, 7, 0},       {384, 512, 768}, {16, 1024, 2048}, {130, 70, 288}};
constexpr Case decode_short[] = {{1, 1, 16},      {16, 64, 2048}, {15, 65, 2064},  {3, 300, 1000},
                                 {8, 9, 4096},    {16, 513, 250}, {9, 640, 6000},  {5, 7, 0},
                                 {16, 512, 8192}, {2, 130, 128},  {16, 8447, 768}, {4, 8449, 512}};
// Campaigns: about 59 million outputs per round of wgmma and 36 million per round of decode, more
// than half at K up to 256 and over a million at K of 4096 or more.
constexpr Case wgmma_long[] = {{4096, 4096, 128}, {4096, 2048, 256}, {1100, 1000, 4096},
                               {3001, 2999, 80},  {2048, 4096, 512}, {4096, 4096, 64},
                               {512, 512, 8192}};
constexpr Case decode_long[] = {{16, 1 << 20, 256}, {16, 70000, 4096}, {13, 1 << 19, 128},
                                {16, 131072, 2048}, {7, 99999, 1000},  {16, 16384, 8192},
                                {15, 1 << 19, 64}};

std::span<const Case> cases(GemmKernel kernel, bool campaign) {
  if (kernel != GemmKernel::decode) {
    return campaign ? std::span<const Case>(wgmma_long) : std::span<const Case>(wgmma_short);
  }
  return campaign ? std::span<const Case>(decode_long) : std::span<const Case>(decode_short);
}

struct Operands {
  DeviceBuffer a_codes, a_scales, b_codes, b_scales, a_half, b_half, b_swapped;
};

// The rows (decode: the columns) of D that the library gets, within a budget of products; their
// place varies with the seed.
struct Part {
  std::size_t row0 = 0, rows = 0, column0 = 0, columns = 0;
};
Part part_for_library(GemmKernel kernel, std::size_t m, std::size_t n, std::size_t k,
                      double products, std::uint64_t seed) {
  const bool by_rows = kernel != GemmKernel::decode;
  const std::size_t lines = by_rows ? m : n;
  const double per_line = static_cast<double>(by_rows ? n : m) * static_cast<double>(k);
  const std::size_t take =
      std::min(lines, static_cast<std::size_t>(std::max(1.0, products / per_line)));
  const std::size_t start = lines == take ? 0 : seed * 7919 % (lines - take + 1);
  return by_rows ? Part{start, take, 0, n} : Part{0, m, start, take};
}

// A kernel under test and what has been found so far.
struct Campaign {
  GemmKernel kernel;
  GemmFormat format;
  int capability;
  double library_products;  // of the library's model, per case
  VerifyResult total{};
  LibraryProblem library{};  // its memory is kept from case to case

  void run(const Case& c, InputKind kind, std::uint64_t seed);
};

void Campaign::run(const Case& c, InputKind kind, std::uint64_t seed) {
  const auto blocks = static_cast<std::size_t>((c.k + 15) / 16);
  const auto m = static_cast<std::size_t>(c.m);
  const auto n = static_cast<std::size_t>(c.n);
  require_memory((m + n * 2) * blocks * 32 + (m + n) * blocks * 9 + m * n * 4, "gemm verify");
  Operands o{DeviceBuffer(std::max<std::size_t>(m * blocks * 8, 16)),
             DeviceBuffer(std::max<std::size_t>(m * blocks, 16)),
             DeviceBuffer(std::max<std::size_t>(n * blocks * 8, 16)),
             DeviceBuffer(std::max<std::size_t>(n * blocks, 16)),
             DeviceBuffer(std::max<std::size_t>(m * blocks * 32, 16)),
             DeviceBuffer(std::max<std::size_t>(n * blocks * 32, 16)),
             DeviceBuffer(std::max<std::size_t>(n * blocks * 32, 16))};
  DeviceBuffer d(m * n * sizeof(float));
  d.fill(0xAB);  // an output that nothing writes is a mismatch
  DeviceBuffer counts(sizeof(ReplayCounts));
  ReplayCounts zero;
  counts.upload(&zero, sizeof zero);
  const int kb = static_cast<int>(blocks);
  check(generate_operand(format, kind, seed, 0, c.m, c.k, o.a_codes.as<std::uint8_t>(),
                         o.a_scales.as<std::uint8_t>(), nullptr),
        "generate A");
  check(generate_operand(format, kind, seed, 1, c.n, c.k, o.b_codes.as<std::uint8_t>(),
                         o.b_scales.as<std::uint8_t>(), nullptr),
        "generate B");
  check(expand_operand(format, false, c.m, kb, o.a_codes.as<std::uint8_t>(),
                       o.a_scales.as<std::uint8_t>(), o.a_half.as<std::uint16_t>(), nullptr),
        "expand A");
  check(expand_operand(format, false, c.n, kb, o.b_codes.as<std::uint8_t>(),
                       o.b_scales.as<std::uint8_t>(), o.b_half.as<std::uint16_t>(), nullptr),
        "expand B");
  check(expand_operand(format, true, c.n, kb, o.b_codes.as<std::uint8_t>(),
                       o.b_scales.as<std::uint8_t>(), o.b_swapped.as<std::uint16_t>(), nullptr),
        "expand B");

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
  problem.alpha =
      gemm_alpha(format, 3.25F + static_cast<float>(seed % 97), 2688.0F, 0.71F, 2688.0F);
  total.kernel_seconds += median_seconds(
      1, [&](int) { launch_gemm(kernel, problem, nullptr); }, 0);
  check(cudaDeviceSynchronize(), "gemm");

  // What the library needs is fetched first; then the device replays while the host's cores do.
  const bool with_library = blocks != 0 && library_products > 0;
  if (with_library) {
    const std::size_t k = blocks * 16;
    const Part part = part_for_library(kernel, m, n, k, library_products, seed);
    library.kernel = kernel;
    library.capability = capability;
    library.rows = part.rows;
    library.columns = part.columns;
    library.k = k;
    library.first_row = part.row0;
    library.first_column = part.column0;
    library.alpha = problem.alpha;
    library.a.resize(part.rows * k);
    library.b.resize(part.columns * k);
    library.d.resize(part.rows * part.columns);
    o.a_half.download(library.a.data(), library.a.size() * 2, part.row0 * k * 2);
    o.b_half.download(library.b.data(), library.b.size() * 2, part.column0 * k * 2);
    if (part.columns == n) {
      d.download(library.d.data(), library.d.size() * 4, part.row0 * n * 4);
    } else {
      for (std::size_t r = 0; r < part.rows; ++r) {
        d.download(library.d.data() + r * part.columns, part.columns * 4,
                   ((part.row0 + r) * n + part.column0) * 4);
      }
    }
  }
  check(replay_compare(kernel, c.m, c.n, kb, o.a_half.as<std::uint16_t>(),
                       o.b_half.as<std::uint16_t>(), o.b_swapped.as<std::uint16_t>(), problem.alpha,
                       d.as<float>(), counts.as<ReplayCounts>(), nullptr),
        "replay");
  const LibraryCheck checked = with_library ? check_with_library(library) : LibraryCheck{};
  check(cudaDeviceSynchronize(), "replay");
  ReplayCounts got;
  counts.download(&got, sizeof got);

  const auto describe = [&](const std::string& what) {
    return fmt::format("{}x{}x{} seed {} inputs {}: {}", c.m, c.n, c.k, seed,
                       static_cast<int>(kind), what);
  };
  if (got.compared != m * n) {
    throw Error(ErrorKind::internal,
                describe(fmt::format("compared {} of {} outputs", got.compared, m * n)));
  }
  total.cases += 1;
  total.compared += got.compared;
  total.mismatched += got.mismatched + checked.mismatched;
  total.library_compared += checked.compared;
  total.mutants_compared += got.mutant_outputs;
  if (total.first_mismatch.empty()) {
    if (got.mismatched != 0) {
      total.first_mismatch = describe(fmt::format("replay: {} words, first D[{},{}]",
                                                  got.mismatched, got.first / n, got.first % n));
    } else if (!checked.first.empty()) {
      total.first_mismatch = describe(checked.first);
    }
  }
  for (std::size_t i = 0; i < mutant_names.size(); ++i) {
    if (total.mutants.size() <= i) total.mutants.emplace_back(mutant_names[i], 0);
    total.mutants[i].second += got.exposed[i];
  }
}

}  // namespace

VerifyResult verify_gemm(GemmKernel kernel, GemmFormat format, const VerifyOptions& options) {
  // A product budget of the library's model for each case: whole cases in campaigns.
  Campaign campaign{kernel, format, current_device().capability, options.elements == 0 ? 4e8 : 5e9};
  VerifyResult& result = campaign.total;
  if (options.shape.m != 0 || options.shape.n != 0 || options.shape.k != 0) {
    constexpr std::int64_t limit = 1 << 24;
    if (options.shape.m > limit || options.shape.n > limit || options.shape.k > limit) {
      throw Error(ErrorKind::usage, "gemm: a dimension exceeds 2^24; split the product");
    }
    const Case c{static_cast<int>(options.shape.m), static_cast<int>(options.shape.n),
                 static_cast<int>(options.shape.k)};
    result.next_seed = options.seed + 1;
    if (c.m == 0 || c.n == 0) return result;
    for (int kind = 0; kind < input_kinds; ++kind) {
      campaign.run(c, static_cast<InputKind>(kind), options.seed);
      if (result.compared >= options.elements && options.elements != 0) break;
    }
    return result;
  }
  std::uint64_t seed = options.seed;
  do {
    for (const Case& c : cases(kernel, options.elements != 0)) {
      // In campaigns one kind of inputs per case (each seed has its own), otherwise every kind. The
      // benign and NaN inputs, which detect least, come up half as often as the others.
      constexpr InputKind order[] = {InputKind::spread, InputKind::cancel,    InputKind::raw,
                                     InputKind::sparse, InputKind::cancel,    InputKind::spread,
                                     InputKind::raw,    InputKind::nan_scale, InputKind::cancel,
                                     InputKind::benign};
      if (options.elements != 0) {
        campaign.run(c, order[seed % std::size(order)], seed);
      } else {
        for (int kind = 0; kind < input_kinds; ++kind)
          campaign.run(c, static_cast<InputKind>(kind), seed);
      }
      ++seed;
    }
  } while (result.compared < options.elements);
  result.next_seed = seed;
  return result;
}

}  // namespace lowbit::gpu::detail
