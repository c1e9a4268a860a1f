// SPDX-License-Identifier: MIT
/// \file
/// Quantization on the device: the bytes of lowbit::quantize in the `canonical` dialect, from BF16,
/// FP16 or FP32.
///
/// Formats: nvfp4 (static_6, static_4, mse, mae, abs_max), nvint4, if4, if3, if6_e2m3, if6_e3m2
/// (mse, mae, abs_max), mxfp4, mxfp6_e2m3, mxfp6_e3m2, mxfp8_e4m3, mxfp8_e5m2 (every MX rule); 1D
/// blocks and square ones (16x16; 32x32 for MX). BF16 and FP16 in 1D blocks without the Hadamard
/// transform, with whole blocks and aligned pointers, take the fast kernels; everything else takes
/// general ones.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "lowbit/quantize.hpp"
#include "lowbit/scale_layout.hpp"

namespace lowbit::gpu {

/// What is computed. The same names mean the same as in lowbit::QuantizeOptions.
struct QuantizeConfig {
  const BlockFormat* format = nullptr;             ///< required
  ScaleRule rule = ScaleRule::static_6;            ///< of the format
  float scale_max = 0;                             ///< M; 0: 448, or 256 for NVFP4 with a selection
  bool block_2d = false;                           ///< square blocks
  bool hadamard = false;                           ///< the 16-point transform first
  NonFinite nonfinite = NonFinite::error;          ///< what NaN and infinities become
  InputType input_type = InputType::bfloat16;      ///< of QuantizeBuffers::input
  ScaleLayout scale_layout = ScaleLayout::linear;  ///< of QuantizeBuffers::scales
};

/// Where it is computed: device pointers, of any alignment (16 bytes, 4 for `workspace`, for the
/// fast kernels). A matrix of rows x columns, row-major without gaps.
struct QuantizeBuffers {
  const void* input = nullptr;        ///< rows x columns of config.input_type
  std::int64_t rows = 0;              ///< 0 is fine: nothing is written but amax (0)
  std::int64_t columns = 0;           ///< 0 is fine too
  std::uint8_t* values = nullptr;     ///< value_bytes(): padded with code 0, as BlockTensor::values
  std::uint8_t* scales = nullptr;     ///< scale_bytes(): linear as BlockTensor::scales, or swizzled
  const float* given_amax = nullptr;  ///< A, finite and not negative, or null: measured first
  float* amax = nullptr;              ///< receives A (1 for MX); may be null
  /// NonFinite::error only, may be null: receives the row-major index of the first NaN or infinity,
  /// or all ones if there is none. The blocks that hold one are written as by NonFinite::propagate.
  std::uint64_t* first_nonfinite = nullptr;
  void* workspace = nullptr;      ///< quantize_workspace_bytes
  cudaStream_t stream = nullptr;  ///< null: the default stream
};

/// Bytes of QuantizeBuffers::workspace.
inline constexpr std::size_t quantize_workspace_bytes = 16384;
/// Bytes of the packed codes of a rows x columns matrix.
[[nodiscard]] std::size_t value_bytes(const BlockFormat& format, std::int64_t rows,
                                      std::int64_t columns);
/// Bytes of the scale array of a rows x columns matrix in that layout.
[[nodiscard]] std::size_t scale_bytes(const BlockFormat& format, std::int64_t rows,
                                      std::int64_t columns, ScaleLayout layout);

/// Whether the device kernels have this pair.
[[nodiscard]] bool has_quantize_kernel(const BlockFormat& format, ScaleRule rule);

/// Which kernels run. All give the same bytes.
enum class QuantizePath : std::uint8_t {
  automatic,  ///< the fast kernels where they apply
  general,    ///< the general kernels
  literal,  ///< the general kernels, every decision by the dialect's own operations one by one: the
            ///< slow device-side reference that the others are compared with on large inputs
};

/// Queues the kernels on the stream.
/// \throws Error(usage): no such pair, a null pointer, the Hadamard transform on columns that are
/// no multiple of 16, or 2^31 blocks or more. Error(unavailable): the launch failed.
void launch_quantize(const QuantizeConfig& config, const QuantizeBuffers& buffers,
                     QuantizePath path = QuantizePath::automatic);

}  // namespace lowbit::gpu
