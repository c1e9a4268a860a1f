// SPDX-License-Identifier: MIT
// Where the files lie that the command reads or runs: beside the installed command, or in the
// sources of a build.
#pragma once

#include <filesystem>
#include <string>

namespace lowbit::cli {

/// The folder of this executable.
[[nodiscard]] std::filesystem::path command_folder();

/// The folder that holds scripts/synth, mac_rtl, sim/models and the sample in tests/data:
/// PREFIX/share/lowbit for PREFIX/bin/lowbit, or for a command in its build folder the sources,
/// which a file beside it names. Throws Error(unavailable) where neither is there.
[[nodiscard]] std::filesystem::path installed_files();

/// Where finished results are kept: `chosen`, else $XDG_CACHE_HOME/lowbit, ~/.cache/lowbit, or a
/// folder for temporary files.
[[nodiscard]] std::filesystem::path cache_folder(const std::string& chosen);

}  // namespace lowbit::cli
