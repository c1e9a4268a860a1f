// SPDX-License-Identifier: MIT
// Launchers of the GEMM kernels, one translation unit each. Each returns what cudaGetLastError says.
#pragma once

#include <cuda_runtime_api.h>

#include "lowbit/gpu/gemm.hpp"

namespace lowbit::gpu::detail {

// What every kernel gets; checked by launch_gemm.
struct GemmArguments {
  const std::uint8_t* a_codes;
  const std::uint8_t* a_scales;
  const std::uint8_t* b_codes;
  const std::uint8_t* b_scales;
  float* d;
  int m;
  int n;
  int k_blocks;  // blocks of 16 along K, the last one padded with code 0
  float alpha;
};

cudaError_t launch_gemm_wgmma(GemmFormat format, const GemmArguments& g, cudaStream_t stream);
cudaError_t launch_gemm_decode(GemmFormat format, const GemmArguments& g, cudaStream_t stream);
// NVFP4, scales in the 128x4 layout; not run on hardware.
cudaError_t launch_gemm_sm120(const GemmArguments& g, cudaStream_t stream);
cudaError_t launch_gemm_sm100(const GemmArguments& g, cudaStream_t stream);

}  // namespace lowbit::gpu::detail
