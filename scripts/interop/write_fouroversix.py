#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a checkpoint of small_model.py with fouroversix on the CPU (its PyTorch backend), in NVFP4 with the rule mse, with the
tensors and the configuration that its Hugging Face integration stores.
usage: write_fouroversix.py OUT_FOLDER"""
import pathlib
import sys

import fouroversix
import torch
from safetensors.torch import save_file
from transformers.utils.quantization_config import FourOverSixConfig

import small_model

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
model = small_model.model()
config = fouroversix.ModuleQuantizationConfig(dtype="nvfp4", scale_rule="mse", quantize_backend="pytorch")
state, expected = {}, {}
for name, value in model.state_dict().items():
    module = name.removesuffix(".weight")
    if module not in small_model.SHAPES:
        state[name] = value
        continue
    linear = torch.nn.Linear(value.shape[1], value.shape[0], bias=False, dtype=value.dtype)
    linear.weight.data.copy_(value)
    layer = fouroversix.FourOverSixLinear(linear, config)
    parts = layer.get_quantized_parameters("weight", layer.weight)
    for key, part in parts.items():
        state[f"{module}.{key}"] = part.detach().reshape(-1) if part.ndim == 0 else part.detach()
    expected[name] = fouroversix.dequantize(fouroversix.quantize_to_fp4(value, config.get_weight_config()), torch.float32)
save_file({name: value.contiguous() for name, value in state.items()}, folder / "model.safetensors")
model.config.quantization_config = FourOverSixConfig(dtype="nvfp4", scale_rule="mse").to_dict()
model.config.save_pretrained(folder)
small_model.write_record(folder, ["fouroversix", "torch", "transformers", "safetensors"], expected)
