// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace oracle {

/// A quantization to be done, in words.
struct Request {
  std::string format;  ///< nvfp4, if6_e3m2, mxfp4, ..., with _bs8 for blocks of 8;
                       ///< test_e2m1_e5m2: E2M1 in blocks of 32 under E5M2 scales
  std::string rule;    ///< static_6, static_4, mse, mae, abs_max, floor, rceil, ceil, even
  int scale_max = 0;   ///< 0: 448, or 256 for NVFP4 with mse, mae, abs_max (amdfp4: 114688, 65536)
  bool block_2d = false;
  bool hadamard = false;
  std::string input_type = "f32";    ///< or f16, bf16: what the transform rounds to
  std::string rounding = "nearest";  ///< or stochastic, stochastic_unbiased
  std::optional<float> amax;
  std::vector<float> random0, random1;  ///< one an element of the padded matrix
};

/// What the definition gives, decision by decision.
struct Result {
  std::vector<std::uint8_t> codes;   ///< unpacked, rows x padded columns
  std::vector<std::uint8_t> scales;  ///< rows x blocks
  std::vector<std::uint8_t> second;  ///< rows x blocks: 1 where the 4 or integer candidate won
  std::vector<float> dequantized;    ///< rows x padded columns
  float amax = 0;
};

/// The `canonical` dialect, straight from its definition, in exact rationals.
Result quantize_canonical(const std::vector<float>& values, int rows, int columns,
                          const Request& request);

}  // namespace oracle
