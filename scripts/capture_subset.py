#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cuts the captures of a folder like golden/dialects down to a few inputs, for tests/data/captures.

usage: capture_subset.py FROM TO [INPUT...]     standard library alone
INPUT:codes leaves the dequantized values out where there are codes.
"""
import json
import pathlib
import struct
import sys

# Ties, zeros beside numbers, binades. tests/data/captures_edges has zeros_edges_04:codes zeros_edges_06:codes zeros_edges_07:codes.
INPUTS = ["bf16_ties_03", "zeros_edges_00", "log2_edges_00"]


def is_kept(name, header, inputs):
    """inputs: {input: whether dequantized values stay beside codes}"""
    parts = name.split(".")
    if parts[0] not in inputs:
        return False
    is_dequantized = parts[-1].startswith("dequant")
    return inputs[parts[0]] or not is_dequantized or ".".join([*parts[:-1], "values"]) not in header


def read(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def write(path, header, data):
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    source, target = map(pathlib.Path, sys.argv[1:3])
    inputs = {word.partition(":")[0]: not word.endswith(":codes") for word in sys.argv[3:] or INPUTS}
    for path in sorted(source.glob("*.safetensors")):
        header, data = read(path)
        metadata = header.pop("__metadata__", {})
        kept, out = {"__metadata__": metadata}, b""
        for name in sorted(name for name in header if is_kept(name, header, inputs)):
            begin, end = header[name]["data_offsets"]
            kept[name] = dict(header[name], data_offsets=[len(out), len(out) + end - begin])
            out += data[begin:end]
        write(target / path.name, kept, out)


if __name__ == "__main__":
    main()
