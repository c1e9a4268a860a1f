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

namespace {

/// The names that a layer's recording may have.
std::vector<std::string> recorded_names(const std::string& weight,
                                        std::initializer_list<std::string_view> endings) {
  constexpr std::string_view ending = ".weight";
  const std::string stem =
      weight.ends_with(ending) ? weight.substr(0, weight.size() - ending.size()) : weight;
  std::vector<std::string> names;
  for (const std::string_view each : endings) {
    names.push_back(fmt::format("{}{}", stem, each));
    names.push_back(fmt::format("{}{}", weight, each));
  }
  return names;
}

/// The file's only float tensor of that many columns that is not the weight itself, or null.
const TensorInfo* only_of_columns(const TensorFile& file, const std::string& weight,
                                  std::size_t columns) {
  const TensorInfo* only = nullptr;
  for (const TensorInfo& tensor : file.tensors()) {
    if (!tensor.dtype->is_float() || tensor.elements() == 0 || tensor.name == weight) continue;
    if (tensor.columns() != columns) continue;
    if (only != nullptr) return nullptr;
    only = &tensor;
  }
  return only;
}

}  // namespace

std::optional<RecordedInput> RecordedInputs::find(const std::string& weight,
                                                  std::size_t columns) const {
  if (const auto entry = map_.find(weight); entry != map_.end()) {
    return checked(file_.at(entry->second), weight, columns);
  }
  for (const std::string& name : recorded_names(weight, {ending_, ".input"})) {
    if (const TensorInfo* tensor = file_.find(name)) return checked(*tensor, weight, columns);
  }
  const TensorInfo* const only = only_of_columns(file_, weight, columns);
  return only == nullptr ? std::nullopt : std::optional(checked(*only, weight, columns));
}

RecordedOutputs::RecordedOutputs(const std::string& path)
    : path_(path), file_(TensorFile::open(path)) {}

std::vector<float> RecordedOutputs::find(const std::string& weight, std::size_t tokens,
                                         std::size_t outputs) const {
  const TensorInfo* found = nullptr;
  for (const std::string& name : recorded_names(weight, {".output"})) {
    if (found == nullptr) found = file_.find(name);
  }
  if (found == nullptr) found = only_of_columns(file_, weight, outputs);
  if (found == nullptr) return {};
  if (!found->dtype->is_float() || found->columns() != outputs || found->rows() != tokens) {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: tensor \"{}\", {} of {} x {}, cannot be the output of \"{}\", which "
                    "is {} x {}; record it with the inputs of --activations",
                    printable(path_), printable(found->name), found->dtype->name, found->rows(),
                    found->columns(), printable(weight), tokens, outputs));
  }
  return read_matrix(*found, {tokens, outputs, 1}, NonFinite::error);
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
