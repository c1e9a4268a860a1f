#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a checkpoint of small_model.py with NVIDIA Model-Optimizer: NVFP4, calibrated, exported for Hugging Face.
usage: write_modelopt.py OUT_FOLDER"""
import pathlib
import sys

import modelopt.torch.quantization as mtq
import torch
from modelopt.torch.export import export_hf_checkpoint
from modelopt.torch.quantization.qtensor import NVFP4QTensor
from safetensors.torch import load_file

import small_model

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
model = small_model.model()
mtq.quantize(model, mtq.NVFP4_DEFAULT_CFG, lambda m: m(small_model.tokens()))
with torch.inference_mode():
    export_hf_checkpoint(model, export_dir=folder)
state = load_file(folder / "model.safetensors")
expected = {}
for module, shape in small_model.SHAPES.items():
    q = NVFP4QTensor(torch.Size(shape), torch.float32, state[module + ".weight"])
    expected[module + ".weight"] = q.dequantize(dtype=torch.float32, scale=state[module + ".weight_scale"],
                                                double_scale=state[module + ".weight_scale_2"], block_sizes={-1: 16})
small_model.write_record(folder, ["nvidia-modelopt", "torch", "transformers", "safetensors"], expected)
