// SPDX-License-Identifier: MIT
// The targets of the build, as kernel records name them.
#pragma once

#include <string_view>

#include "lowbit/gpu/kernel.hpp"

namespace lowbit::gpu::detail {

/// Fills `architectures` from a list of the build ("sm_90a;sm_100a"), and the compute capabilities
/// on which that machine code runs: those of the same number.
void set_architectures(KernelInfo& info, std::string_view built);

/// "sm_100a": 100. Throws Error(internal) where there is no number.
[[nodiscard]] int capability_of(std::string_view architecture);

}  // namespace lowbit::gpu::detail
