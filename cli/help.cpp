// SPDX-License-Identifier: MIT
#include "help.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "completion.hpp"
#include "lowbit/error.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/version.hpp"
#include "man_page.hpp"

namespace lowbit::cli {
namespace {

std::vector<std::string> subcommand_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  return names;
}

/// The subcommand of that name, or null.
const CLI::App* subcommand(const CLI::App& app, const std::string& name) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::string nearest_text(std::string_view word, const std::vector<std::string>& names) {
  const std::vector<std::string_view> views(names.begin(), names.end());
  return fmt::format("{}", fmt::join(nearest_names(word, views), ", "));
}

[[noreturn]] void no_subcommand(const CLI::App& parent, const std::string& word) {
  throw Error(ErrorKind::usage,
              fmt::format("{} has no subcommand '{:.60}'; nearest: {}", parent.get_name(),
                          printable(word), nearest_text(word, subcommand_names(parent))));
}

/// The subcommand of that path, and its name with those above it.
const CLI::App& find(const CLI::App& app, const std::vector<std::string>& path, std::string& name) {
  const CLI::App* at = &app;
  name = app.get_name();
  for (const std::string& word : path) {
    const CLI::App* next = subcommand(*at, word);
    if (next == nullptr) no_subcommand(*at, word);
    at = next;
    name += " " + next->get_name();
  }
  return *at;
}

/// App::help() of the command itself would print that of `help`, the subcommand that was parsed.
std::string help_text(const CLI::App& app, const std::string& name) {
  return app.get_formatter()->make_help(&app, name, CLI::AppFormatMode::Normal);
}

}  // namespace

void add_help(CLI::App& app) {
  struct Options {
    std::vector<std::string> path;
    std::string shell;
    bool man = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* help = app.add_subcommand("help", "Help of a subcommand, as `lowbit help mac run`");
  help->add_option("SUBCOMMAND", options->path, "Its name; that of a subcommand of it may follow");
  help->add_flag("--man", options->man, "As the source of a man page");
  help->callback([&app, options] {
    std::string name;
    const CLI::App& which = find(app, options->path, name);
    fmt::print("{}", options->man ? man_page(which, name) : help_text(which, name));
  });
  app.add_subcommand("version", "Prints the version")->callback([] {
    fmt::print("{}\n", LOWBIT_VERSION);
  });
  CLI::App* completion = app.add_subcommand(
      "completion", "A script that completes lowbit's words: source <(lowbit completion bash)");
  completion->add_option("SHELL", options->shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  completion->callback(
      [&app, options] { fmt::print("{}", completion_script(app, options->shell)); });
}

std::string parse_error_text(const CLI::App& app, const CLI::ParseError& error, int argc,
                             const char* const* argv) {
  // The deepest subcommand that the words name, and the first word that it does not know. CLI11
  // itself complains of a missing option first, and prints the help after it.
  const CLI::App* at = &app;
  std::string name = app.get_name();
  const bool extras = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (const CLI::App* next = subcommand(*at, word)) {
      at = next;
      name += " " + word;
    } else if (at == &app && !word.starts_with('-')) {
      return fmt::format("no subcommand '{:.60}'; nearest: {}; `lowbit --help` lists all",
                         printable(word), nearest_text(word, subcommand_names(app)));
    } else if (word.starts_with("--") && word != "--") {
      const std::string option = word.substr(0, word.find('='));
      const std::vector<std::string> known = option_names(*at);
      if (std::find(known.begin(), known.end(), option) == known.end()) {
        return fmt::format("{}: no option '{:.60}'; nearest: {}", name, printable(option),
                           nearest_text(option, known));
      }
    } else if ((extras || at->get_require_subcommand_min() > 0) && !word.starts_with('-') &&
               !subcommand_names(*at).empty()) {
      return fmt::format("{}: no subcommand '{:.60}'; nearest: {}", name, printable(word),
                         nearest_text(word, subcommand_names(*at)));
    }
  }
  if (error.get_exit_code() == 0) return {};  // --help
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (at != &app) text = name + ": " + text;
  return fmt::format("{}; `{} --help` says how", text, name);
}

}  // namespace lowbit::cli
