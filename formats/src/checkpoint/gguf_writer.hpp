// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <span>

#include "lowbit/tensor_file.hpp"

namespace lowbit::detail {

/// Writes a GGUF file of version 3, whole or not at all; tensors in their order, each at a multiple
/// of 32 bytes. \throws Error(usage) for a dtype that GGUF has not, and for tensors of more than 4
/// dimensions.
void write_gguf(const std::filesystem::path& path, std::span<const OutputTensor> tensors);

}  // namespace lowbit::detail
