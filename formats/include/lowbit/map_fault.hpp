// SPDX-License-Identifier: MIT
/// \file
/// What a program can say when a file that it reads became shorter: a read of a mapped page that is
/// not there any more raises SIGBUS.
#pragma once

#include <cstddef>
#include <span>

namespace lowbit {

/// The line that names the file and the byte at an address that raised SIGBUS, without "lowbit: "
/// and a line end. For a handler of that signal: async-signal-safe. The library installs no handler
/// itself.
/// \param address  si_addr of the signal
/// \param out  where the line goes, cut off where it is longer
/// \return its length; 0 where no open TensorFile has the address, so the fault is another one.
[[nodiscard]] std::size_t map_fault_text(const void* address, std::span<char> out) noexcept;

}  // namespace lowbit
