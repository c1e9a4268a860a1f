// SPDX-License-Identifier: MIT
#include "lowbit/gpu/gemm.hpp"

#include <cuda_runtime_api.h>

#include <string>

#include "gemm/kernels.hpp"
#include "lowbit/error.hpp"
#include "lowbit/gpu/gemm_expand.hpp"

namespace lowbit::gpu {
namespace {

// Tile counts, row indices and block offsets within a tile are 32-bit in the kernels.
constexpr std::size_t largest_rows = std::size_t{1} << 24;
constexpr std::size_t largest_k = std::size_t{1} << 22;

void check_pointer(const void* pointer, std::size_t alignment, const char* name) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  if (address != 0 && address % alignment == 0) return;
  throw Error(ErrorKind::usage, std::string("gemm: pointer ") + name +
                                    (address == 0 ? " is null" : " is misaligned") +
                                    "; it must be a multiple of " + std::to_string(alignment) +
                                    " bytes");
}

}  // namespace

float gemm_alpha(GemmFormat format, float amax_a, float encode_a, float amax_b, float encode_b) {
  const int d = float_factor(format);
  const double numerator = static_cast<double>(amax_a) * amax_b;
  const double denominator = static_cast<double>(encode_a) * encode_b;
  // 2^20 and d^2 are exact; C_a * C_b * d^2 too for the formats' small integer constants.
  return static_cast<float>(numerator * (1 << 2 * expand_prescale) / (denominator * (d * d)));
}

float native_alpha(float amax_a, float encode_a, float amax_b, float encode_b) {
  return static_cast<float>(static_cast<double>(amax_a) * amax_b /
                            (static_cast<double>(encode_a) * encode_b));
}

std::size_t gemm_bytes(const GemmProblem& problem) {
  const std::size_t blocks = (problem.k + gemm_block - 1) / gemm_block;
  return (problem.m + problem.n) * blocks * (gemm_block / 2 + 1) +
         problem.m * problem.n * sizeof(float);
}

void launch_gemm(GemmKernel kernel, const GemmProblem& p, void* stream) {
  if (p.m == 0 || p.n == 0) return;
  if (p.m > largest_rows || p.n > largest_rows || p.k > largest_k ||
      p.m * p.n > largest_rows << 20) {
    throw Error(
        ErrorKind::usage,
        "gemm: M and N are at most 2^24, K at most 2^22 and M * N at most 2^44; split the product");
  }
  if (kernel == GemmKernel::decode && p.m > 16) {
    throw Error(ErrorKind::usage, "gemm decode: M is " + std::to_string(p.m) +
                                      ", this kernel takes 1 to 16 rows; use the wgmma kernel");
  }
  const bool native = kernel == GemmKernel::native_sm120 || kernel == GemmKernel::native_sm100;
  if (native && p.format != GemmFormat::nvfp4) {
    throw Error(ErrorKind::usage,
                "gemm: the native Blackwell kernels (not run on hardware) take NVFP4 only");
  }
  if (p.k != 0) {
    check_pointer(p.a_codes, 16, "a_codes");
    check_pointer(p.b_codes, 16, "b_codes");
    check_pointer(p.a_scales, 16, "a_scales");
    check_pointer(p.b_scales, 16, "b_scales");
  }
  check_pointer(p.d, 8, "d");
  const detail::GemmArguments g{p.a_codes,
                                p.a_scales,
                                p.b_codes,
                                p.b_scales,
                                p.d,
                                static_cast<int>(p.m),
                                static_cast<int>(p.n),
                                static_cast<int>((p.k + gemm_block - 1) / gemm_block),
                                p.alpha,
                                p.b_settled};
  auto* const s = static_cast<cudaStream_t>(stream);
  cudaError_t status = cudaErrorInvalidValue;
  switch (kernel) {
    case GemmKernel::wgmma:
      status = detail::launch_gemm_wgmma(p.format, g, s);
      break;
    case GemmKernel::decode:
      status = detail::launch_gemm_decode(p.format, g, s);
      break;
    case GemmKernel::mma_f16:
      status = detail::launch_gemm_mma_f16(p.format, g, s);
      break;
    case GemmKernel::native_sm120:
      status = detail::launch_gemm_sm120(g, s);
      break;
    case GemmKernel::native_sm100:
      status = detail::launch_gemm_sm100(g, s);
      break;
  }
  if (status != cudaSuccess) {
    throw Error(ErrorKind::unavailable,
                std::string("gemm: launch refused: ") + cudaGetErrorString(status));
  }
}

}  // namespace lowbit::gpu
