#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the release of test vectors to block_model.py, which is written from the documents and shares no code with lowbit.

usage: check_vectors.py tests/data/vectors
Prints how many cases it computed; exits with 1 where an array differs or fewer than LEAST were computed.
"""
import hashlib
import json
import pathlib
import struct
import sys

try:
    import numpy as np
except ImportError:
    print("no NumPy here (python3-numpy): left out")
    sys.exit(77)

import block_model

LEAST = 100


def read(path):
    """{name: array}; BF16 as binary32."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    arrays = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = data[8 + size + begin : 8 + size + end]
        if entry["dtype"] == "BF16":
            array = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            array = np.frombuffer(raw, {"F32": "<f4", "U8": "u1"}[entry["dtype"]])
        arrays[name] = array.reshape(entry["shape"])
    return arrays


def main():
    folder = pathlib.Path(sys.argv[1])
    index = json.loads((folder / "vectors.json").read_text())
    inputs = read(folder / index["inputs"]["file"])
    types = {t["name"]: t["dtype"].lower() for t in index["inputs"]["tensors"]}
    done, failures = 0, []
    for dialect in index["dialects"]:
        assert dialect["name"] == "canonical", dialect["name"]
        expected = read(folder / dialect["file"])
        digest = hashlib.sha256((folder / dialect["file"]).read_bytes()).hexdigest()
        assert digest == dialect["sha256"], f"{dialect['file']}: SHA-256"
        for case in dialect["cases"]:
            x = inputs[case["input"]]
            codes, scales, decisions, amax = block_model.quantize(x, case["format"], case["rule"], square=case["block_2d"], dtype=types[case["input"]])
            found = {"values": block_model.packed(codes, case["format"]), "scales": scales, "decisions": decisions}
            wrong = [part for part, array in found.items() if not np.array_equal(array, expected[f"{case['name']}.{part}"])]
            if int(case["amax_bits"], 16) != int(np.float32(amax).view(np.uint32)):
                wrong.append("amax")
            if wrong:
                failures.append(f"{case['name']}: {' '.join(wrong)}")
            done += 1
    print("\n".join(failures))
    print(f"{done} cases computed, {len(failures)} differ")
    if done < LEAST:
        print(f"fewer than {LEAST}")
    return 1 if failures or done < LEAST else 0


if __name__ == "__main__":
    sys.exit(main())
