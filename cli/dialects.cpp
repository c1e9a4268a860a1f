// SPDX-License-Identifier: MIT
// lowbit dialects: whose arithmetic is known, how surely, and on which axes it stands.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "lowbit/capture.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/dialect_formats.hpp"
#include "lowbit/names.hpp"

namespace lowbit::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::string name;
  bool json = false;
};

ordered_json captures_of(const Dialect& dialect) {
  ordered_json out = ordered_json::array();
  const auto add = [&](const CaptureConfiguration& c, std::string_view suffix) {
    out.push_back({{"file", c.file},
                   {"configuration", fmt::format("{}{}", c.configuration, suffix)},
                   {"format", c.format},
                   {"rule", name_of(c.rule)}});
  };
  for (const CaptureConfiguration& c : capture_configurations()) {
    if (c.dialect == dialect.name) add(c, "");
    if (c.cuda_dialect == dialect.name) add(c, "@cuda");
  }
  return out;
}

std::vector<std::string_view> formats_of(const Dialect& dialect) {
  std::vector<std::string_view> names;
  for (const BlockFormat& f : block_formats()) {
    if (has_format(dialect, f)) names.push_back(f.name);
  }
  return names;
}

ordered_json rules_by_format(const Dialect& dialect) {
  ordered_json all = ordered_json::object();
  for (const BlockFormat& f : block_formats()) {
    for (const ScaleRule rule : rules_of(dialect, f))
      all[std::string(f.name)].push_back(name_of(rule));
  }
  return all;
}

ordered_json to_json(const Dialect& d) {
  ordered_json axes = ordered_json::object();
  for (const DialectAxis& axis : dialect_axes())
    axes[std::string(axis.name)] = axis.value_of(d).name;
  return {{"name", d.name},
          {"alias", d.alias},
          {"summary", d.summary},
          {"library", d.library},
          {"versions", d.versions},
          {"source", d.source},
          {"status", name_of(d.status)},
          {"formats", formats_of(d)},
          {"rules", rules_by_format(d)},
          {"axes", axes},
          {"captures", captures_of(d)}};
}

void show(const Dialect& d) {
  fmt::print("{}{}: {}\n", d.name, d.alias.empty() ? "" : fmt::format(" ({})", d.alias), d.summary);
  fmt::print("library {}, versions {}\nsource {}\nstatus {}\nformats {}\n\n", d.library, d.versions,
             d.source, name_of(d.status),
             d.formats.empty() ? fmt::format("{}", fmt::join(formats_of(d), " "))
                               : std::string(d.formats));
  const Dialect& reference = *find_dialect("canonical");
  fmt::print("{:<20}{:<32}{}\n", "axis", "value", "meaning (* not canonical's)");
  for (const DialectAxis& axis : dialect_axes()) {
    const bool differs = axis.get(d) != axis.get(reference);
    fmt::print("{:<20}{:<32}{}{}\n", axis.name, axis.value_of(d).name, differs ? "* " : "  ",
               axis.value_of(d).meaning);
  }
  const ordered_json captures = captures_of(d);
  if (captures.empty()) return;
  fmt::print("\ncaptures\n");
  for (const ordered_json& c : captures) {
    fmt::print("  {} {}\n", c["file"].get<std::string>(), c["configuration"].get<std::string>());
  }
}

void list() {
  const auto full_name = [](const Dialect& d) {
    return d.alias.empty() ? std::string(d.name) : fmt::format("{} ({})", d.name, d.alias);
  };
  std::size_t name = 0;
  std::size_t versions = 0;
  for (const Dialect& d : dialects()) {
    name = std::max(name, full_name(d).size());
    versions = std::max(versions, d.versions.size());
  }
  const auto line = [&](std::string_view first, std::string_view status, std::string_view third,
                        std::string_view summary) {
    fmt::print("{:<{}}  {:<11}  {:<{}}  {}\n", first, name, status, third, versions, summary);
  };
  line("dialect", "status", "versions", "summary");
  for (const Dialect& d : dialects()) line(full_name(d), name_of(d.status), d.versions, d.summary);
  fmt::print(
      "\n`lowbit dialects NAME` shows the axes of one; --dialect NAME+axis=value changes one.\n");
}

void run(const Options& options) {
  if (options.json) {
    ordered_json all = ordered_json::array();
    if (options.name.empty()) {
      for (const Dialect& d : dialects()) all.push_back(to_json(d));
    } else {
      all.push_back(to_json(dialect_named(options.name)));
    }
    fmt::print("{}\n", all.dump(2));
    return;
  }
  if (options.name.empty()) return list();
  show(dialect_named(options.name));
}

}  // namespace

void add_dialects(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "dialects", "Whose arithmetic is known: library, versions, status and axes");
  command->add_option("name", options->name, "One dialect, with its axes and captures")
      ->type_name("NAME");
  command->add_flag(
      "--json", options->json,
      "A list of {name, library, versions, source, status, formats, rules, axes, captures}");
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
