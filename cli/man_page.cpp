// SPDX-License-Identifier: MIT
#include "man_page.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lowbit/version.hpp"

namespace lowbit::cli {
namespace {

/// Text for roff: no backslash, hyphen or leading dot means anything else.
std::string roff(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_begins = c == '\n';
  }
  return out;
}

}  // namespace

std::string man_page(const CLI::App& app, const std::string& name) {
  std::string title = name;
  std::replace(title.begin(), title.end(), ' ', '-');
  std::string page = fmt::format(".TH {} 1 \"\" \"lowbit {}\"\n.SH NAME\n{} \\- {}\n", title,
                                 LOWBIT_VERSION, roff(title), roff(app.get_description()));
  const auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  page += fmt::format(".SH SYNOPSIS\n.B {}\n[options]", roff(name));
  for (const CLI::Option* option :
       app.get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    const std::string label = "\\fI" + roff(option->get_name(true)) + "\\fR";
    page += option->get_required() ? " " + label : " [" + label + "]";
  }
  page += subcommands.empty() ? "\n" : " \\fISUBCOMMAND\\fR\n";
  page += ".SH OPTIONS\n";
  for (const CLI::Option* option : app.get_options()) {
    const std::string label =
        option->get_positional() ? option->get_name(true) : option->get_name(false, true);
    const std::string type =
        option->get_type_size() == 0 || option->get_positional() ? "" : option->get_type_name();
    page += fmt::format(".TP\n\\fB{}\\fR{}\n{}", roff(label),
                        type.empty() ? "" : " \\fI" + roff(type) + "\\fR",
                        roff(option->get_description()));
    if (!option->get_default_str().empty())
      page += fmt::format(" (default {})", roff(option->get_default_str()));
    page += "\n";
  }
  if (!subcommands.empty()) {
    page += ".SH SUBCOMMANDS\n";
    for (const CLI::App* sub : subcommands) {
      page +=
          fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff(sub->get_name()), roff(sub->get_description()));
    }
  }
  if (!app.get_footer().empty())
    page += fmt::format(".SH NOTES\n.nf\n{}\n.fi\n", roff(app.get_footer()));
  return page;
}

}  // namespace lowbit::cli
