// SPDX-License-Identifier: MIT
// Launchers of the GEMM kernels, one translation unit each. Each returns what cudaGetLastError
// says.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>

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
  bool b_settled;
};

/// launch.operator()<F>() for the format F.
template <class Launch>
cudaError_t with_format(GemmFormat format, const Launch& launch) {
  switch (format) {
    case GemmFormat::nvfp4:
      return launch.template operator()<GemmFormat::nvfp4>();
    case GemmFormat::if4:
      return launch.template operator()<GemmFormat::if4>();
    case GemmFormat::if3:
      return launch.template operator()<GemmFormat::if3>();
  }
  return cudaErrorInvalidValue;
}

/// Allows a kernel that much dynamic shared memory on the current device. The driver is called once
/// per device, because the call takes longer than a launch.
template <auto kernel>
cudaError_t raise_shared_limit(int bytes) {
  static std::atomic<std::uint64_t> raised{0};  // one bit per device
  int device = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status != cudaSuccess) return status;
  const std::uint64_t bit = device < 64 ? std::uint64_t{1} << device : 0;
  if ((raised.load(std::memory_order_relaxed) & bit) != 0) return cudaSuccess;
  status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (status == cudaSuccess) raised.fetch_or(bit, std::memory_order_relaxed);
  return status;
}

cudaError_t launch_gemm_wgmma(GemmFormat format, const GemmArguments& g, cudaStream_t stream);
cudaError_t launch_gemm_decode(GemmFormat format, const GemmArguments& g, cudaStream_t stream);
// Any architecture; the Blackwell machine code is not run on hardware.
cudaError_t launch_gemm_mma_f16(GemmFormat format, const GemmArguments& g, cudaStream_t stream);
// NVFP4, scales in the 128x4 layout; not run on hardware.
cudaError_t launch_gemm_sm120(const GemmArguments& g, cudaStream_t stream);
cudaError_t launch_gemm_sm100(const GemmArguments& g, cudaStream_t stream);

}  // namespace lowbit::gpu::detail
