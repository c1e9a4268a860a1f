// SPDX-License-Identifier: MIT
#include "completion.hpp"

#include <fmt/format.h>

#include <string_view>

#include "lowbit/block_format.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/quantize.hpp"

namespace lowbit::cli {
namespace {

/// One case of the script for each subcommand: the words that may follow it.
void add_cases(const CLI::App& app, const std::string& path, std::string& script) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    words += sub->get_name() + " ";
    add_cases(*sub, path + " " + sub->get_name(), script);
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
    for (const std::string& name : option->get_snames()) words += "-" + name + " ";
  }
  script += fmt::format("    '{}') words='{}' ;;\n", path, words);
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

std::string dialect_words() {
  std::string words;
  for (const Dialect& dialect : dialects()) words += fmt::format("{} ", dialect.name);
  return words;
}

// bash's own function; zsh runs it through bashcompinit. A colon is a word break to bash, so the
// part before it is cut from the answers.
constexpr std::string_view body = R"(_lowbit() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} path=lowbit word words i
  if declare -F _get_comp_words_by_ref > /dev/null; then
    _get_comp_words_by_ref -n : cur prev
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${{COMP_WORDS[i]}}
    case "$path $word" in
{paths}    esac
  done
  case $prev in
    --format|--formats) words='{formats}' ;;
    --dialect) words='{dialects}' ;;
    *)
      case $path in
{cases}      esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ $cur != -* ]]; then
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
  if declare -F __ltrim_colon_completions > /dev/null; then
    __ltrim_colon_completions "$cur"
  fi
}}
complete -o filenames -F _lowbit lowbit
)";

/// A case for each subcommand that steps into it.
void add_paths(const CLI::App& app, const std::string& path, std::string& script) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string next = path + " " + sub->get_name();
    script += fmt::format("      '{}') path='{}' ;;\n", next, next);
    add_paths(*sub, next, script);
  }
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  std::string paths;
  std::string cases;
  add_paths(app, "lowbit", paths);
  add_cases(app, "lowbit", cases);
  const std::string script =
      fmt::format(fmt::runtime(body), fmt::arg("paths", paths), fmt::arg("cases", cases),
                  fmt::arg("formats", format_words()), fmt::arg("dialects", dialect_words()));
  return (shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "") + script;
}

}  // namespace lowbit::cli
