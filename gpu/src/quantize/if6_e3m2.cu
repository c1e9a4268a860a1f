// SPDX-License-Identifier: MIT
#include "quantize/kernel.cuh"

namespace lowbit::gpu::detail {
cudaError_t launch_if6_e3m2(const Arguments& a, const Launch& launch) {
  return start_selecting<If6E3M2>(a, launch);
}
}  // namespace lowbit::gpu::detail
