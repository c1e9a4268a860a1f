// SPDX-License-Identifier: MIT
#include "checkpoint/config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/checked_json.hpp"
#include "io/mapped_file.hpp"
#include "lowbit/error.hpp"

namespace lowbit::detail {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::optional<int> number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  const auto value = found->get<std::int64_t>();
  if (value < 1 || value > 1 << 20) return std::nullopt;
  return static_cast<int>(value);
}

std::vector<ModuleTarget> targets_of(const json& object, const char* key) {
  std::vector<ModuleTarget> targets;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return targets;
  for (const json& entry : *found) {
    if (entry.is_string()) targets.emplace_back(entry.get<std::string>());
  }
  return targets;
}

constexpr std::size_t longest = 256;  // of expressions and of names that they are tried on

/// std::regex backtracks, and the expression comes from a file: what could take long (a quantified
/// group, many quantifiers) is not tried and matches nothing.
bool may_take_long(std::string_view expression) {
  constexpr int most_quantifiers = 4;
  if (expression.size() > longest) return true;
  int quantifiers = 0;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const bool quantifies = std::string_view("*+{?").find(expression[i]) != std::string_view::npos;
    const bool escaped = i > 0 && expression[i - 1] == '\\';
    if (!quantifies || escaped) continue;
    if (i > 0 && expression[i - 1] == ')') return true;
    ++quantifiers;
  }
  return quantifiers > most_quantifiers;
}

}  // namespace

ModuleTarget::ModuleTarget(std::string text) : text_(std::move(text)) {
  is_expression_ = text_.starts_with("re:");
  if (!is_expression_ || may_take_long(std::string_view(text_).substr(3))) return;
  try {
    expression_.emplace(text_.substr(3));
  } catch (const std::regex_error&) {
    // Python's syntax is wider than ECMAScript's: such an expression matches nothing here.
  }
}

bool ModuleTarget::names(const std::string& module) const {
  if (is_expression_) {
    // As Python's re.match: from the start of the name.
    return expression_ && module.size() <= longest &&
           std::regex_search(module, *expression_, std::regex_constants::match_continuous);
  }
  if (text_.ends_with('*')) return module.starts_with(text_.substr(0, text_.size() - 1));
  return text_ == module;
}

bool ModuleTarget::is_class() const {
  return !is_expression_ && text_.find('.') == std::string::npos && !text_.empty() &&
         text_[0] >= 'A' && text_[0] <= 'Z';
}

CheckpointConfig::CheckpointConfig(const std::filesystem::path& folder,
                                   std::vector<CheckpointFault>& faults) {
  for (const char* name : {"config.json", "hf_quant_config.json"}) {
    const std::filesystem::path path = folder / name;
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) continue;
    try {
      const MappedFile file(path);
      const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                                  file.bytes().size());
      const CheckedJson config = parse_json(text, file.name(), 0, 32, 1'000'000);
      const std::string method = method_;
      if (config.value.is_object()) read(config.value);
      if (method_ != method) file_ = path.string();
    } catch (const Error& error) {
      faults.push_back({path.string(), "", "config", error.what()});
    }
  }
}

void CheckpointConfig::read(const json& config) {
  // Model-Optimizer's own file, then the key of Hugging Face, then that of MLX.
  if (const auto own = config.find("quantization"); own != config.end() && own->is_object()) {
    if (own->contains("quant_algo")) {
      method_ = "modelopt";
      groups_.push_back({{"quantization", number_of(*own, "group_size"), std::nullopt},
                         {ModuleTarget("Linear")}});
      for (auto& target : targets_of(*own, "exclude_modules")) {
        ignored_.push_back(std::move(target));
      }
      return;
    }
    if (own->contains("group_size") || own->contains("bits")) read_mlx(*own);
  }
  const auto found = config.find("quantization_config");
  if (found == config.end() || !found->is_object()) return;
  const json& q = *found;
  const std::string method = text_of(q, "quant_method");
  if (method.empty() && method_ == "mlx") return;  // MLX writes its object under both keys
  method_ = method;
  dtype_ = text_of(q, "dtype");
  scale_rule_ = text_of(q, "scale_rule");
  if (const std::string own = text_of(q, "weight_scale_rule"); !own.empty()) scale_rule_ = own;
  if (const std::string own = text_of(q, "weight_dtype"); !own.empty()) dtype_ = own;
  if (q.contains("config_groups")) read_compressed_tensors(q);
  for (const char* key : {"ignore", "modules_to_not_convert"}) {
    for (auto& target : targets_of(q, key)) ignored_.push_back(std::move(target));
  }
}

void CheckpointConfig::read_compressed_tensors(const json& q) {
  if (!q["config_groups"].is_object()) return;
  for (const auto& [name, group] : q["config_groups"].items()) {
    if (!group.is_object()) continue;
    Group& entry = groups_.emplace_back();
    entry.blocks.source = name;
    entry.targets = targets_of(group, "targets");
    const auto weights = group.find("weights");
    if (weights != group.end() && weights->is_object()) {
      entry.blocks.group_size = number_of(*weights, "group_size");
      entry.blocks.bits = number_of(*weights, "num_bits");
    }
  }
}

void CheckpointConfig::read_mlx(const json& q) {
  method_ = "mlx";
  // Layers of their own come first, so that they win over the rest.
  for (const auto& [name, layer] : q.items()) {
    if (layer.is_object()) {
      groups_.push_back(
          {{name, number_of(layer, "group_size"), number_of(layer, "bits")}, {ModuleTarget(name)}});
    } else if (layer.is_boolean() && !layer.get<bool>()) {
      ignored_.emplace_back(name);
    }
  }
  groups_.push_back({{"quantization", number_of(q, "group_size"), number_of(q, "bits")},
                     {ModuleTarget("Linear")}});
}

std::optional<DeclaredBlocks> CheckpointConfig::declared_for(const std::string& module) const {
  const Group* by_class = nullptr;
  for (const Group& group : groups_) {
    for (const ModuleTarget& target : group.targets) {
      if (target.names(module)) return group.blocks;
      // Of several groups of classes nothing is known here: which class a module has, no file says.
      if (!target.is_class()) continue;
      if (by_class != nullptr && by_class != &group) return std::nullopt;
      by_class = &group;
    }
  }
  return by_class == nullptr ? std::nullopt : std::optional(by_class->blocks);
}

bool CheckpointConfig::ignores(const std::string& module) const {
  return std::any_of(ignored_.begin(), ignored_.end(),
                     [&](const ModuleTarget& target) { return target.names(module); });
}

}  // namespace lowbit::detail
