// SPDX-License-Identifier: MIT
// The engine that serves every request whose rule does not search: one block at a time.
#include "quantize/block_loops.hpp"

namespace lowbit::detail {

const Engine& scalar_engine(const BlockFormat& format) {
  if (format.has_levels()) return levels_engine(format);
  return loops::engine_of<BlockEngine>(format);
}

}  // namespace lowbit::detail
