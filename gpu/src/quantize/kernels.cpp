// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "built_architectures.hpp"  // generated
#include "harness/architectures.hpp"
#include "lowbit/gpu/quantize_harness.hpp"

namespace lowbit::gpu {

std::vector<Kernel> quantize_kernels() {
  using enum ScaleRule;
  std::vector<Kernel> all;
  for (const BlockFormat& format : block_formats()) {
    for (const ScaleRule rule : {static_6, static_4, mse, mae, abs_max, floor, rceil, ceil, even}) {
      if (!has_quantize_kernel(format, rule)) continue;
      // For MX static_6 is another name of rceil.
      if (format.family() == ScaleFamily::mx && rule == static_6) continue;
      QuantizeKernel kernel;
      kernel.info.name = fmt::format("quantize_{}_{}", format.name, name_of(rule));
      kernel.info.operation = Operation::quantize;
      kernel.info.formats = {std::string(format.name)};
      kernel.info.rule = std::string(name_of(rule));
      detail::set_architectures(kernel.info, generated::quantize);
      kernel.info.note = "canonical dialect; BF16, FP16 or FP32 to codes and scale bytes";
      kernel.config.format = &format;
      kernel.config.rule = rule;
      kernel.features = {
          .input_types = {InputType::bfloat16, InputType::float16, InputType::float32},
          .block_2d = true,
          .hadamard = true,
          .swizzled = true,
          .given_amax = true,
          .nonfinite = true,
          .any_shape = true};
      kernel.launch = [](const QuantizeConfig& config, const QuantizeBuffers& buffers) {
        launch_quantize(config, buffers);
      };
      all.push_back(as_kernel(std::move(kernel)));
    }
  }
  return all;
}

}  // namespace lowbit::gpu
