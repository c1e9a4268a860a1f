// SPDX-License-Identifier: MIT
// What config.json and hf_quant_config.json say about the quantization of a checkpoint.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "lowbit/checkpoint.hpp"

namespace lowbit::detail {

/// What a file declares for some weights.
struct DeclaredBlocks {
  std::string source;  ///< "group_0", "quantization", for messages
  std::optional<int> group_size{};
  std::optional<int> bits{};
};

/// Modules that a file names: by their name, an expression ("re:..."), a pattern that ends with *,
/// or a class such as Linear.
class ModuleTarget {
 public:
  explicit ModuleTarget(std::string text);
  /// Whether the target names the module itself.
  [[nodiscard]] bool names(const std::string& module) const;
  /// Whether it is the name of a class, which stands for modules that no other target names.
  [[nodiscard]] bool is_class() const;

 private:
  std::string text_;
  bool is_expression_ = false;
  std::optional<std::regex> expression_;  ///< absent where it is not tried
};

class CheckpointConfig {
 public:
  CheckpointConfig() = default;
  /// Reads the files of the folder, where they are. What is malformed is a fault.
  CheckpointConfig(const std::filesystem::path& folder, std::vector<CheckpointFault>& faults);

  /// "compressed-tensors", "modelopt", "mxfp4", "mlx", ...; empty where no file says it.
  [[nodiscard]] const std::string& method() const { return method_; }
  /// Of fouroversix: a format's name; empty where no file says it.
  [[nodiscard]] const std::string& dtype() const { return dtype_; }
  /// Of fouroversix: the scale rule; empty where no file says it.
  [[nodiscard]] const std::string& scale_rule() const { return scale_rule_; }
  /// The file that says it, for messages.
  [[nodiscard]] const std::string& file() const { return file_; }
  /// What is declared for the weights of a module, such as "model.layers.0.mlp.up_proj".
  [[nodiscard]] std::optional<DeclaredBlocks> declared_for(const std::string& module) const;
  /// Whether the module is named among those that are not quantized.
  [[nodiscard]] bool ignores(const std::string& module) const;

 private:
  struct Group {
    DeclaredBlocks blocks;
    std::vector<ModuleTarget> targets;
  };
  void read(const nlohmann::json& config);
  void read_compressed_tensors(const nlohmann::json& q);
  void read_mlx(const nlohmann::json& q);

  std::string file_;
  std::string method_;
  std::string dtype_;
  std::string scale_rule_;
  std::vector<Group> groups_;
  std::vector<ModuleTarget> ignored_;
};

}  // namespace lowbit::detail
