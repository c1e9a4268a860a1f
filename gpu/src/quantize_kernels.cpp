// SPDX-License-Identifier: MIT
#include "lowbit/gpu/kernel.hpp"

namespace lowbit::gpu {

std::vector<Kernel> quantize_kernels() { return {}; }

}  // namespace lowbit::gpu
