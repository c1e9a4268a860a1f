// SPDX-License-Identifier: MIT
#include "quantize/kernel.cuh"

namespace lowbit::gpu::detail {
cudaError_t launch_if6_e2m3(const Arguments& a, const Launch& launch) {
  return start_selecting<If6E2M3>(a, launch);
}
}  // namespace lowbit::gpu::detail
