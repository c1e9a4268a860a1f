// SPDX-License-Identifier: MIT
// The CUDA toolkit's narrow-float headers, compiled for the host, as a third opinion: every FP16
// and BF16 input, and every float within 64 ulp of a power of two or its odd eighths.
#include <cuda_fp4.h>
#include <cuda_fp6.h>
#include <cuda_fp8.h>

#include <bit>
#include <cmath>
#include <functional>
#include <vector>

#include "catch.hpp"
#include "lowbit/conversion.hpp"

using namespace lowbit;

namespace {

const std::vector<float>& inputs() {
  static const std::vector<float> all = [] {
    std::vector<float> x;
    for (std::uint32_t code = 0; code < 0x10000; ++code) {
      x.push_back(std::bit_cast<float>(code << 16));
      x.push_back(to_float(f16, code));
    }
    for (int exponent = -30; exponent <= 20; ++exponent) {
      for (int sixteenths = 16; sixteenths < 32; ++sixteenths) {
        const auto center =
            std::bit_cast<std::uint32_t>(std::ldexp(static_cast<float>(sixteenths), exponent - 4));
        for (std::uint32_t step = 0; step <= 128; ++step) {
          x.push_back(std::bit_cast<float>(center + step - 64));
        }
      }
    }
    return x;
  }();
  return all;
}

void agree(const ElementFormat& format, const ConversionPolicy& policy,
           const std::function<std::uint32_t(float)>& vendor) {
  std::size_t wrong = 0;
  float first = 0;
  for (const float x : inputs()) {
    const std::uint32_t ours = from_float(format, x, policy);
    const std::uint32_t theirs = vendor(x) & format.code_mask();
    // Which NaN is a matter of taste; that it is one is not.
    if (decode(format, ours).number_class == NumberClass::nan &&
        decode(format, theirs).number_class == NumberClass::nan) {
      continue;
    }
    if (ours != theirs && wrong++ == 0) first = x;
  }
  INFO(format.name << " first at " << std::hexfloat << first);
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("cuda_fp4.h, cuda_fp6.h and cuda_fp8.h convert as we do") {
  agree(e2m1, {}, [](float x) { return __nv_cvt_float_to_fp4(x, __NV_E2M1, cudaRoundNearest); });
  agree(e2m3, {}, [](float x) { return __nv_cvt_float_to_fp6(x, __NV_E2M3, cudaRoundNearest); });
  agree(e3m2, {}, [](float x) { return __nv_cvt_float_to_fp6(x, __NV_E3M2, cudaRoundNearest); });
  agree(e4m3, {}, [](float x) { return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3); });
  agree(e5m2, {}, [](float x) { return __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E5M2); });
  const ConversionPolicy to_infinity{.overflow = Overflow::infinity};
  agree(e4m3, to_infinity, [](float x) { return __nv_cvt_float_to_fp8(x, __NV_NOSAT, __NV_E4M3); });
  agree(e5m2, to_infinity, [](float x) { return __nv_cvt_float_to_fp8(x, __NV_NOSAT, __NV_E5M2); });
}

TEST_CASE("the vendor's E8M0 truncation is ours") {
  const ConversionPolicy truncate{.rounding = Rounding::toward_zero};
  for (const float x : inputs()) {
    if (!(x > 0) || std::isinf(x)) continue;  // signs and NaN: E8M0 has none, and takes none here
    INFO(std::hexfloat << x);
    REQUIRE(from_float(e8m0, x, truncate) ==
            __nv_cvt_float_to_e8m0(x, __NV_SATFINITE, cudaRoundZero));
  }
}

TEST_CASE("the vendor decodes every code to our value") {
  for (std::uint32_t code = 0; code < 256; ++code) {
    const auto byte = static_cast<unsigned char>(code);
    const auto value = [](__half_raw h) { return to_float(f16, h.x); };
    const auto same = [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    INFO(code);
    CHECK(same(to_float(e4m3, code), value(__nv_cvt_fp8_to_halfraw(byte, __NV_E4M3))));
    CHECK(same(to_float(e5m2, code), value(__nv_cvt_fp8_to_halfraw(byte, __NV_E5M2))));
    if (code < 64) {
      CHECK(to_float(e2m3, code) == value(__nv_cvt_fp6_to_halfraw(byte, __NV_E2M3)));
      CHECK(to_float(e3m2, code) == value(__nv_cvt_fp6_to_halfraw(byte, __NV_E3M2)));
    }
    if (code < 16) CHECK(to_float(e2m1, code) == value(__nv_cvt_fp4_to_halfraw(byte, __NV_E2M1)));
    const __nv_bfloat16_raw power = __nv_cvt_e8m0_to_bf16raw(byte);
    CHECK(same(to_float(e8m0, code), to_float(bf16, power.x)));
  }
}
