#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hif4 through the command: its files are decoded here from docs/formats.md, section 12, alone; then verification, evaluation, plans,
and one line where something does not take the format.

usage: hif4.py --lowbit PATH
"""
import argparse
import json
import math
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import tensors

failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")

ROWS, COLUMNS = 5, 150
BLOCKS = 3


def decoded(values, scales, columns):
    """The numbers of one row of stored bytes."""
    out = []
    for column in range(columns):
        block, i = divmod(column, 64)
        at = values[35 * block:35 * block + 35]
        levels = at[0] | at[1] << 8 | at[2] << 16
        doublings = (levels >> i // 8 & 1) + (levels >> 8 + i // 4 & 1)
        code = at[3 + i // 2] >> 4 * (i % 2) & 15
        scale = scales[block]
        value = (code & 7) / 4 * 2.0 ** (doublings + scale // 4 - 48) * (1 + scale % 4 / 4)
        out.append(math.copysign(value, -1 if code & 8 else 1))
    return out


def run(command, folder):
    draw = random.Random(1)
    x = [draw.gauss(0, 1) for _ in range(ROWS * COLUMNS)]
    x[7] = 200.0
    x = list(struct.unpack(f"<{len(x)}f", tensors.pack(x)))
    tensors.write(folder / "w.safetensors", {"a.weight": ("F32", [ROWS, COLUMNS], tensors.pack(x))})

    code, _, err = command("quantize", "w.safetensors", "-o", "q.safetensors", "--format", "hif4")
    check(code == 0, f"quantize --format hif4: {err}")
    stored, metadata = tensors.read(folder / "q.safetensors")
    values, scales = stored["a.weight.values"], stored["a.weight.scales"]
    check(values[1] == [ROWS, 35 * BLOCKS] and scales[1] == [ROWS, BLOCKS], f"hif4: shapes {values[1]} {scales[1]}")
    check(metadata["a.weight.format"] == "hif4" and tensors.floats(stored["a.weight.amax"][2]) == (1.0,), "hif4: record")
    rows = [decoded(values[2][35 * BLOCKS * r:], scales[2][BLOCKS * r:], COLUMNS) for r in range(ROWS)]
    wanted = [v for row in rows for v in row]
    code, _, err = command("dequantize", "q.safetensors", "-o", "d.safetensors")
    back, _ = tensors.read(folder / "d.safetensors")
    check(code == 0 and back["a.weight"][2] == tensors.pack(wanted), f"dequantize of hif4: {err}")

    # eval measures what quantize writes; all stored bits count.
    code, out, err = command("eval", "w.safetensors", "--format", "hif4", "--json", "-")
    check(code == 0, f"eval --format hif4: {err}")
    total = json.loads(out)["total"][0]
    squared = sum((a - b) ** 2 for a, b in zip(x, wanted))
    sqnr = 10 * math.log10(sum(a * a for a in x) / squared)
    check(math.isclose(total["sqnr_db"], sqnr, rel_tol=1e-12), f"SQNR of hif4: {total['sqnr_db']} {sqnr}")
    check(math.isclose(total["bits_per_element"], 288 * BLOCKS * ROWS / len(x)), f"bits of hif4: {total['bits_per_element']}")
    code, _, err = command("eval", "w.safetensors", "--format", "hif4", "--format", "nvfp4", "--html", "r.html")
    check(code == 0 and "hif4" in (folder / "r.html").read_text(), f"the page of hif4: {err}")

    # verify, explain, and a fault in a level.
    code, out, err = command("verify", "quantize", "w.safetensors", "q.safetensors")
    check(code == 0, f"verify quantize of hif4: {out}{err}")
    faulty = bytearray(values[2])
    faulty[35 * BLOCKS * 2 + 35 + 2] ^= 4
    tensors.write(folder / "f.safetensors", {**stored, "a.weight.values": (values[0], values[1], bytes(faulty))}, metadata)
    code, out, err = command("verify", "quantize", "w.safetensors", "f.safetensors")
    check(code == 1 and "row 2, block 1" in out and "levels" in out, f"a wrong level of hif4: {code} {out}{err}")
    code, out, err = command("explain", "w.safetensors", "--tensor", "a.weight", "--format", "hif4", "--block", "0,0")
    check(code == 0 and "levels" in out and "0x" in out, f"explain of hif4: {code} {out}{err}")

    # A plan, and its recipe.
    code, out, err = command("plan", "w.safetensors", "--budget", "6", "--format", "hif4", "--format", "mxfp8_e4m3", "-o", "recipe.json")
    check(code == 0, f"plan with hif4: {code} {out}{err}")
    code, out, err = command("quantize", "w.safetensors", "-o", "p.safetensors", "--recipe", "recipe.json")
    check(code == 0 and tensors.read(folder / "p.safetensors")[1]["a.weight.format"] == "hif4", f"recipe with hif4: {code} {err}")

    # What refuses it: one line, exit 2.
    for words in (["quantize", "w.safetensors", "-o", "n.safetensors", "--format", "hif4", "--block-2d"],
                  ["quantize", "w.safetensors", "-o", "n.safetensors", "--format", "hif4:mse"],
                  ["quantize", "w.safetensors", "-o", "n.safetensors", "--format", "hif4", "--dialect", "torchao"],
                  ["quantize", "w.safetensors", "-o", "n.safetensors", "--format", "hif4", "--scale-max", "448"],
                  ["gemm", "--a", "q.safetensors", "--b", "q.safetensors", "--model", "exact", "--out", "n.safetensors"]):
        code, out, err = command(*words)
        check(code == 2 and err.count("\n") == 1 and "hif4" in err, f"{words}: {code} {out}{err}")
    check(not (folder / "n.safetensors").exists(), "a refused request of hif4 left a file")
    code, out, err = command("formats", "hif4", "--json")
    record = json.loads(out)
    check(record["levels"] == [8, 16] and record["bits_per_element"] == 4.5 and len(record["codes"]) == 16, f"formats hif4: {out}{err}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    path = str(pathlib.Path(parser.parse_args().lowbit).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()

        def command(*words):
            done = subprocess.run([path, *words], capture_output=True, cwd=folder, timeout=300, stdin=subprocess.DEVNULL)
            return done.returncode, done.stdout.decode(), done.stderr.decode()

        run(command, folder)
    print(f"{len(failures)} failures" if failures else "all checks passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
