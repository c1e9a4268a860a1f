// SPDX-License-Identifier: MIT
#include "quantize/engine.hpp"

#include "quantize/vector/vector_engine.hpp"

namespace lowbit::detail {

const Engine& engine_for(const TensorConstants& constants) {
  if (constants.format->has_levels()) return levels_engine(*constants.format);
  if (searches(constants.rule)) return search_engine(*constants.format);
  const Engine* const vector = vector_engine(constants);
  return vector != nullptr ? *vector : scalar_engine(*constants.format);
}

}  // namespace lowbit::detail
