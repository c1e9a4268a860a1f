// SPDX-License-Identifier: MIT
// The headers of the quantize kernels and of the GEMM kernels' expansion in one file: one meaning
// of LOWBIT_HD and of a byte permutation. host_device.cu is the same for nvcc.
#include <random>

#include "catch.hpp"
#include "lowbit/gpu/gemm_expand.hpp"
#include "quantize/element.cuh"

namespace {

using lowbit::gpu::detail::permute;
using lowbit::gpu::detail::select_bytes;

/// PTX's text on prmt.b32, default mode, byte by byte.
std::uint32_t by_the_manual(const unsigned char (&byte)[8], std::uint32_t selector) {
  std::uint32_t r = 0;
  for (int place = 3; place >= 0; --place) {
    const std::uint32_t control = selector >> (4 * place) & 15;
    const unsigned char chosen = byte[control % 8];
    const unsigned value = control < 8 ? chosen : chosen > 127 ? 255 : 0;
    r = r * 256 + value;
  }
  return r;
}

TEST_CASE("a permutation takes bytes and signs by every selector") {
  std::mt19937 random(1);
  for (int words = 0; words < 20; ++words) {
    const auto a = static_cast<std::uint32_t>(random());
    const auto b = static_cast<std::uint32_t>(random());
    unsigned char byte[8];
    for (int i = 0; i < 4; ++i) {
      byte[i] = static_cast<unsigned char>(a >> 8 * i);
      byte[4 + i] = static_cast<unsigned char>(b >> 8 * i);
    }
    std::uint32_t wrong = 0;
    for (std::uint32_t selector = 0; selector < 0x10000; ++selector) {
      wrong += permute(a, b, selector) != by_the_manual(byte, selector) ? 1 : 0;
    }
    CHECK(wrong == 0);
    CHECK(select_bytes<0x7351>(a, b) == by_the_manual(byte, 0x7351));
    CHECK(select_bytes<0x0246>(a, b) == by_the_manual(byte, 0x0246));
  }
}

TEST_CASE("both headers' functions work beside each other") {
  using namespace lowbit::gpu;
  // 1 and -6 as NVFP4 under scale 1 (E4M3 0x38): 2^-10 times them.
  BlockExpansion first{}, second{};
  block_expansions<GemmFormat::nvfp4>(0x38383838, first, second);
  std::uint32_t out[4];
  expand_word<GemmFormat::nvfp4>(0x000000F2, first, out);
  CHECK(lowbit::gpu::detail::half_to_double(out[0] & 0xFFFF) == 0x1p-10);
  CHECK(lowbit::gpu::detail::half_to_double(out[2] & 0xFFFF) == -6 * 0x1p-10);
  CHECK(lowbit::gpu::detail::e4m3_value(0x38) == 1.0F);
}

}  // namespace
