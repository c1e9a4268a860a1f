// SPDX-License-Identifier: MIT
#include "faults.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "lowbit/error.hpp"

namespace lowbit::cli {

bool print_faults(const Checkpoint& checkpoint) {
  for (const CheckpointFault& fault : checkpoint.faults()) {
    fmt::print(stderr, "lowbit: {}\n", fault.line());
  }
  return !checkpoint.faults().empty();
}

void refuse_faults(const Checkpoint& checkpoint) {
  if (print_faults(checkpoint)) {
    throw CLI::RuntimeError(static_cast<int>(ErrorKind::invalid_input));
  }
}

}  // namespace lowbit::cli
