// SPDX-License-Identifier: MIT
// Verifications as JSON, for one tensor and for checkpoints.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "lowbit/verify_quantize.hpp"

namespace lowbit::detail {

/// {"equal", "tensors": [...]}, docs/verify_quantize.md.
[[nodiscard]] nlohmann::ordered_json json_of(std::span<const Verification> verifications);
/// With a line feed at the end; what is not UTF-8 in names is replaced.
[[nodiscard]] std::string text_of(const nlohmann::ordered_json& json);

}  // namespace lowbit::detail
