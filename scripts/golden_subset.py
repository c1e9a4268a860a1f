#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cuts a band of rows out of captured quantizer outputs, for tests/data.

usage: golden_subset.py IN.safetensors OUT.safetensors FIRST_ROW ROWS [WITHOUT_VARIANT...]

Row-wise tensors keep rows FIRST_ROW .. FIRST_ROW + ROWS - 1; the transposed variants keep the same
part of the input, that is whole blocks of each row. Digests of whole tensors are dropped, FP32
dequantizations kept for a few configurations. The bands hold whole 2D blocks if ROWS allows.
"""
import json
import struct
import sys

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1}
KEPT_DEQUANTIZATIONS = {"nvfp4.mse.1d", "if4.mse.1d", "nvint4.static_6.1d", "mxfp4.static_6.1d"}


def main(source, target, first, count, without):
    with open(source, "rb") as file:
        data = file.read()
    (header_size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + header_size])
    metadata = header.pop("__metadata__")
    backends = json.loads(metadata["backend"])
    input_rows = header["input"]["shape"][0]
    out = {}
    for name in sorted(header):
        entry = header[name]
        begin, end = entry["data_offsets"]
        raw = data[8 + header_size + begin : 8 + header_size + end]
        shape = list(entry["shape"])
        key, _, kind = name.rpartition(".")
        key = key.split("@")[0]
        variant = key.rpartition(".")[2]
        if variant in without:
            backends.pop(key, None)
            continue
        if kind == "dequant" and (len(shape) == 1 or key not in KEPT_DEQUANTIZATIONS):
            continue
        # 32-row blocks of MX formats need their whole band.
        if variant == "2d" and key.startswith("mx") and (count % 32 or first % 32):
            backends.pop(key, None)
            continue
        if name == "input" or len(shape) == 2:
            if variant == "t" and name != "input":
                width = len(raw) // shape[0]
                lo, hi = width * first // input_rows, width * (first + count) // input_rows
                raw = b"".join(raw[r * width + lo : r * width + hi] for r in range(shape[0]))
                shape[1] = (hi - lo) // SIZES[entry["dtype"]]
            else:
                # Random numbers come one block a row.
                row = len(raw) // input_rows
                raw = raw[row * first : row * (first + count)]
                shape[0] = shape[0] * count // input_rows
        out[name] = (entry["dtype"], shape, raw)

    if count < 32:
        for name in [n for n in out if ".t." in n and n.startswith("mx")]:
            backends.pop(name.rpartition(".")[0].split("@")[0], None)
            del out[name]
    metadata["backend"] = json.dumps(backends, sort_keys=True)
    metadata["first_row"] = str(first)
    metadata["rows_of_capture"] = str(input_rows)
    offset = 0
    new_header = {"__metadata__": dict(sorted(metadata.items()))}
    order = sorted(out, key=lambda n: (-SIZES[out[n][0]], n))
    for name in order:
        dtype, shape, raw = out[name]
        new_header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
    text = json.dumps(new_header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(out[name][2])


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), set(sys.argv[5:]))
