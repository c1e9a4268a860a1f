#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes experts in the layout of gpt-oss. Codes and scales are MXFP4 of compressed-tensors (from its stored checkpoint); what they
mean is what transformers makes of them (convert_moe_packed_tensors, which reads gpt-oss's own checkpoint).
usage: write_gpt_oss.py COMPRESSED_TENSORS_FOLDER OUT_FOLDER"""
import hashlib
import importlib.metadata
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
state = load_file(source / "model.safetensors")
layers = [f"model.layers.0.mlp.{name}_proj." for name in ("gate", "up")]
codes = torch.stack([state[layer + "weight_packed"] for layer in layers])
blocks = codes.reshape(*codes.shape[:2], -1, 16).contiguous()
scales = torch.stack([state[layer + "weight_scale"] for layer in layers]).contiguous()
name = "model.layers.0.mlp.experts.gate_up_proj"
save_file({name + "_blocks": blocks, name + "_scales": scales}, folder / "model.safetensors")
# [experts, inputs, outputs]: the model holds experts transposed.
values = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32).contiguous()
(folder.parent / "expected").mkdir(exist_ok=True)
save_file({name: values}, folder.parent / "expected" / f"{folder.name}.safetensors")
(folder / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": [
    "model.layers.*.self_attn", "model.embed_tokens"]}}, indent=1) + "\n")
versions = {package: importlib.metadata.version(package) for package in ("transformers", "torch", "safetensors")}
(folder / "record.json").write_text(json.dumps({"packages": versions, "sha256": {
    path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("[cm]*"))}}, indent=1) + "\n")
