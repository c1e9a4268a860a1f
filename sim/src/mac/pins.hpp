// SPDX-License-Identifier: MIT
// Port values of Verilated units: integers up to 64 bits, arrays of 32-bit words above.
#pragma once

#include <cstdint>

#include "lowbit/sim/mac_stream.hpp"

namespace lowbit::sim {

template <typename Port>
void drive(Port& port, const std::uint64_t* words) {
  if constexpr (requires { port.m_storage; }) {
    for (std::size_t i = 0; i < sizeof(port.m_storage) / 4; ++i) {
      port.m_storage[i] = static_cast<std::uint32_t>(words[i / 2] >> (32 * (i % 2)));
    }
  } else {
    port = static_cast<Port>(*words);
  }
}

/// A two's complement word of 32-bit pieces, of `bits` bits.
template <typename Words>
Int128 signed_word(const Words& words, int count, int bits) {
  UInt128 value = 0;
  for (int i = 0; i < count; ++i) value |= static_cast<UInt128>(words[i]) << (32 * i);
  return static_cast<Int128>(value << (128 - bits)) >> (128 - bits);
}

}  // namespace lowbit::sim
