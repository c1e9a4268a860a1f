// SPDX-License-Identifier: MIT
// What the command says about itself, all of it read from the parser: help, version, completion,
// man pages, and the names nearest to one that is not there.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace lowbit::cli {

/// `lowbit help [SUBCOMMAND...]`, `lowbit version` and `lowbit completion SHELL`.
void add_help(CLI::App& app);

/// One line for what the parser refuses: the nearest subcommands or options of a word that it does
/// not know, else its own text; empty where it only asks for help.
/// \param error  what the parser said
[[nodiscard]] std::string parse_error_text(const CLI::App& app, const CLI::ParseError& error,
                                           int argc, const char* const* argv);

}  // namespace lowbit::cli
