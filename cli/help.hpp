// SPDX-License-Identifier: MIT
// What the command says about itself, all of it read from the parser: help, version, completion,
// man pages, and the names nearest to one that is not there.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace lowbit::cli {

/// `lowbit help [SUBCOMMAND...]`, `lowbit version` and `lowbit completion SHELL`.
void add_help(CLI::App& app);

/// One line for a word that the parser does not know: the nearest subcommands or options.
/// \param error  what the parser said; its own text where that is no unknown word
[[nodiscard]] std::string parse_error_text(const CLI::App& app, const CLI::ParseError& error,
                                           int argc, const char* const* argv);

}  // namespace lowbit::cli
