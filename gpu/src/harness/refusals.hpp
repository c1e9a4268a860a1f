// SPDX-License-Identifier: MIT
// Why a device cannot run a kernel, in one line; empty where it can. These functions do not query
// the device themselves, so that each can be tested.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "lowbit/gpu/device.hpp"

namespace lowbit::gpu::detail {

/// driver: the CUDA version that the driver serves, runtime: what the build needs, both as CUDA
/// numbers them (13000). Minor versions of one major version run on each other's drivers.
[[nodiscard]] std::string driver_refusal(int driver, int runtime);
/// capabilities: major * 10 + minor of what the kernel runs on.
[[nodiscard]] std::string architecture_refusal(const Device& device,
                                               std::span<const int> capabilities,
                                               const std::string& kernel);
/// bytes: wanted; 256 MiB more must be free.
[[nodiscard]] std::string memory_refusal(std::size_t bytes, std::size_t free_bytes,
                                         const std::string& what);

}  // namespace lowbit::gpu::detail
