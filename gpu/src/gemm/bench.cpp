// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "gemm/campaign.hpp"
#include "gemm/harness.hpp"
#include "lowbit/error.hpp"
#include "lowbit/gpu/device.hpp"
#include "lowbit/gpu/mma_f16_layout.hpp"

namespace lowbit::gpu::detail {
namespace {

/// Launches recorded once, so that a replay costs the host almost nothing. A decode kernel takes
/// about as long as the host needs for one launch.
class Graph {
 public:
  template <class Launches>
  explicit Graph(const Launches& launches) {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    launches(stream);
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream, &graph), "capture");
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
    check(status, "graph");
  }
  ~Graph() { cudaGraphExecDestroy(executable_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch() const { check(cudaGraphLaunch(executable_, nullptr), "graph launch"); }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace

std::vector<BenchResult> bench_gemm(GemmKernel kernel, GemmFormat format,
                                    const BenchOptions& options) {
  const bool decode = kernel == GemmKernel::decode;
  const auto extent = [](std::int64_t asked, int otherwise) {
    if (asked > 1 << 24)
      throw Error(ErrorKind::usage, "gemm: a dimension exceeds 2^24; split the product");
    return asked == 0 ? otherwise : static_cast<int>(asked);
  };
  const int m = decode ? std::min(extent(options.shape.m, 16), 16) : extent(options.shape.m, 8192);
  const int n = extent(options.shape.n, 8192);
  const int k = extent(options.shape.k, 8192);
  const auto blocks = static_cast<std::size_t>((k + 15) / 16);
  const std::size_t b_bytes = static_cast<std::size_t>(n) * blocks * 9;
  // Enough different weights that none is found in the L2 (at least 288 MB for the decode kernel).
  const std::size_t sets =
      decode ? std::max<std::size_t>(2, (std::size_t{288} << 20) / b_bytes + 1) : 2;
  require_memory(
      sets * b_bytes + static_cast<std::size_t>(m) * (blocks * 9 + static_cast<std::size_t>(n) * 4),
      "gemm bench");
  DeviceBuffer a_codes(static_cast<std::size_t>(m) * blocks * 8);
  DeviceBuffer a_scales(static_cast<std::size_t>(m) * blocks);
  DeviceBuffer d(static_cast<std::size_t>(m) * static_cast<std::size_t>(n) * 4);
  check(generate_operand(format, InputKind::spread, 1, 0, m, k, a_codes.as<std::uint8_t>(),
                         a_scales.as<std::uint8_t>(), nullptr),
        "generate A");
  std::vector<DeviceBuffer> b_codes;
  std::vector<DeviceBuffer> b_scales;
  for (std::size_t s = 0; s < sets; ++s) {
    b_codes.emplace_back(static_cast<std::size_t>(n) * blocks * 8);
    b_scales.emplace_back(static_cast<std::size_t>(n) * blocks);
    check(generate_operand(format, InputKind::spread, 2 + s, 1, n, k,
                           b_codes.back().as<std::uint8_t>(), b_scales.back().as<std::uint8_t>(),
                           nullptr),
          "generate B");
  }
  GemmProblem problem;
  problem.format = format;
  problem.m = static_cast<std::size_t>(m);
  problem.n = static_cast<std::size_t>(n);
  problem.k = static_cast<std::size_t>(k);
  problem.a_codes = a_codes.as<std::uint8_t>();
  problem.a_scales = a_scales.as<std::uint8_t>();
  problem.d = d.as<float>();
  problem.b_settled = true;  // weights, written long before
  const auto launch = [&](std::size_t i, cudaStream_t stream) {
    problem.b_codes = b_codes[i % sets].as<std::uint8_t>();
    problem.b_scales = b_scales[i % sets].as<std::uint8_t>();
    launch_gemm(kernel, problem, stream);
  };
  double seconds = 0;
  if (decode) {
    // One pass through all weights is timed, because in a model one layer follows another.
    const Graph round([&](cudaStream_t stream) {
      for (std::size_t j = 0; j < sets; ++j) launch(j, stream);
    });
    seconds = median_seconds(
                  options.repeats, [&](int) { round.launch(); }, 3) /
              static_cast<double>(sets);
  } else {
    seconds = median_seconds(
        options.repeats, [&](int i) { launch(static_cast<std::size_t>(i), nullptr); }, 3);
  }

  BenchResult result;
  result.what = fmt::format("{}x{}x{}", m, n, k);
  result.shape = {m, n, k};
  result.median_seconds = seconds;
  result.bytes = static_cast<double>(gemm_bytes(problem));
  if (decode) {  // its bar is about the bytes that it must read
    result.bytes_moved = result.bytes;
    result.bytes -= 4.0 * m * n;
  }
  result.operations = 2.0 * m * n * k;
  // A kernel with tiles reads A once per tile column and B once per tile row of D, from the L2
  // where the data are there.
  if (!decode) {
    const int tile_m = 128;
    const int tile_n = kernel == GemmKernel::wgmma ? 256 : MmaF16::tile;
    const double row = static_cast<double>(blocks) * 9;
    result.bytes_moved = row * (static_cast<double>(m) * ((n + tile_n - 1) / tile_n) +
                                static_cast<double>(n) * ((m + tile_m - 1) / tile_m)) +
                         4.0 * m * n;
  }
  return {result};
}

}  // namespace lowbit::gpu::detail
