// SPDX-License-Identifier: MIT
#include "installed_files.hpp"

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
