#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the tensors of a PyTorch checkpoint (.pt, .pth, .bin) to a safetensors file.

usage: pt_to_safetensors.py CHECKPOINT OUT.safetensors
Needs the packages torch and safetensors. The checkpoint is loaded with weights_only, which runs none
of its code; nested dictionaries become dotted names, and tensors that share memory are copied.
"""
import sys

import torch
from safetensors.torch import save_file


def flatten(value, prefix=""):
    if isinstance(value, torch.Tensor):
        yield prefix, value.detach().cpu().clone().contiguous()
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{prefix}.{key}" if prefix else str(key))


def main(source, target):
    tensors = dict(flatten(torch.load(source, map_location="cpu", weights_only=True)))
    if not tensors:
        raise SystemExit(f"{source}: no tensors in it")
    save_file(tensors, target, metadata={"source": source})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
