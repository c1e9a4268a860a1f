// SPDX-License-Identifier: MIT
#include "quantize/kernel.cuh"

namespace lowbit::gpu::detail {
cudaError_t launch_if4(const Arguments& a, const Launch& launch) {
  return start_selecting<If4>(a, launch);
}
}  // namespace lowbit::gpu::detail
