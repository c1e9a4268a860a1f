// SPDX-License-Identifier: MIT
// Compiled, not run: the headers of the quantize kernels and of the GEMM kernels' expansion in one
// CUDA source, called from a kernel and from the host.
#include "lowbit/gpu/gemm_expand.hpp"
#include "quantize/element.cuh"

namespace {

using namespace lowbit::gpu;

LOWBIT_HD std::uint32_t of_both(std::uint32_t codes, std::uint32_t scales) {
  BlockExpansion first{}, second{};
  block_expansions<GemmFormat::if4>(scales, first, second);
  std::uint32_t out[4];
  expand_word<GemmFormat::if4>(codes, first, out);
  return detail::permute(out[0], out[1], scales) ^ detail::select_bytes<0x7531>(out[2], out[3]) ^
         detail::bits_of(detail::e4m3_value(scales & 0x7F));
}

__global__ void kernel(const std::uint32_t* in, std::uint32_t* out) {
  out[threadIdx.x] = of_both(in[threadIdx.x], in[0]);
}

}  // namespace

std::uint32_t host_device_example(std::uint32_t codes, std::uint32_t scales) {
  kernel<<<1, 1>>>(nullptr, nullptr);
  return of_both(codes, scales);
}
