// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace lowbit::cli {

/// A script for bash or zsh that completes subcommands, options, and the names of formats, rules
/// and dialects.
[[nodiscard]] std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace lowbit::cli
