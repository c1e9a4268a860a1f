// SPDX-License-Identifier: MIT
// A kernel of your own under lowbit's harness: a plain NVFP4 quantizer, one thread per block,
// compared with the reference byte for byte, and timed.
//
// docs/gpu.md, "A kernel of your own", says how to build it by hand.
//
// With --broken the kernel divides the encode scale by the block's scale instead of taking the
// reciprocal of their product, as some libraries do: a last bit, which decides elements that are
// ties. The harness names the first byte that differs.
#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "lowbit/error.hpp"
#include "lowbit/gpu/quantize_harness.hpp"

namespace {

__device__ float e4m3_to_float(unsigned byte) {
  return byte < 8 ? static_cast<float>(byte) * 0x1p-9F
                  : __uint_as_float(((byte >> 3) + 120) << 23 | (byte & 7) << 20);
}

__device__ unsigned e2m1_code(float y) {
  const float boundary[] = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F};
  const float magnitude = fabsf(y);
  unsigned code = 0;
  for (int i = 0; i < 7; ++i) {
    // Ties go to the even code: up from an odd one.
    code += magnitude > boundary[i] || (magnitude == boundary[i] && i % 2 == 1) ? 1 : 0;
  }
  return code | (signbit(y) ? 8 : 0);
}

/// 1x16 blocks of a BF16 matrix whose amax is given.
__global__ void quantize(const __nv_bfloat16* in, const float* amax, unsigned char* values,
                         unsigned char* scales, long blocks, bool broken) {
  const long block = static_cast<long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (block >= blocks) return;
  float b = 0;
  for (int i = 0; i < 16; ++i) b = fmaxf(b, fabsf(__bfloat162float(in[16 * block + i])));
  const float encode = *amax == 0 ? 0 : 2688.0F / *amax;
  const float h = b / 6.0F * encode;
  const unsigned byte = __nv_cvt_float_to_fp8(h, __NV_SATFINITE, __NV_E4M3);
  const float scale = e4m3_to_float(byte);
  const float inverse = byte == 0 ? 0 : broken ? encode / scale : 1.0F / (1.0F / encode * scale);
  scales[block] = static_cast<unsigned char>(byte);
  for (int i = 0; i < 16; i += 2) {
    const unsigned low = e2m1_code(__bfloat162float(in[16 * block + i]) * inverse);
    const unsigned high = e2m1_code(__bfloat162float(in[16 * block + i + 1]) * inverse);
    values[8 * block + i / 2] = static_cast<unsigned char>(byte == 0 ? 0 : low | high << 4);
  }
}

/// The tensor's amax, by one thread block.
__global__ void maximum(const __nv_bfloat16* in, long count, float* amax) {
  __shared__ float shared[1024];
  float m = 0;
  for (long i = threadIdx.x; i < count; i += 1024) m = fmaxf(m, fabsf(__bfloat162float(in[i])));
  shared[threadIdx.x] = m;
  __syncthreads();
  for (int step = 512; step > 0; step /= 2) {
    if (threadIdx.x < step)
      shared[threadIdx.x] = fmaxf(shared[threadIdx.x], shared[threadIdx.x + step]);
    __syncthreads();
  }
  if (threadIdx.x == 0) *amax = shared[0];
}

}  // namespace

int main(int argc, char** argv) {
  const bool broken = argc > 1 && std::strcmp(argv[1], "--broken") == 0;
  using namespace lowbit;
  gpu::QuantizeKernel mine;
  mine.info.name = "custom_nvfp4";
  mine.info.compute_capabilities = {90, 100, 120};
  mine.config.format = find_block_format("nvfp4");
  mine.config.rule = ScaleRule::static_6;
  mine.launch = [broken](const gpu::QuantizeConfig&, const gpu::QuantizeBuffers& b) {
    const auto* in = static_cast<const __nv_bfloat16*>(b.input);
    maximum<<<1, 1024, 0, b.stream>>>(in, b.rows * b.columns, b.amax);
    const long blocks = b.rows * b.columns / 16;
    quantize<<<static_cast<unsigned>((blocks + 255) / 256), 256, 0, b.stream>>>(
        in, b.amax, b.values, b.scales, blocks, broken);
  };
  try {
    // Ties are rare: the short list of shapes may have none.
    const gpu::VerifyResult result = gpu::verify_quantize(mine, {.elements = 10'000'000});
    std::printf("%llu elements in %llu cases, %llu mismatches\n",
                static_cast<unsigned long long>(result.compared),
                static_cast<unsigned long long>(result.cases),
                static_cast<unsigned long long>(result.mismatched));
    if (result.mismatched == 0) return 0;
    std::printf("first: %s\n", result.first_mismatch.c_str());
    return static_cast<int>(ErrorKind::mismatch);
  } catch (const Error& error) {
    std::fprintf(stderr, "custom_kernel: %s\n", error.what());
    return static_cast<int>(error.kind());
  }
}
