#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the initializers of an ONNX model to a safetensors file, under their names.

usage: onnx_to_safetensors.py MODEL.onnx OUT.safetensors
Needs the packages onnx and safetensors (pip install onnx safetensors). MatMul weights of ONNX are
stored [K, N]: give `lowbit eval --axis 0` to run blocks along K.
"""
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file


def main(source, target):
    model = onnx.load(source)
    tensors = {}
    for initializer in model.graph.initializer:
        array = np.ascontiguousarray(numpy_helper.to_array(initializer))
        if array.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
            array = array.astype(np.float32)  # exact; the numpy writer has no such types
        if array.dtype.kind in "fiub":
            tensors[initializer.name] = array
        else:
            print(f"skipped {initializer.name}: {array.dtype}", file=sys.stderr)
    save_file(tensors, target, metadata={"source": source})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
