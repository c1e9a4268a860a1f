// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "gemm_harness.hpp"

namespace lowbit::gpu {
namespace {

struct Named {
  GemmFormat format;
  const char* name;
};
constexpr Named formats[] = {{GemmFormat::nvfp4, "nvfp4"}, {GemmFormat::if4, "if4"}, {GemmFormat::if3, "if3"}};

Kernel hopper(GemmKernel kernel, const Named& format) {
  const bool decode = kernel == GemmKernel::decode;
  KernelInfo info;
  info.name = fmt::format("gemm_{}_{}", format.name, decode ? "decode" : "wgmma");
  info.operation = decode ? Operation::decode : Operation::gemm;
  info.formats = {format.name};
  info.architectures = {"sm_90a"};
  info.compute_capabilities = {90};
  info.instruction = decode ? "mma.Hopper.m16n8k16.f32.f16.f16.f32" : "wgmma.Hopper.m64n192k16.f32.f16.f16";
  info.schedule = decode ? "K in chunks of 512 over 16 accumulators (chunk mod 16), columns by decode_column, "
                           "partials added in order in FP32, D = fl(alpha * sum)"
                         : "K ascending in steps of 16 from +0, D = fl(alpha * accumulator)";
  info.note = decode ? "1 to 16 rows of A; codes expanded to FP16 fragments in registers"
                     : "codes expanded to FP16 in shared memory while the tensor cores work";
  const GemmFormat f = format.format;
  return {info, [kernel, f](const VerifyOptions& options) { return detail::verify_gemm(kernel, f, options); },
          [kernel, f](const BenchOptions& options) { return detail::bench_gemm(kernel, f, options); }};
}

}  // namespace

std::vector<Kernel> gemm_kernels() {
  std::vector<Kernel> all;
  for (const GemmKernel kernel : {GemmKernel::wgmma, GemmKernel::decode}) {
    for (const Named& format : formats) all.push_back(hopper(kernel, format));
  }
  return all;
}

}  // namespace lowbit::gpu
