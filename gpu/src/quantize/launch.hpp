// SPDX-License-Identifier: MIT
// Between the host dispatch (quantize.cpp) and the kernels: one entry per format (*.cu).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace lowbit::gpu::detail {

/// n / d for n < 2^31 by a multiplication.
struct Divisor {
  std::uint32_t divisor = 1, multiplier = 0, shift = 0;
};
inline Divisor make_divisor(std::uint32_t d) {
  std::uint32_t shift = 0;
  while (shift < 32 && (std::uint64_t{1} << shift) < d) ++shift;
  const std::uint64_t m = ((std::uint64_t{1} << 32) * ((std::uint64_t{1} << shift) - d)) / d + 1;
  return {d, static_cast<std::uint32_t>(m), shift};
}

enum class Input : int { f32 = 0, f16 = 1, bf16 = 2 };
enum class Policy : int { error = 0, saturate = 1, propagate = 2 };

/// Maxima that the blocks of the amax pass leave for the next kernel to combine.
inline constexpr int max_partial_maxima = 2048;

/// Threads of a block of the amax pass.
inline constexpr int amax_threads = 512;

struct Arguments {
  const void* input;
  std::uint8_t* values;
  std::uint8_t* scales;
  const float* given_amax;        ///< or null: the maximum of partial_maxima
  std::uint32_t* partial_maxima;  ///< bits of binary32 numbers that are not negative
  std::uint32_t partial_count;
  float* amax;                          ///< may be null
  unsigned long long* first_nonfinite;  ///< may be null
  std::uint32_t rows, columns;
  std::uint32_t blocks;     ///< per row
  std::uint32_t items;      ///< of the kernel: see there
  std::uint32_t stride;     ///< threads of the launch
  Divisor per_row;          ///< items per row
  float largest, constant;  ///< Q, C
  int rule;                 ///< Selection or MxRule
  Input type;
  Policy policy;
  bool hadamard, swizzled;
  bool aligned_input, aligned_values;  ///< vectors of 16 bytes (values: of a segment) may be used
  bool exact;                          ///< every block by the dialect's operations one by one
};

enum class Kind : int { fast, general, general_2d };

/// What a launch needs beside its arguments.
struct Launch {
  Kind kind;
  int multiprocessors;
  cudaStream_t stream;
  bool follows_amax;  ///< the amax pass is right before it in the stream
};

cudaError_t launch_amax(const Arguments& arguments, const Launch& launch);
cudaError_t launch_nvfp4(const Arguments& arguments, const Launch& launch);
cudaError_t launch_nvint4(const Arguments& arguments, const Launch& launch);
cudaError_t launch_if4(const Arguments& arguments, const Launch& launch);
cudaError_t launch_if3(const Arguments& arguments, const Launch& launch);
cudaError_t launch_if6_e2m3(const Arguments& arguments, const Launch& launch);
cudaError_t launch_if6_e3m2(const Arguments& arguments, const Launch& launch);
cudaError_t launch_mxfp4(const Arguments& arguments, const Launch& launch);
cudaError_t launch_mxfp6_e2m3(const Arguments& arguments, const Launch& launch);
cudaError_t launch_mxfp6_e3m2(const Arguments& arguments, const Launch& launch);
cudaError_t launch_mxfp8_e4m3(const Arguments& arguments, const Launch& launch);
cudaError_t launch_mxfp8_e5m2(const Arguments& arguments, const Launch& launch);

}  // namespace lowbit::gpu::detail
