// SPDX-License-Identifier: MIT
/// \file
/// Holds a quantize kernel to lowbit::quantize, byte for byte, and times it: the built-in kernels,
/// or one of your own (gpu/example/custom_kernel.cu).
///
///     lowbit::gpu::QuantizeKernel mine;
///     mine.info.name = "my_nvfp4";
///     mine.info.compute_capabilities = {90};
///     mine.config.format = lowbit::find_block_format("nvfp4");
///     mine.launch = [](const auto& config, const auto& buffers) { my_launch(buffers.input, ...);
///     }; const auto result = lowbit::gpu::verify_quantize(mine, {.elements = 100'000'000});
///
/// A kernel that cannot be called from here can write its output to a file instead: `lowbit verify`
/// compares a dump.
#pragma once

#include <functional>
#include <vector>

#include "lowbit/gpu/kernel.hpp"
#include "lowbit/gpu/quantize.hpp"

namespace lowbit::gpu {

/// What a kernel can do beside the plain case: 1D blocks, linear scales, whole blocks, aligned
/// pointers, finite input. Only what is claimed is tried.
struct QuantizeFeatures {
  std::vector<InputType> input_types{InputType::bfloat16};  ///< types that it reads
  bool block_2d = false;                                    ///< square blocks
  bool hadamard = false;                                    ///< the 16-point transform
  bool swizzled = false;                                    ///< scales in the 128x4 layout
  bool given_amax = false;                                  ///< A given by the caller
  /// The three policies of NonFinite, and under `error` QuantizeBuffers::first_nonfinite. A kernel
  /// without them sees finite elements alone, and its `first_nonfinite` is null.
  bool nonfinite = false;
  bool any_shape = false;  ///< partial blocks, pointers of any alignment, zero-size tensors
};

/// A quantize kernel that the harness can run.
struct QuantizeKernel {
  KernelInfo info;            ///< its name, architectures and note
  QuantizeConfig config;      ///< format, rule and scale_max; the harness sets the other fields
  QuantizeFeatures features;  ///< what the harness may ask of it
  /// Queues the work on buffers.stream; the harness synchronizes and checks for errors.
  std::function<void(const QuantizeConfig&, const QuantizeBuffers&)> launch;
};

/// Directed cases (every feature claimed, adversarial inputs, output buffers with guard bytes
/// around them), the golden files' inputs if a folder is given, and random and adversarial tensors
/// up to options.elements. Every code and scale byte, and the amax, is compared with
/// lowbit::quantize in the `canonical` dialect, computed on all cores.
[[nodiscard]] VerifyResult verify_quantize(const QuantizeKernel& kernel,
                                           const VerifyOptions& options);

/// BF16, 1D, linear scales (default 8192x8192): amax and quantize together, and with a given amax;
/// the input cycles through buffers that together exceed the L2 four times. `bytes` is what has to
/// move: one read of the input (two with the amax pass, none for MX) and one write of codes and
/// scales.
[[nodiscard]] std::vector<BenchResult> bench_quantize(const QuantizeKernel& kernel,
                                                      const BenchOptions& options);

/// The kernel as an entry for the registry.
[[nodiscard]] Kernel as_kernel(QuantizeKernel kernel);

}  // namespace lowbit::gpu
