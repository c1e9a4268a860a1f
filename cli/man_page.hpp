// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace lowbit::cli {

/// The man page of a subcommand, or of the command, in man(7) macros. \param name  as it is called,
/// with those above it: "lowbit mac run"
[[nodiscard]] std::string man_page(const CLI::App& app, const std::string& name);

}  // namespace lowbit::cli
