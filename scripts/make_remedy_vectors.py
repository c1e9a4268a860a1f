#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/data/remedy_vectors.safetensors: what scripts/remedy_model.py, in numpy, makes of a layer.

usage: make_remedy_vectors.py tests/data/minilm_sample.safetensors OUT.safetensors

The layer is rows 0 to 15 of the query projection of the sample, with its recorded input. For each format and list of remedies OUT
has the dequantized weights as FORMAT:RULE/LIST, and its metadata has the SQNR of the output in dB under the
same key: weights alone, and weights and inputs.
"""
import json
import math
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from minilm_effect import Quantized  # noqa: E402

NAME = "encoder.layer.3.attention.self.query"
ROWS = 16
LISTS = ["hadamard:16", "hadamard:128:7", "hadamard:full", "smooth", "smooth:0.3", "awq", "sort", "sort:inputs", "svd:8",
         "arc", "gptq", "gptq:act", "hadamard:16,gptq", "smooth,svd:4", "awq,gptq"]
# An empty list is the format alone.
FORMATS = {"nvfp4:mse": ["", *LISTS], "if4:mse": ["", "hadamard:16,gptq", "awq", "arc", "svd:8"],
           "mxfp4:rceil": ["", "gptq", "smooth"], "nvfp4:static_6": [""], "nvfp4:mae": [""], "nvfp4:abs_max": [""],
           "nvint4:static_6": [""], "mxfp4:floor": [""], "mxfp8_e4m3:floor": [""], "if3:mse": [""], "if6_e2m3:mse": [""]}


def read(path):
    data = pathlib.Path(path).read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    return {n: np.frombuffer(data, "<f4", math.prod(e["shape"]), begin + e["data_offsets"][0]).reshape(e["shape"])
            for n, e in json.loads(data[8:begin]).items() if n != "__metadata__" and e["dtype"] == "F32"}


class OneTensor:
    """All rows have one amax."""

    @staticmethod
    def amax(x):
        return np.abs(x).max()


def sqnr(y, z):
    return 10 * math.log10((y ** 2).sum() / ((z - y) ** 2).sum())


def main():
    tensors = read(sys.argv[1])
    w, x = tensors[NAME + ".weight"][:ROWS].copy(), tensors[NAME + ".input"]
    y = x.astype(np.float64) @ w.T.astype(np.float64)
    arrays, metadata = {}, {}
    for spec, lists in FORMATS.items():
        fmt, rule = spec.split(":")
        for remedies in lists:
            layer = Quantized(fmt, rule, remedies, w, x, True)
            arrays[f"{spec}/{remedies}"] = layer.w.astype("<f4")
            both = layer.apply(x, OneTensor)
            layer.inputs = False
            weights_only = layer.apply(x, OneTensor)
            metadata[f"{spec}/{remedies}"] = f"{sqnr(y, weights_only):.4f} {sqnr(y, both):.4f}"
            print(spec, remedies, metadata[f"{spec}/{remedies}"])
    header, offset = {"__metadata__": metadata}, 0
    for name, a in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(sys.argv[2]).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in arrays.values()))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main()
