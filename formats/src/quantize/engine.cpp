// SPDX-License-Identifier: MIT
#include "quantize/engine.hpp"

namespace lowbit::detail {

const Engine& engine_for(const TensorConstants& constants) {
  if (searches(constants.rule)) return search_engine(*constants.format);
  return scalar_engine(*constants.format);
}

}  // namespace lowbit::detail
