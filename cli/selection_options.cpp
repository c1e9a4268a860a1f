// SPDX-License-Identifier: MIT
#include "selection_options.hpp"

#include <fmt/format.h>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::cli {

void SelectionOptions::add_to(CLI::App& command) {
  command
      .add_option("--include", include_,
                  "Only tensors whose name has a match of this regular expression, whatever they "
                  "are (repeatable)")
      ->type_name("RE")
      ->allow_extra_args(false);
  command.add_option("--exclude", exclude_, "No tensors whose name has a match (repeatable)")
      ->type_name("RE")
      ->allow_extra_args(false);
  command.add_flag("--all", all_, "Every float tensor, not only weights");
  command
      .add_option("--weight-layout", layout_,
                  "What the dimensions mean: auto, last, oi, io, oihw, ohwi or hwio")
      ->type_name("LAYOUT")
      ->capture_default_str();
  command.add_option("--axis", axis_,
                     "Along which one dimension blocks run (-1: the last), instead of a layout");
}

SelectionRules SelectionOptions::rules() const {
  const std::optional<WeightLayout> layout = find_weight_layout(layout_);
  if (!layout) {
    std::string known;
    for (const WeightLayout l : weight_layouts()) {
      known += fmt::format("{}{}", known.empty() ? "" : ", ", name_of(l));
    }
    throw Error(ErrorKind::usage,
                fmt::format("--weight-layout {}: not one of {}", printable(layout_), known));
  }
  return {NamePatterns(include_, exclude_), all_, *layout, axis_};
}

std::vector<std::string> expanded_paths(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    for (const std::filesystem::path& file : model_files(path)) files.push_back(file.string());
  }
  return files;
}

}  // namespace lowbit::cli
