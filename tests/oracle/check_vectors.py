#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the release of test vectors to block_model.py and hif4_model.py, which are written from the documents and share no code with lowbit.

usage: check_vectors.py tests/data/vectors
Every case of canonical is computed, and those of each dialect whose axes block_model.py has. Prints what it compared; exits
with 1 where an array differs or fewer cases than the least below were compared.
"""
import collections
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
import hif4_model

# Cases that must have been computed: a change that makes the model refuse them is noticed.
LEAST_CANONICAL = 1690
LEAST_OTHERS = 4480


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


def computed(x, case, axes, dtype):
    """The arrays of a case, and A."""
    if case["format"] == "hif4":
        values, scales = hif4_model.quantize(x)
        return {"values": values, "scales": scales, "decisions": np.zeros_like(scales)}, 1.0
    codes, scales, decisions, amax = block_model.quantize(x, case["format"], case["rule"], axes, square=case["block_2d"], dtype=dtype)
    return {"values": block_model.packed(codes, case["format"]), "scales": scales, "decisions": decisions}, amax


def main():
    folder = pathlib.Path(sys.argv[1])
    index = json.loads((folder / "vectors.json").read_text())
    for key in ("inputs", "expected"):
        digest = hashlib.sha256((folder / index[key]["file"]).read_bytes()).hexdigest()
        assert digest == index[key]["sha256"], f"{index[key]['file']}: SHA-256"
    inputs, expected = (read(folder / index[key]["file"]) for key in ("inputs", "expected"))
    types = {t["name"]: t["dtype"].lower() for t in index["tensors"]}
    cases = [dict(zip(index["case_keys"], case)) for case in index["cases"]]
    failures, done, left_out = [], collections.Counter(), collections.Counter()
    known = {}
    for dialect in index["dialects"]:
        for number in dialect["cases"]:
            case = cases[number]
            key = (number, json.dumps(dialect["axes"], sort_keys=True))
            if key not in known:
                try:
                    known[key] = computed(inputs[case["input"]], case, dialect["axes"], types[case["input"]])
                except block_model.NotModelled as reason:
                    known[key] = reason
            if isinstance(known[key], Exception):
                left_out[str(known[key])] += 1
                continue
            found, amax = known[key]
            done["canonical" if dialect["name"] == "canonical" else "others"] += 1
            place = f"{case['format']}.{case['input']}"
            wrong = [part for part, array in found.items() if not np.array_equal(array, expected[f"{place}.{part}"][case[part]])]
            if f"{np.float32(amax).view(np.uint32):08x}" != case["amax"] and not np.isnan(amax):
                wrong.append("amax")
            if not wrong:
                continue
            failures.append(f"{dialect['name']} {case['format']} {case['rule']} {case['input']}{' 2d' if case['block_2d'] else ''}: {' '.join(wrong)}")
    for failure in failures[:40]:
        print(failure)
    print(f"{done['canonical']} cases of canonical and {done['others']} of other dialects computed, {len(failures)} differ")
    for reason, count in left_out.most_common():
        print(f"  left out: {reason} ({count})")
    if done["canonical"] < LEAST_CANONICAL or done["others"] < LEAST_OTHERS:
        print(f"fewer than {LEAST_CANONICAL} and {LEAST_OTHERS}")
        return 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
