#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""E2M1 under UE5M3 scales as a user has it: ALTO's captured bytes from `lowbit quantize`, the way back, verification, evaluation,
plans and exact products, and one line where something does not take the format.

usage: amdfp4.py --lowbit PATH
"""
import argparse
import json
import math
import pathlib
import struct
import subprocess
import tempfile
from fractions import Fraction

import tensors

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def scale_value(byte):
    """UE5M3, from its definition."""
    fraction = Fraction(byte & 7, 8)
    return fraction / 2**14 if byte < 8 else (1 + fraction) * Fraction(2) ** ((byte >> 3) - 15)


def element_value(code):
    return (0, Fraction(1, 2), 1, Fraction(3, 2), 2, 3, 4, 6)[code & 7] * (-1 if code & 8 else 1)


def products(path, name):
    """Rows of exact values of a quantized file."""
    held, metadata = tensors.read(path)
    (amax,) = struct.unpack("<f", held[f"{name}.amax"][2])
    outer = Fraction(amax) / Fraction(metadata[f"{name}.encode_constant"])
    _, (rows, width), values = held[f"{name}.values"]
    scales = held[f"{name}.scales"][2]
    blocks = len(scales) // rows
    return [[element_value(values[r * width + k // 2] >> 4 * (k % 2) & 15) * scale_value(scales[r * blocks + k // 16]) * outer
             for k in range(2 * width)] for r in range(rows)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    command = parser.parse_args().lowbit
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)

        def run(*arguments):
            done = subprocess.run([command, *arguments], capture_output=True, text=True, cwd=folder, timeout=300)
            return done.returncode, done.stdout, done.stderr

        def good(*arguments):
            code, out, err = run(*arguments)
            check(code == 0, f"{arguments}: exit {code}: {err}")
            return out

        def bad(says, *arguments):
            code, out, err = run(*arguments)
            check(code == 2 and err.count("\n") == 1 and says in err, f"{arguments}: exit {code}, says {says}: {err}")

        # ALTO's bytes and values.
        held = tensors.read(DATA / "codec_vectors.safetensors")[0]
        tensors.write(folder / "x.safetensors", {"input": held["input"]})
        good("quantize", "x.safetensors", "-o", "alto.safetensors", "--format", "amdfp4", "--dialect", "alto")
        got = tensors.read(folder / "alto.safetensors")[0]
        (amax,) = struct.unpack("<f", got["input.amax"][2])
        outer = struct.pack("<f", amax / 688128)
        check(outer + got["input.scales"][2] + got["input.values"][2] == held["amdfp4"][2], "quantize --dialect alto: ALTO's bytes")
        good("dequantize", "alto.safetensors", "-o", "back.safetensors")
        check(tensors.read(folder / "back.safetensors")[0]["input"][2] == held["amdfp4.values"][2], "dequantize: ALTO's values")
        out = good("verify", "quantize", "x.safetensors", "alto.safetensors")
        check("alto" in out, f"verify quantize knows the dialect: {out}")

        # The default arithmetic: its values are exact products, rounded once.
        good("quantize", "x.safetensors", "-o", "q.safetensors", "--format", "amdfp4")
        good("dequantize", "q.safetensors", "-o", "v.safetensors")
        values = tensors.floats(tensors.read(folder / "v.safetensors")[0]["input"][2])
        exact = [v for row in products(folder / "q.safetensors", "input") for v in row]
        wrong = sum(struct.pack("<f", float(e)) != struct.pack("<f", v) and e != 0 for e, v in zip(exact, values))
        check(wrong == 0, f"dequantize: {wrong} values are not the exact products rounded to F32")
        code, out, _ = run("verify", "quantize", "x.safetensors", "q.safetensors", "--dialect", "alto")
        check(code == 1 and "of 384" in out, f"the dialects differ: {code} {out}")
        for rule in ("static_4", "mse", "mae", "abs_max", "optimal", "search:3"):
            good("quantize", "x.safetensors", "-o", "r.safetensors", "--format", f"amdfp4:{rule}")
            good("verify", "quantize", "x.safetensors", "r.safetensors")
        out = good("explain", "x.safetensors", "--format", "amdfp4", "--block", "0,0")
        check("0x5b (0.0859375)" in out and "from tie 0.0820312" in out, f"explain decodes the scale byte: {out}")

        # Reports.
        report = json.loads(good("eval", "x.safetensors", "--format", "amdfp4", "--format", "amdfp4:mse", "--format", "nvfp4", "--json", "-"))
        check(json.dumps(report).count("amdfp4") >= 2, "eval --json has both rules")
        good("eval", "x.safetensors", "--format", "amdfp4", "--html", "e.html")
        check("amdfp4" in (folder / "e.html").read_text(), "eval --html")
        good("plan", "x.safetensors", "--all", "--budget", "4.5", "--format", "amdfp4", "--format", "mxfp4", "-o", "recipe.json")
        check("amdfp4" in (folder / "recipe.json").read_text(), "plan chooses it")
        good("quantize", "x.safetensors", "--all", "--recipe", "recipe.json", "-o", "p.safetensors")
        out = good("formats")
        check("amdfp4" in out and "ue5m3" in out, "formats")
        check("114688" in good("formats", "ue5m3"), "formats ue5m3 prints its codes")

        # An exact product.
        rows = [[math.sin(i + 3 * k) * 2.0 ** (-k) for k in range(32)] for i in range(3)]
        tensors.write(folder / "m.safetensors", {"a": ("F32", [3, 32], tensors.pack([v for r in rows for v in r]))})
        good("quantize", "m.safetensors", "-o", "a.safetensors", "--format", "amdfp4")
        good("gemm", "--a", "a.safetensors", "--b", "a.safetensors", "--model", "exact", "--out", "d.safetensors")
        a = products(folder / "a.safetensors", "a")
        (result,) = tensors.read(folder / "d.safetensors")[0].values()
        wanted = [float(sum(x * y for x, y in zip(p, q))) for p in a for q in a]
        check(all(abs(g - w) <= 2.0**-24 * abs(w) for g, w in zip(tensors.floats(result[2]), wanted)), "gemm --model exact")

        # What does not take it says so.
        bad("ue5m3", "gemm", "--a", "a.safetensors", "--b", "a.safetensors", "--model",
            "mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3", "--out", "e.safetensors")
        bad("amdfp4", "mac", "run", "--unit", "exact", "--format", "amdfp4")
        bad("114688", "quantize", "x.safetensors", "-o", "n.safetensors", "--format", "amdfp4", "--scale-max", "448")
        bad("unknown rule of amdfp4 'floor'", "quantize", "x.safetensors", "-o", "n.safetensors", "--format", "amdfp4:floor")
        check(not (folder / "n.safetensors").exists() and not (folder / "e.safetensors").exists(), "nothing is written")
    if failures:
        raise SystemExit(f"{len(failures)} checks failed")
    print("amdfp4: all checks passed")


if __name__ == "__main__":
    main()
