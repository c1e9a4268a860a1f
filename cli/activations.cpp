// SPDX-License-Identifier: MIT
#include "activations.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::cli {
namespace {

std::map<std::string, std::string> read_map(const std::string& path) {
  if (path.empty()) return {};
  std::ifstream in(path);
  const auto refuse = [&](const std::string& what) {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: {}; give a JSON object of weight and input names", printable(path), what));
  };
  if (!in) refuse("cannot be read");
  std::map<std::string, std::string> map;
  try {
    const nlohmann::json json = nlohmann::json::parse(in);
    for (const auto& [weight, input] : json.items()) map[weight] = input.get<std::string>();
  } catch (const nlohmann::json::exception&) {
    refuse("is not a map of strings");
  }
  return map;
}

}  // namespace

RecordedInputs::RecordedInputs(const std::string& path, const std::string& map, std::string ending)
    : path_(path), file_(TensorFile::open(path)), map_(read_map(map)), ending_(std::move(ending)) {}

RecordedInput RecordedInputs::checked(const TensorInfo& tensor, const std::string& weight,
                                      std::size_t columns) const {
  if (!tensor.dtype->is_float() || tensor.elements() == 0 || tensor.columns() != columns) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: tensor \"{}\", {} of {} columns, cannot be the input of \"{}\", "
                            "which has {} inputs; record it again or change the map",
                            printable(path_), printable(tensor.name), tensor.dtype->name,
                            tensor.columns(), printable(weight), columns));
  }
  return {&tensor, tensor.rows()};
}

std::optional<RecordedInput> RecordedInputs::find(const std::string& weight,
                                                  std::size_t columns) const {
  constexpr std::string_view ending = ".weight";
  if (const auto entry = map_.find(weight); entry != map_.end()) {
    return checked(file_.at(entry->second), weight, columns);
  }
  const std::string stem =
      weight.ends_with(ending) ? weight.substr(0, weight.size() - ending.size()) : weight;
  for (const std::string& name :
       {stem + ending_, weight + ending_, stem + ".input", weight + ".input"}) {
    if (const TensorInfo* tensor = file_.find(name)) return checked(*tensor, weight, columns);
  }
  const TensorInfo* only = nullptr;
  for (const TensorInfo& tensor : file_.tensors()) {
    if (!tensor.dtype->is_float() || tensor.elements() == 0 || tensor.name == weight) continue;
    if (tensor.columns() != columns) continue;
    if (only != nullptr) return std::nullopt;
    only = &tensor;
  }
  if (only == nullptr) return std::nullopt;
  return checked(*only, weight, columns);
}

std::vector<float> column_importance(const RecordedInputs& inputs, const std::string& weight,
                                     std::size_t columns) {
  const std::optional<RecordedInput> found = inputs.find(weight, columns);
  if (!found) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no importance of \"{}\"; name it NAME.importance",
                            printable(inputs.path()), printable(weight)));
  }
  const std::vector<float> x =
      read_matrix(*found->tensor, {found->tokens, columns, 1}, NonFinite::error);
  if (found->tokens == 1 && !found->tensor->name.ends_with(".input")) return x;
  std::vector<double> moments(columns);
  for (std::size_t i = 0; i < x.size(); ++i) moments[i % columns] += double{x[i]} * x[i];
  std::vector<float> out(columns);
  for (std::size_t k = 0; k < columns; ++k) {
    out[k] = static_cast<float>(moments[k] / static_cast<double>(found->tokens));
  }
  return out;
}

}  // namespace lowbit::cli
