// SPDX-License-Identifier: MIT
// Faults of checkpoints on standard error, one line each.
#pragma once

#include "lowbit/checkpoint.hpp"

namespace lowbit::cli {

/// \return whether there are any.
bool print_faults(const Checkpoint& checkpoint);
/// Prints them and ends the command with exit code 3, where there are any.
void refuse_faults(const Checkpoint& checkpoint);

}  // namespace lowbit::cli
