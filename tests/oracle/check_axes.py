#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the blocks of tests/data/axis_examples.json, one or two for each value of each axis, to block_model.py.

usage: check_axes.py axis_examples.json LOWBIT
`LOWBIT dialects --json` says which values the axes of a dialect have. An example counts where the model gives both of its results: under the dialect, and
under the other value of the axis. Prints what is left out; exits with 1 where a result differs or fewer than LEAST were computed.
"""
import collections
import json
import subprocess
import sys

try:
    import numpy as np
except ImportError:
    print("no NumPy here (python3-numpy): left out")
    sys.exit(77)

import block_model

LEAST = 159


def axes_of(dialect, records):
    name, *changes = dialect.split("+")
    return {**records[name], **dict(change.split("=") for change in changes)}


def numbers(text):
    return np.array([int(word, 16) for word in text.split()], np.uint32).view(np.float32)


def result(example, axes):
    """Scale bytes, codes, and for axes of dequantization values: in hexadecimal digits."""
    form = block_model.FORMATS[example["format"]]
    x = numbers(example["x"]).reshape(-1, form.size)
    more = {"dtype": example["type"], "square": example.get("square", False), "scale_max": example.get("scale_max")}
    if "amax" in example:
        more["amax"] = numbers(example["amax"])[0]
    if example.get("stochastic"):
        u = ((np.arange(x.size, dtype=np.uint64) * 2654435761 >> 8 & 0xFFFF) / 65536).astype(np.float32)
        more["random"] = [u.reshape(1, -1), u.reshape(1, -1)] if more["square"] else [u.reshape(x.shape)] * 2
    with np.errstate(all="ignore"):
        tensor = block_model.Tensor(x, example["format"], example["rule"], axes, **more)
        codes, scales, _ = tensor.run()
    held = scales[:1] if more["square"] else scales
    text = "".join(f"{s:02x}" for s in held[:, 0]) + " " + "".join(f"{c:0{2 if form.element.bits > 4 else 1}x}" for c in codes.ravel())
    axis = example["axis"]
    if not (axis.startswith("dequant") or axis in ("constant_division", "int3_coding")):
        return text
    values = tensor.dequantized(codes[0], scales[0, 0])
    return text + " " + " ".join("nan" if np.isnan(v) else f"{v.view(np.uint32):08x}" for v in values)


def main():
    examples = json.load(open(sys.argv[1]))
    listed = subprocess.run([sys.argv[2], "dialects", "--json"], stdout=subprocess.PIPE, check=True).stdout
    records = {d["name"]: d["axes"] for d in json.loads(listed)}
    done, shown, failures, left_out = 0, set(), [], collections.Counter()
    for example in examples:
        axes = axes_of(example["dialect"], records)
        try:
            found = [result(example, axes), result(example, {**axes, example["axis"]: example["other"]})]
        except block_model.NotModelled as reason:
            left_out[f"{example['axis']}={example['value']}: {reason}"] += 1
            continue
        done += 1
        shown.add((example["axis"], example["value"]))
        for wanted, have in zip((example["result"], example["other_result"]), found):
            if wanted != have:
                failures.append(f"{example['axis']}={example['value']} ({example['other']}) {example['dialect']} {example['format']} {example['rule']} {example['source']}\n  {wanted}\n  {have}")
    print("\n".join(failures))
    print(f"{done} of {len(examples)} examples computed, {len(shown)} values of axes; {len(failures)} results differ")
    for reason, count in sorted(left_out.items()):
        print(f"  left out: {reason}")
    if done < LEAST:
        print(f"fewer than {LEAST}")
    return 1 if failures or done < LEAST else 0


if __name__ == "__main__":
    sys.exit(main())
