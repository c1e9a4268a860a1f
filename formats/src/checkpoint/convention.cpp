// SPDX-License-Identifier: MIT
// The conventions, one record each. Names and shapes were read in the libraries' sources and in
// checkpoints that they wrote: docs/checkpoints.md.
#include <array>

#include "lowbit/checkpoint.hpp"

namespace lowbit {
namespace {

constexpr Layout with(ScaleType type, TensorScaleKind kind) {
  return {.scale_type = type, .tensor_scale = kind};
}
constexpr Layout fused{
    .codes = CodeOrder::halves, .tensor_scale = TensorScaleKind::multiplier, .fused_blocks = 4};

constexpr std::array conventions{
    CheckpointConvention{"modelopt",
                         "NVIDIA Model-Optimizer",
                         "weight",
                         "weight",
                         "weight",
                         "weight_scale",
                         "weight_scale_2",
                         "input_scale",
                         "",
                         with(ScaleType::f8_e4m3, TensorScaleKind::multiplier),
                         false,
                         {"nvidia-modelopt"}},
    CheckpointConvention{"compressed-tensors",
                         "compressed-tensors, llm-compressor",
                         "weight",
                         "weight_packed",
                         "weight",
                         "weight_scale",
                         "weight_global_scale",
                         "input_global_scale",
                         "",
                         with(ScaleType::f8_e4m3, TensorScaleKind::divisor),
                         false,
                         {"compressed-tensors"}},
    CheckpointConvention{"torchao",
                         "torchao",
                         "weight",
                         "_weight_qdata",
                         "_weight_qdata",
                         "_weight_scale",
                         "_weight_per_tensor_scale",
                         "_weight_act_per_tensor_scale",
                         "",
                         with(ScaleType::f8_e4m3, TensorScaleKind::multiplier),
                         false,
                         {"torchao"}},
    CheckpointConvention{"gpt-oss",
                         "gpt-oss",
                         "",
                         "_blocks",
                         "",
                         "_scales",
                         "",
                         "",
                         "",
                         with(ScaleType::u8, TensorScaleKind::none),
                         false,
                         {}},
    CheckpointConvention{"gguf",
                         "ggml, llama.cpp",
                         "weight",
                         "weight",
                         "",
                         "",
                         "scale",
                         "input_scale",
                         "",
                         fused,
                         true,
                         {"ggml", "gguf"}},
    CheckpointConvention{"mlx",
                         "MLX",
                         "weight",
                         "weight",
                         "weight",
                         "scales",
                         "",
                         "",
                         "",
                         with(ScaleType::u8, TensorScaleKind::none),
                         false,
                         {"MLX"}},
    CheckpointConvention{"fouroversix",
                         "fouroversix",
                         "weight",
                         "quantized_weight_values",
                         "",
                         "quantized_weight_scale_factors",
                         "quantized_weight_amax",
                         "",
                         "quantized_weight_metadata",
                         with(ScaleType::f8_e4m3, TensorScaleKind::amax),
                         false,
                         {"fouroversix"}},
    CheckpointConvention{"lowbit",
                         "lowbit",
                         "",
                         ".values",
                         ".values",
                         ".scales",
                         ".amax",
                         "",
                         "",
                         Layout{},
                         false,
                         {}}};

}  // namespace

std::span<const CheckpointConvention> checkpoint_conventions() {
  return conventions;
}

const CheckpointConvention* find_checkpoint_convention(std::string_view name) {
  for (const CheckpointConvention& convention : conventions) {
    if (convention.name == name) return &convention;
  }
  return nullptr;
}

}  // namespace lowbit
