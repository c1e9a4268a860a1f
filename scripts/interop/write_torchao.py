#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a checkpoint of small_model.py with torchao: NVFP4 weights with a scale per tensor, whose scale bytes are swizzled, in
the safetensors layout of torchao.prototype.safetensors.
usage: write_torchao.py OUT_FOLDER"""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torchao.prototype.mx_formats import NVFP4WeightOnlyConfig
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import quantize_

import small_model

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
model = small_model.model()
quantize_(model, NVFP4WeightOnlyConfig(),
          filter_fn=lambda module, name: isinstance(module, torch.nn.Linear) and name != "lm_head")
data, metadata = flatten_tensor_state_dict(model.state_dict())
save_file(data, folder / "model.safetensors", metadata=metadata)
model.config.save_pretrained(folder)
expected = {name: value.dequantize(torch.float32) for name, value in model.state_dict().items()
            if name.removesuffix(".weight") in small_model.SHAPES}
small_model.write_record(folder, ["torchao", "torch", "transformers", "safetensors"], expected)
