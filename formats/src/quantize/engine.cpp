// SPDX-License-Identifier: MIT
#include "quantize/engine.hpp"

namespace lowbit::detail {

const Engine& engine_for(const TensorConstants& constants) {
  return scalar_engine(*constants.format);
}

}  // namespace lowbit::detail
