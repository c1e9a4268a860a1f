// SPDX-License-Identifier: MIT
// Which options of a subcommand name files that it reads or writes, so that no output replaces an
// input.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace lowbit::cli {

/// A file and the option that names it ("--csv"), for messages.
struct NamedPath {
  std::string option;
  std::filesystem::path path;
};

/// Refuses outputs that are one of the inputs, or one another: by device and inode, so a symbolic
/// or hard link does not hide it. Outputs that do not exist yet are compared by their absolute
/// paths. \throws Error(usage) that names both.
void refuse_same_file(const std::vector<NamedPath>& outputs, const std::vector<NamedPath>& inputs);

/// Each subcommand declares its files here while it adds its options. They are checked when its
/// arguments have been parsed, before its callback: nothing has been opened for writing then.
class FileArguments {
 public:
  explicit FileArguments(CLI::App& command);

  /// The option names a file to read; of an *.index.json its shards are read too. A folder stands
  /// for the files in it.
  CLI::Option* reads(CLI::Option* option);
  /// The option names a file to write. "-" is standard output.
  /// \param endings  what is appended to the option's value, one file each
  CLI::Option* writes(CLI::Option* option, std::vector<std::string> endings = {""});

 private:
  struct Declared {
    CLI::Option* option;
    std::vector<std::string> endings;
  };
  struct State {
    std::vector<CLI::Option*> inputs;
    std::vector<Declared> outputs;
  };
  static void check(const State& state);

  std::shared_ptr<State>
      state_;  ///< shared with the command's callback, which outlives this object
};

}  // namespace lowbit::cli
