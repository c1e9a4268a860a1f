#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cuts the captures of a folder like golden/dialects down to a few inputs, for tests/data/captures.

usage: capture_subset.py FROM TO [INPUT...]     standard library alone
"""
import json
import pathlib
import struct
import sys

INPUTS = ["bf16_ties_03", "zeros_edges_00", "log2_edges_00"]


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
    inputs = sys.argv[3:] or INPUTS
    for path in sorted(source.glob("*.safetensors")):
        header, data = read(path)
        metadata = header.pop("__metadata__", {})
        kept, out = {"__metadata__": metadata}, b""
        for name in sorted(name for name in header if name.split(".")[0] in inputs):
            begin, end = header[name]["data_offsets"]
            kept[name] = dict(header[name], data_offsets=[len(out), len(out) + end - begin])
            out += data[begin:end]
        write(target / path.name, kept, out)


if __name__ == "__main__":
    main()
