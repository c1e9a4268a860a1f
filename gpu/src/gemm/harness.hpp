// SPDX-License-Identifier: MIT
// verify and bench of the GEMM kernels.
#pragma once

#include "lowbit/gpu/gemm.hpp"
#include "lowbit/gpu/kernel.hpp"

namespace lowbit::gpu::detail {

VerifyResult verify_gemm(GemmKernel kernel, GemmFormat format, const VerifyOptions& options);
std::vector<BenchResult> bench_gemm(GemmKernel kernel, GemmFormat format,
                                    const BenchOptions& options);

}  // namespace lowbit::gpu::detail
