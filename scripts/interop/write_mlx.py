#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Quantizes the weights of original/model.safetensors with MLX on the CPU and writes them as mlx-lm does: weight and scales beside a
config.json with one entry per layer. Attention becomes nvfp4, gate and up projections mxfp4, down projections mxfp8.
usage: write_mlx.py ORIGINAL.safetensors OUT_FOLDER"""
import json
import pathlib
import sys

import mlx.core as mx

source, folder = sys.argv[1], pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
mx.set_default_device(mx.cpu)
tensors, expected, layers = {}, {}, {}
for name, weight in mx.load(source).items():
    module = name.removesuffix(".weight")
    mode = "nvfp4" if "self_attn" in name else "mxfp8" if "down_proj" in name else "mxfp4"
    group, bits = {"nvfp4": (16, 4), "mxfp4": (32, 4), "mxfp8": (32, 8)}[mode]
    codes, scales = mx.quantize(weight, group_size=group, bits=bits, mode=mode)
    tensors[name], tensors[module + ".scales"] = codes, scales
    expected[name] = mx.dequantize(codes, scales, group_size=group, bits=bits, mode=mode, dtype=mx.float32)
    layers[module] = {"group_size": group, "bits": bits, "mode": mode}
mx.save_safetensors(str(folder / "model.safetensors"), tensors, metadata={"format": "mlx"})
mx.save_safetensors(str(folder / "expected.safetensors"), expected)
(folder / "config.json").write_text(json.dumps({"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4", **layers}}, indent=1) + "\n")
