// SPDX-License-Identifier: MIT
// What the subcommands of `lowbit gpu` share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "lowbit/gpu/device.hpp"
#include "lowbit/gpu/kernel.hpp"

namespace lowbit::cli {

/// --kernel and --shape.
struct KernelSelection {
  std::string kernel = "all";
  std::string shape;

  void add_options(CLI::App& command);
  /// The kernels that --kernel names. Throws Error(usage) where there are none.
  [[nodiscard]] std::vector<gpu::Kernel> kernels() const;
  /// --shape; zeros where it is not given. Throws Error(usage).
  [[nodiscard]] gpu::Shape parsed_shape() const;
  /// Whether to skip a kernel on this device, with a line; a kernel that --kernel gives by its very
  /// name is an error instead. \param offered  whether the kernel has the function that was asked
  /// for
  [[nodiscard]] bool skips(const gpu::Kernel& kernel, bool offered,
                           const gpu::Device& device) const;
};

void add_gpu_verify(CLI::App& gpu);
void add_gpu_bench(CLI::App& gpu);

}  // namespace lowbit::cli
