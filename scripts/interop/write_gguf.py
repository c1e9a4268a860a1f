#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Quantizes the weights of original/model.safetensors to MXFP4 with the package gguf and writes them to a GGUF file.
usage: write_gguf.py ORIGINAL.safetensors OUT_FOLDER"""
import json
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

source, folder = sys.argv[1], pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
kind = gguf.GGMLQuantizationType.MXFP4
writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
expected = {}


def bf16_tensors(path):
    """numpy has no BF16: its bits are the upper half of those of FP32."""
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            bits = np.frombuffer(data[begin:end], "<u2").astype(np.uint32) << 16
            yield name, bits.view(np.float32).reshape(entry["shape"])


for name, weight in bf16_tensors(source):
    blocks = gguf.quants.quantize(weight, kind)
    writer.add_tensor(name, blocks, raw_dtype=kind)
    expected[name] = gguf.quants.dequantize(blocks, kind).astype(np.float32)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
save_file(expected, folder / "expected.safetensors")
