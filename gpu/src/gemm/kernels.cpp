// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <utility>

#include "built_architectures.hpp"  // generated
#include "gemm/harness.hpp"
#include "harness/architectures.hpp"

namespace lowbit::gpu {
namespace {

struct Named {
  GemmFormat format;
  const char* name;
};
constexpr Named formats[] = {
    {GemmFormat::nvfp4, "nvfp4"}, {GemmFormat::if4, "if4"}, {GemmFormat::if3, "if3"}};

Kernel held_to_model(KernelInfo info, GemmKernel kernel, GemmFormat f) {
  return {
      std::move(info),
      [kernel, f](const VerifyOptions& options) { return detail::verify_gemm(kernel, f, options); },
      [kernel, f](const BenchOptions& options) { return detail::bench_gemm(kernel, f, options); }};
}

Kernel hopper(GemmKernel kernel, const Named& format) {
  const bool decode = kernel == GemmKernel::decode;
  KernelInfo info;
  info.name = fmt::format("gemm_{}_{}", format.name, decode ? "decode" : "wgmma");
  info.operation = decode ? Operation::decode : Operation::gemm;
  info.formats = {format.name};
  detail::set_architectures(info, generated::hopper);
  info.instruction =
      decode ? "wgmma.Hopper.m64n16k16.f32.f16.f16" : "wgmma.Hopper.m64n128k16.f32.f16.f16";
  info.schedule = decode ? "K in super-steps of 256 over 4 accumulators (super-step mod 4), "
                           "columns by decode_column, "
                           "partials added in order in FP32, D = fl(alpha * sum)"
                         : "K in groups of 64 ascending from +0, four instructions each "
                           "(wgmma_column), D = fl(alpha * accumulator)";
  info.note =
      decode ? "1 to 16 rows of A, expanded to FP16 in shared memory; B in registers"
             : "A expanded to FP16 in registers and B in shared memory while the tensor cores work";
  return held_to_model(std::move(info), kernel, format.format);
}

// One source for Hopper and both Blackwells. It can be run and verified on each of them; so far
// only Hoppers have been at hand.
Kernel portable(const Named& format) {
  KernelInfo info;
  info.name = fmt::format("gemm_{}_mma_f16", format.name);
  info.operation = Operation::gemm;
  info.formats = {format.name};
  detail::set_architectures(info, generated::portable_gemm);
  info.instruction = "mma.Hopper.m16n8k16.f32.f16.f16.f32";
  info.schedule =
      "K ascending from +0 in super-steps of 128 of eight instructions, columns by mma_f16_column, "
      "D = fl(alpha * accumulator)";
  info.note =
      "codes expanded to FP16 fragments in registers; on Blackwell compared with mma.Blackwell or "
      "mma.RTX_Blackwell of the same shape";
  return held_to_model(std::move(info), GemmKernel::mma_f16, format.format);
}

// Native Blackwell kernels. They have not run on hardware, so the harness offers no verify and no
// bench for them. A test compares their layouts with the model on the CPU
// (tests/gpu/test_blackwell_layout.cpp).
Kernel blackwell(const char* name, std::string_view built, const char* instruction) {
  KernelInfo info;
  info.name = name;
  info.operation = Operation::gemm;
  info.formats = {"nvfp4"};
  detail::set_architectures(info, built);
  info.instruction = instruction;
  info.schedule = "K ascending in steps of 64 from +0, D = fl(alpha * accumulator)";
  info.note = "no verify or bench; layouts checked on the CPU; scales in the 128x4 layout";
  return {info, nullptr, nullptr};
}

}  // namespace

std::vector<Kernel> gemm_kernels() {
  std::vector<Kernel> all;
  for (const GemmKernel kernel : {GemmKernel::decode, GemmKernel::wgmma}) {
    for (const Named& format : formats) all.push_back(hopper(kernel, format));
  }
  for (const Named& format : formats) all.push_back(portable(format));
  all.push_back(
      blackwell("gemm_nvfp4_sm120", generated::sm120,
                "mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3"));
  all.push_back(
      blackwell("gemm_nvfp4_sm100", generated::sm100,
                "tcgen05mma_block_scale.Blackwell.m128n8k64.block16.f32.e2m1.e2m1.ue4m3"));
  return all;
}

}  // namespace lowbit::gpu
