// SPDX-License-Identifier: MIT
/// \file
/// GEMM of two block-quantized matrices on a GPU: D[M,N] = fl(alpha * sum_k A[m,k] B[n,k]).
/// Each kernel's sums follow a documented schedule (docs/gpu_gemm.md), so every word of D can be
/// demanded from the model of its instruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lowbit::gpu {

/// Formats of an operand. Two codes per byte, even column in the low nibble (IF3 too: its 3-bit
/// code in the low bits of a nibble, bit 3 ignored). Blocks of 16 along K. Scales are E4M3 bytes;
/// bit 7 marks an integer block in IF3 and IF4 and is ignored in NVFP4 (as UE4M3 hardware does).
/// Byte 0x7F (and 0xFF) is NaN: all outputs of its row or column are NaN.
enum class GemmFormat : std::uint8_t { nvfp4, if4, if3 };

/// Both operands have that format and the layout of lowbit::BlockTensor:
/// codes rows x ceil(K/16)*8 bytes, scales rows x ceil(K/16) bytes, row-major; columns past K hold
/// code 0. All pointers are device pointers: codes and scales aligned to 16
/// bytes, d to 8.
struct GemmProblem {
  GemmFormat format = GemmFormat::nvfp4;   ///< of both operands
  std::size_t m = 0;                       ///< rows of A and D
  std::size_t n = 0;                       ///< rows of B, columns of D
  std::size_t k = 0;                       ///< columns of A and B
  const std::uint8_t* a_codes = nullptr;   ///< device pointer, aligned to 16
  const std::uint8_t* a_scales = nullptr;  ///< device pointer, aligned to 16
  const std::uint8_t* b_codes = nullptr;   ///< device pointer, aligned to 16
  const std::uint8_t* b_scales = nullptr;  ///< device pointer, aligned to 16
  float* d = nullptr;                      ///< m x n, row-major
  /// gemm_alpha(...) for the kernels that expand to FP16, native_alpha(...) for the native
  /// Blackwell ones (not run on hardware).
  float alpha = 1.0F;
  /// B was complete before the kernel ahead of this one in the stream was launched, as weights are.
  /// Lets the decode kernel begin to read B while that kernel ends.
  bool b_settled = false;
};

/// The multiplier of the epilogue of the FP16 kernels, rounded to FP32 once:
/// amax_a * amax_b * 2^20 / (C_a * C_b * d^2). 2^20 undoes the exact prescale 2^-10 of each
/// expanded operand and d (7 for IF4, 3 for IF3, else 1) the common denominator of float and
/// integer blocks. Computed in double: the numerator and the denominator are exact (two 24-bit
/// significands), the division and the conversion to float each round once.
[[nodiscard]] float gemm_alpha(GemmFormat format, float amax_a, float encode_a, float amax_b,
                               float encode_b);

/// The multiplier of the native kernels: amax_a * amax_b / (C_a * C_b), rounded likewise.
[[nodiscard]] float native_alpha(float amax_a, float encode_a, float amax_b, float encode_b);

/// The kernels. Names as `lowbit gpu list` prints them.
enum class GemmKernel : std::uint8_t {
  wgmma,   ///< sm_90a: wgmma m64n128k16, any M
  decode,  ///< sm_90a: wgmma m64n16k16, M <= 16, K split over four warpgroups
  /// sm_90a, sm_100a, sm_120a: mma.sync m16n8k16, any M. Not run on hardware on the Blackwells.
  mma_f16,
  /// Native NVFP4 on Blackwell, not run on hardware. Their scales lie in the 128x4 layout
  /// (lowbit::swizzle_scales), padded with zeros, and their alpha is native_alpha.
  native_sm120,  ///< sm_120a: mma.sync kind::mxf4nvf4 m16n8k64
  native_sm100,  ///< sm_100a: tcgen05.mma kind::mxf4nvf4 .block16
};

/// Launches on a CUDA stream (cudaStream_t as void*); asynchronous. Zero m or n: returns at once;
/// zero k: D is all +0. Throws lowbit::Error: usage for misaligned or null pointers, M over 16
/// in the decode kernel, or sizes over the kernels' 32-bit tile counts; unavailable when the launch
/// is refused. Thread-safe.
void launch_gemm(GemmKernel kernel, const GemmProblem& problem, void* stream);

/// Bytes a perfect kernel moves: both operands once, D once.
[[nodiscard]] std::size_t gemm_bytes(const GemmProblem& problem);

}  // namespace lowbit::gpu
