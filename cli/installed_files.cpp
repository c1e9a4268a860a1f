// SPDX-License-Identifier: MIT
#include "installed_files.hpp"

#include <cstdlib>
#include <fstream>
#include <string>

#include "lowbit/error.hpp"

namespace lowbit::cli {
namespace fs = std::filesystem;

fs::path command_folder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    throw Error(ErrorKind::unavailable,
                "/proc/self/exe: cannot be read; mount /proc, so that the command finds its files");
  }
  return self.parent_path();
}

fs::path cache_folder(const std::string& chosen) {
  if (!chosen.empty()) return chosen;
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != 0)
    return fs::path(xdg) / "lowbit";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != 0)
    return fs::path(home) / ".cache" / "lowbit";
  return fs::temp_directory_path() / "lowbit-cache";
}

fs::path installed_files() {
  const fs::path folder = command_folder();
  const fs::path shared = (folder.parent_path() / "share" / "lowbit").lexically_normal();
  // The build writes the path of the sources into this file; it is not installed.
  std::string sources;
  std::getline(std::ifstream(folder / "lowbit_sources.txt"), sources);
  for (const fs::path& candidate : {shared, fs::path(sources)}) {
    if (!candidate.empty() && fs::exists(candidate / "scripts" / "synth" / "report.py"))
      return candidate;
  }
  throw Error(
      ErrorKind::unavailable,
      shared.string() +
          ": not found; install the command with `cmake --install`, or run it in its build folder");
}

}  // namespace lowbit::cli
