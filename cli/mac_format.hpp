// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "lowbit/block_format.hpp"

namespace lowbit::cli {

/// What a MAC unit multiplies: a block format, or a plain one of the baselines.
/// \param option  that asks for it, for the message. \throws Error(usage) with the nearest names
[[nodiscard]] const BlockFormat& mac_format_named(const std::string& option,
                                                  const std::string& name);

}  // namespace lowbit::cli
