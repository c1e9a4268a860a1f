// SPDX-License-Identifier: MIT
/// \file
/// Approximate FP32 operations of NVIDIA GPUs, bit for bit: PTX rcp.approx and div.full.
///
/// The model is exact for an H200 (driver 580.159, CUDA 13.0): all 2^23 significands of
/// rcp.approx.ftz.f32 and 2^21 pairs of div.full.f32 were recorded. Other generations are assumed
/// to compute the same. Thread-safe, no allocation.
#pragma once

namespace lowbit {

/// rcp.approx.f32: 1 / x within one unit in the last place. Zeros and subnormals below 2^-128 give
/// infinities, infinities give zeros. Subnormal arguments and results are kept.
[[nodiscard]] float rcp_approx(float x);
/// rcp.approx.ftz.f32: subnormal arguments give an infinity of their sign, results below 2^-126
/// a zero of their sign.
[[nodiscard]] float rcp_approx_ftz(float x);
/// div.full.f32: fl(x' * rcp.approx.ftz(y')), where x' and y' are x and y times 2^-2 if |y| is
/// above 2^126, and times 2^24 if y is subnormal.
[[nodiscard]] float div_full(float x, float y);

}  // namespace lowbit
