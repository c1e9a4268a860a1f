#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a checkpoint of small_model.py with compressed-tensors, in mixed groups: attention in NVFP4, gate and up projections in
MXFP4, down projections in MXFP8. Scales are those of the package's own calculate_qparams.
usage: write_compressed_tensors.py OUT_FOLDER"""
import pathlib
import sys

import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
from compressed_tensors.quantization.quant_scheme import preset_name_to_scheme
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

import small_model

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
model = small_model.model()
config = QuantizationConfig(config_groups={
    "group_0": preset_name_to_scheme("NVFP4A16", ["re:.*self_attn.*"]),
    "group_1": preset_name_to_scheme("MXFP4A16", ["re:.*mlp.(gate|up)_proj"]),
    "group_2": preset_name_to_scheme("MXFP8A16", ["re:.*down_proj"]),
}, ignore=["lm_head"])
apply_quantization_config(model, config)
for _, module in model.named_modules():
    scheme = getattr(module, "quantization_scheme", None)
    if scheme is None or scheme.weights is None:
        continue
    weight, arguments = module.weight.detach(), scheme.weights
    blocks = weight.reshape(weight.shape[0], -1, arguments.group_size)
    low, high = blocks.amin(-1), blocks.amax(-1)
    whole = generate_gparam(weight.min(), weight.max()) if hasattr(module, "weight_global_scale") else None
    scale, _ = calculate_qparams(low, high, arguments, global_scale=whole)
    if whole is not None:
        module.weight_global_scale.data.copy_(whole)
    module.weight_scale.data.copy_(scale.to(module.weight_scale.dtype))
compressor = ModelCompressor.from_pretrained_model(model)
compressor.compress_model(model)
model.save_pretrained(folder)
compressor.update_config(folder)
compressor.decompress_model(model)
expected = {name: value.float() for name, value in model.state_dict().items()
            if name.removesuffix(".weight") in small_model.SHAPES}
small_model.write_record(folder, ["compressed-tensors", "torch", "transformers", "safetensors"], expected)
