// SPDX-License-Identifier: MIT
#include "recipe.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lowbit/error.hpp"
#include "lowbit/printable.hpp"

namespace lowbit::cli {

Recipe Recipe::read(const std::string& path, const Dialect& dialect) {
  Recipe recipe;
  recipe.path_ = path;
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::invalid_input,
                fmt::format("{}: {}; write it with `lowbit plan -o`", printable(path), what));
  };
  std::ifstream in(path);
  if (!in) refuse("cannot be read");
  std::map<std::string, std::string> formats;
  try {
    const nlohmann::json json = nlohmann::json::parse(in);
    if (json.at("recipe") != 1) refuse("is no recipe of version 1");
    for (const nlohmann::json& layer : json.at("layers")) {
      const auto name = layer.at("name").get<std::string>();
      if (!formats.emplace(name, layer.at("format").get<std::string>()).second) {
        refuse(fmt::format("names \"{}\" twice", printable(name)));
      }
    }
  } catch (const nlohmann::json::exception&) {
    refuse("is no recipe: \"recipe\": 1 and \"layers\" with \"name\" and \"format\" are needed");
  }
  for (const auto& [name, format] : formats) {
    if (format == "stored") {
      throw Error(ErrorKind::usage,
                  fmt::format("{}: the layer \"{}\" stays as its checkpoint stores it, which no "
                              "recipe makes; plan without --reference",
                              printable(path), printable(name)));
    }
    recipe.layers_.emplace(name, format_spec_named(format, dialect));
  }
  return recipe;
}

FormatSpec Recipe::find(const std::string& tensor) const {
  const auto found = layers_.find(tensor);
  return found == layers_.end() ? FormatSpec{} : found->second;
}

void Recipe::check(const std::map<std::string, bool>& tensors) const {
  for (const auto& [name, format] : layers_) {
    if (tensors.contains(name)) continue;
    throw Error(ErrorKind::usage,
                fmt::format("{}: its layer \"{}\" is not among the tensors; plan again for this "
                            "model",
                            printable(path_), printable(name)));
  }
}

}  // namespace lowbit::cli
