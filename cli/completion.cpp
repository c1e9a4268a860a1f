// SPDX-License-Identifier: MIT
#include "completion.hpp"

#include <fmt/format.h>

#include <string_view>

#include "lowbit/block_format.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit::cli {
namespace {

constexpr auto every = [](const CLI::App*) { return true; };

/// One case of the script for each subcommand: the words that may follow it. Files may follow where
/// no subcommand has to.
void add_cases(const CLI::App& root, const CLI::App& app, const std::string& at,
               std::string& script) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands(every)) {
    words += sub->get_name() + " ";
    add_cases(root, *sub, at + " " + sub->get_name(), script);
  }
  bool files = words.empty();
  if (at == "lowbit help") {
    for (const CLI::App* sub : root.get_subcommands(every)) words += sub->get_name() + " ";
    files = false;
  } else if (at == "lowbit completion") {
    words += "bash zsh ";
    files = false;
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
    for (const std::string& name : option->get_snames()) words += "-" + name + " ";
  }
  script += fmt::format("    '{}') answers='{}' files={} ;;\n", at, words, files ? "1" : "");
}

/// The options that ask for a format: "--format|--a-format|--b-format".
void add_format_options(const CLI::App& app, std::string& options) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_type_name().starts_with("F[:RULE]")) continue;
    for (const std::string& name : option->get_lnames()) {
      const std::string word = "--" + name;
      if (("|" + options + "|").find("|" + word + "|") != std::string::npos) continue;
      options += (options.empty() ? "" : "|") + word;
    }
  }
  for (const CLI::App* sub : app.get_subcommands(every)) add_format_options(*sub, options);
}

/// F and F:RULE of every format.
std::string format_words() {
  std::string words;
  for (const BlockFormat& format : block_formats()) {
    words += fmt::format("{} ", format.name);
    for (const ScaleRule rule : scale_rules()) {
      if (is_valid_rule(format, rule)) words += fmt::format("{}:{} ", format.name, name_of(rule));
    }
  }
  return words;
}

std::string rule_words() {
  std::string words;
  for (const ScaleRule rule : scale_rules()) words += fmt::format("{} ", name_of(rule));
  return words;
}

std::string dialect_words() {
  std::string words;
  for (const Dialect& dialect : dialects()) words += fmt::format("{} ", dialect.name);
  return words;
}

// bash's own function; zsh runs it through bashcompinit. A colon is a word break to bash, so the
// part before it is cut from the answers. In zsh `path` and `words` are variables of its own, and
// `declare -F` makes a number.
constexpr std::string_view body = R"(_lowbit() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} at=lowbit word answers= files= i
  if [[ -n ${{BASH_VERSION-}} ]] && declare -F _get_comp_words_by_ref > /dev/null; then
    _get_comp_words_by_ref -n : cur prev
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${{COMP_WORDS[i]}}
    case "$at $word" in
{steps}    esac
  done
  case $prev in
    {format_options}) answers='{formats}' ;;
    --dialect) answers='{dialects}' ;;
    --rule) answers='{rules}' ;;
    *)
      case $at in
{cases}      esac ;;
  esac
  COMPREPLY=($(compgen -W "$answers" -- "$cur"))
  if [[ -n $files && $cur != -* ]]; then
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
  if [[ -n ${{BASH_VERSION-}} ]] && declare -F __ltrim_colon_completions > /dev/null; then
    __ltrim_colon_completions "$cur"
  fi
}}
complete -o filenames -F _lowbit lowbit
)";

/// A case for each subcommand that steps into it; after `help` the words are those of the path that
/// follows.
void add_steps(const CLI::App& app, const std::string& at, std::string& script) {
  for (const CLI::App* sub : app.get_subcommands(every)) {
    const std::string next = at + " " + sub->get_name();
    script += fmt::format("      '{}') at='{}' ;;\n", next, next);
    if (at == "lowbit" && !sub->get_subcommands(every).empty()) {
      script += fmt::format("      'lowbit help {}') at='{}' ;;\n", sub->get_name(), next);
    }
    add_steps(*sub, next, script);
  }
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  std::string steps;
  std::string cases;
  std::string format_options;
  add_steps(app, "lowbit", steps);
  add_cases(app, app, "lowbit", cases);
  add_format_options(app, format_options);
  const std::string script =
      fmt::format(fmt::runtime(body), fmt::arg("steps", steps), fmt::arg("cases", cases),
                  fmt::arg("format_options", format_options), fmt::arg("formats", format_words()),
                  fmt::arg("dialects", dialect_words()), fmt::arg("rules", rule_words()));
  return (shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "") + script;
}

}  // namespace lowbit::cli
