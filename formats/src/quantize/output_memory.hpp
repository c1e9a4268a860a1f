// SPDX-License-Identifier: MIT
// Memory for a tensor's codes and scale bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lowbit::detail {

/// Makes `bytes` that long. What they hold afterwards is not defined: the caller writes every byte.
/// Memory that is large enough is kept, so that its pages need not be made again. Of new memory the
/// system is asked for the pages in advance, by several threads: it would else make them one after
/// another, when a byte of each is first written.
void resize_output(std::vector<std::uint8_t>& bytes, std::size_t count, unsigned threads);

}  // namespace lowbit::detail
