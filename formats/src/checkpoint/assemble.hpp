// SPDX-License-Identifier: MIT
// From the tensors that belong together to what they hold: format, shape, layout; or what is wrong.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "checkpoint/config.hpp"
#include "lowbit/checkpoint.hpp"

namespace lowbit::detail {

/// Names for messages and checks.
struct AssembleContext {
  const CheckpointConfig* config;
  std::vector<CheckpointFault>* faults;
  const std::map<std::string, std::string>* metadata;  ///< of the file with the codes
};

/// Fills format, shape, layout and tensor scales from the tensors that `tensor` points to.
/// \return whether it is complete; otherwise at least one fault was added.
[[nodiscard]] bool assemble(QuantizedTensor& tensor, const AssembleContext& context);

}  // namespace lowbit::detail
