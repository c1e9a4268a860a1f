// SPDX-License-Identifier: MIT
// Why a comparison may differ from a capture: the only table of allowed causes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lowbit::detail {

/// What may differ in that configuration; empty where nothing may.
[[nodiscard]] std::string_view allowed_cause(std::string_view library,
                                             std::string_view configuration);

/// Of the blocks that differ, those whose only difference is the sign of a NaN scale byte. PyTorch
/// gives the default NaN of x86, which is negative, or that of its input.
[[nodiscard]] std::size_t nan_sign_only(std::span<const std::uint8_t> wanted_scales,
                                        std::span<const std::uint8_t> scales,
                                        std::span<const std::uint8_t> wanted_values,
                                        std::span<const std::uint8_t> values,
                                        const std::vector<bool>& differs);

}  // namespace lowbit::detail
