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

std::vector<std::string> padding_warnings(const Selection& selection, int block_size) {
  constexpr double notable = 0.05;
  constexpr std::size_t most = 3;
  std::vector<std::string> warnings;
  std::size_t padded = 0;
  for (const SelectedTensor& entry : selection.taken) {
    const double share = padding_share(entry.view, block_size);
    if (share <= notable) continue;
    if (++padded >= most) continue;
    warnings.push_back(
        fmt::format("{}: rows of {} fill blocks of {} with padding: {:.0f} % more bits",
                    printable(entry.tensor->name), entry.view.length, block_size, 100.0 * share));
  }
  if (padded >= most) {
    warnings.push_back(fmt::format("{} more tensors are padded by over 5 %", padded - most + 1));
  }
  return warnings;
}

void refuse_quantized(const TensorFile& file, const std::string& path,
                      const SelectionRules& rules) {
  if (rules.all || rules.names.names_tensors()) return;
  const std::string_view convention = quantized_convention(file.tensors());
  if (convention.empty()) return;
  throw Error(ErrorKind::usage,
              fmt::format("{}: its weights are quantized already ({}), and its scales are no "
                          "weights; `lowbit eval --reference ORIGINAL` scores them against the "
                          "original; or give the original model, or name tensors with --include",
                          printable(path), convention));
}

}  // namespace lowbit::cli
