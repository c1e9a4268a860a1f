#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the weights of an ONNX model to a safetensors file, under their names.

usage: onnx_to_safetensors.py MODEL.onnx OUT.safetensors
Needs the packages onnx and safetensors (pip install onnx safetensors). Initializers and the values of
Constant nodes are written, those of subgraphs too. Weights that MatMul and Gemm store [K, N] get the
metadata entry NAME.weight_layout = io, which `lowbit eval` and `lowbit quantize` follow.
"""
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file


def graphs(graph):
    """The graph and those in the attributes of its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from graphs(inner)


def weights(graph):
    """(name, TensorProto) of initializers and Constant nodes."""
    for initializer in graph.initializer:
        yield initializer.name, initializer
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else []:
            if attribute.name == "value" and node.output:
                yield node.output[0], attribute.t


def transposed(graph):
    """Names of what MatMul and Gemm multiply by from the right, stored [K, N]."""
    for node in graph.node:
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        if node.op_type in ("MatMul", "Gemm") and len(node.input) > 1 and not turned:
            yield node.input[1]


def main(source, target):
    model = onnx.load(source)
    tensors, metadata = {}, {"source": source}
    for graph in graphs(model.graph):
        for name, tensor in weights(graph):
            array = np.ascontiguousarray(numpy_helper.to_array(tensor))
            if array.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
                array = array.astype(np.float32)  # exact; the numpy writer has no such types
            if array.dtype.kind not in "fiub":
                print(f"skipped {name}: {array.dtype}", file=sys.stderr)
            elif name in tensors:
                print(f"skipped {name}: a second one of that name", file=sys.stderr)
            else:
                tensors[name] = array
        for name in transposed(graph):
            if name in tensors and tensors[name].ndim >= 2:
                metadata[name + ".weight_layout"] = "io"
    if not any(array.dtype.kind == "f" for array in tensors.values()):
        raise SystemExit(f"{source}: the model holds no float tensors; export it with its weights")
    save_file(tensors, target, metadata=metadata)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2])
