// SPDX-License-Identifier: MIT
#include "file_arguments.hpp"

#include <fmt/format.h>

#include <utility>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::cli {
namespace {

namespace fs = std::filesystem;

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code failure;
  if (fs::equivalent(a, b, failure)) return true;
  const bool both_exist = fs::exists(a, failure) && fs::exists(b, failure);
  if (both_exist) return false;
  const auto place = [&](const fs::path& path) {
    return fs::weakly_canonical(fs::absolute(path, failure), failure);
  };
  return place(a) == place(b);
}

/// The files that reading `path` reads: itself, an index's shards, a folder's files.
std::vector<fs::path> files_read(const fs::path& path) {
  std::error_code failure;
  if (fs::is_directory(path, failure)) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(path, failure)) files.push_back(entry.path());
    return files;
  }
  if (path.extension() == ".json" || path.extension() == ".JSON") {
    try {
      return TensorFile::open(path).paths();
    } catch (const Error&) {
      // A schedule, a model, or a damaged index, which the subcommand itself will refuse.
    }
  }
  return {path};
}

}  // namespace

void refuse_same_file(const std::vector<NamedPath>& outputs, const std::vector<NamedPath>& inputs) {
  for (auto output = outputs.begin(); output != outputs.end(); ++output) {
    for (const NamedPath& input : inputs) {
      if (!same_file(output->path, input.path)) continue;
      throw Error(ErrorKind::usage,
                  fmt::format("{} {}: is the same file as the input {}; name another file to write",
                              output->option, printable(output->path.string()),
                              printable(input.path.string())));
    }
    for (auto other = outputs.begin(); other != output; ++other) {
      if (!same_file(output->path, other->path)) continue;
      throw Error(ErrorKind::usage,
                  fmt::format("{} {}: is the same file as {} {}; name another file to write",
                              output->option, printable(output->path.string()), other->option,
                              printable(other->path.string())));
    }
  }
}

FileArguments::FileArguments(CLI::App& command) : state_(std::make_shared<State>()) {
  command.parse_complete_callback([state = state_] { check(*state); });
}

CLI::Option* FileArguments::reads(CLI::Option* option) {
  state_->inputs.push_back(option);
  return option;
}

CLI::Option* FileArguments::writes(CLI::Option* option, std::vector<std::string> endings) {
  state_->outputs.push_back({option, std::move(endings)});
  return option;
}

void FileArguments::check(const State& state) {
  std::vector<NamedPath> outputs;
  for (const auto& [option, endings] : state.outputs) {
    for (const std::string& value : option->results()) {
      if (value.empty() || value == "-") continue;
      for (const std::string& ending : endings)
        outputs.push_back({option->get_name(), value + ending});
    }
  }
  if (outputs.empty()) return;
  std::vector<NamedPath> inputs;
  for (const CLI::Option* option : state.inputs) {
    for (const std::string& value : option->results()) {
      for (const fs::path& path : files_read(value)) inputs.push_back({option->get_name(), path});
    }
  }
  refuse_same_file(outputs, inputs);
}

}  // namespace lowbit::cli
