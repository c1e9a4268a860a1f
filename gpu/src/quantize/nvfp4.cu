// SPDX-License-Identifier: MIT
#include "quantize/kernel.cuh"

namespace lowbit::gpu::detail {
cudaError_t launch_nvfp4(const Arguments& a, const Launch& launch) {
  if (a.rule == static_cast<int>(Selection::none))
    return start_nv<Nvfp4, Selection::none>(a, launch);
  return start_selecting<Nvfp4>(a, launch);
}
cudaError_t launch_nvint4(const Arguments& a, const Launch& launch) {
  return start_nv<Nvint4, Selection::none>(a, launch);
}
}  // namespace lowbit::gpu::detail
