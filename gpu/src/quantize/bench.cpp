// SPDX-License-Identifier: MIT
#include <algorithm>

#include "harness/test_inputs.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/error.hpp"
#include "lowbit/gpu/device.hpp"
#include "lowbit/gpu/quantize_harness.hpp"

namespace lowbit::gpu {

using detail::InputKind;

std::vector<BenchResult> bench_quantize(const QuantizeKernel& kernel, const BenchOptions& options) {
  const Device device = require_device(kernel.info.compute_capabilities, kernel.info.name);
  const std::int64_t rows = options.shape.m != 0 ? options.shape.m : 8192;
  const std::int64_t columns = options.shape.k != 0 ? options.shape.k : 8192;
  const auto count = static_cast<std::size_t>(rows * columns);
  if (count == 0) throw Error(ErrorKind::usage, "nothing to time in a tensor of no elements");
  const BlockFormat& format = *kernel.config.format;
  const std::size_t input_bytes = count * 2;
  const std::size_t values_size = value_bytes(format, rows, columns);
  const std::size_t scales_size = scale_bytes(format, rows, columns, ScaleLayout::linear);
  const std::size_t buffers = std::max<std::size_t>(3, 4 * device.l2_bytes / input_bytes + 1);
  require_memory(buffers * (input_bytes + values_size + scales_size), kernel.info.name);

  std::vector<float> x(count);
  std::vector<std::uint8_t> raw(input_bytes);
  lowbit::detail::parallel_parts(count, 4096, [&](std::size_t first, std::size_t last) {
    const auto part = std::span(x).subspan(first, last - first);
    detail::make_input(InputKind::normal, InputType::bfloat16, 1, first, part);
    detail::to_raw(part, InputType::bfloat16, raw.data() + 2 * first);
  });
  std::vector<DeviceBuffer> inputs;
  std::vector<DeviceBuffer> values;
  std::vector<DeviceBuffer> scales;
  for (std::size_t i = 0; i < buffers; ++i) {
    inputs.emplace_back(input_bytes).upload(raw.data(), raw.size());
    values.emplace_back(values_size);
    scales.emplace_back(scales_size);
  }
  DeviceBuffer small(16);
  DeviceBuffer workspace(quantize_workspace_bytes);
  const float amax = 4.0F;
  small.upload(&amax, sizeof amax, 4);

  const bool mx = format.family() == ScaleFamily::mx;
  const double once = static_cast<double>(input_bytes + values_size + scales_size);
  std::vector<BenchResult> results;
  for (const bool given : {false, true}) {
    if (given && (mx || !kernel.features.given_amax)) continue;
    QuantizeConfig config = kernel.config;
    config.input_type = InputType::bfloat16;
    BenchResult result{.what = mx ? "quantize" : (given ? "given amax" : "amax+quantize")};
    result.bytes = given || mx ? once : once + static_cast<double>(input_bytes);
    result.shape = {rows, 0, columns};
    result.median_seconds = median_seconds(options.repeats, [&](int i) {
      const std::size_t n = static_cast<std::size_t>(i) % buffers;
      QuantizeBuffers b{.input = inputs[n].get(),
                        .rows = rows,
                        .columns = columns,
                        .values = values[n].as<std::uint8_t>(),
                        .scales = scales[n].as<std::uint8_t>(),
                        .amax = small.as<float>(),
                        .workspace = workspace.get()};
      if (given) b.given_amax = small.as<float>() + 1;
      kernel.launch(config, b);
    });
    results.push_back(result);
  }
  return results;
}

}  // namespace lowbit::gpu
