// SPDX-License-Identifier: MIT
#include "quantize/kernel.cuh"

namespace lowbit::gpu::detail {
cudaError_t launch_mxfp4(const Arguments& a, const Launch& launch) {
  return start_mx<Mxfp4>(a, launch);
}
cudaError_t launch_mxfp6_e2m3(const Arguments& a, const Launch& launch) {
  return start_mx<Mxfp6E2M3>(a, launch);
}
cudaError_t launch_mxfp6_e3m2(const Arguments& a, const Launch& launch) {
  return start_mx<Mxfp6E3M2>(a, launch);
}
cudaError_t launch_mxfp8_e4m3(const Arguments& a, const Launch& launch) {
  return start_mx<Mxfp8E4M3>(a, launch);
}
cudaError_t launch_mxfp8_e5m2(const Arguments& a, const Launch& launch) {
  return start_mx<Mxfp8E5M2>(a, launch);
}
}  // namespace lowbit::gpu::detail
