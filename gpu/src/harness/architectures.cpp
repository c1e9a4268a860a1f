// SPDX-License-Identifier: MIT
#include "harness/architectures.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include "lowbit/error.hpp"

namespace lowbit::gpu::detail {

int capability_of(std::string_view architecture) {
  int number = 0;
  if (architecture.starts_with("sm_")) {
    std::from_chars(architecture.data() + 3, architecture.data() + architecture.size(), number);
  }
  if (number == 0)
    throw Error(ErrorKind::internal,
                std::string(architecture) + ": not an architecture such as sm_90a");
  return number;
}

void set_architectures(KernelInfo& info, std::string_view built) {
  while (!built.empty()) {
    const std::size_t end = std::min(built.find(';'), built.size());
    const std::string_view one = built.substr(0, end);
    built.remove_prefix(std::min(end + 1, built.size()));
    if (one.empty()) continue;
    info.architectures.emplace_back(one);
    info.compute_capabilities.push_back(capability_of(one));
  }
}

}  // namespace lowbit::gpu::detail
