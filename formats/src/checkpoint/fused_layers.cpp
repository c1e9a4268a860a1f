// SPDX-License-Identifier: MIT
#include "checkpoint/fused_layers.hpp"

#include <fmt/format.h>

#include <array>
#include <map>
#include <string>
#include <utility>

namespace lowbit {
namespace {

/// Layers whose matrices one kernel multiplies at once, with one tensor scale for all.
constexpr std::array<std::array<std::string_view, 3>, 6> fused_names{
    {{"q_proj", "k_proj", "v_proj"},
     {"gate_proj", "up_proj", ""},
     {"w1", "w3", ""},
     {"query", "key", "value"},
     {"attn_q", "attn_k", "attn_v"},
     {"ffn_gate", "ffn_up", ""}}};

}  // namespace

std::vector<std::vector<const QuantizedTensor*>> fused_layers(const Checkpoint& checkpoint) {
  // "model.layers.0.self_attn.{}.weight" and the group -> the weights that it stands for
  std::map<std::pair<std::string, std::size_t>, std::vector<const QuantizedTensor*>> groups;
  for (const QuantizedTensor& tensor : checkpoint.quantized()) {
    if (tensor.layout.tensor_scale == TensorScaleKind::none) continue;
    for (std::size_t g = 0; g < fused_names.size(); ++g) {
      for (const std::string_view layer : fused_names[g]) {
        const std::string part = fmt::format(".{}.", layer);
        const std::size_t at = ("." + tensor.name + ".").find(part);
        if (layer.empty() || at == std::string::npos) continue;
        std::string key = "." + tensor.name + ".";
        key.replace(at, part.size(), ".{}.");
        groups[{key, g}].push_back(&tensor);
      }
    }
  }
  std::vector<std::vector<const QuantizedTensor*>> all;
  for (auto& [key, members] : groups) all.push_back(std::move(members));
  return all;
}

}  // namespace lowbit
