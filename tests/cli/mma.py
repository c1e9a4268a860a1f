#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lowbit mma, run: golden outputs through files, padding and chaining, exit codes of bad input.

usage: mma.py --lowbit PATH
"""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import tempfile

failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def read(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    return {name: (e["dtype"], e["shape"], data[8 + length + e["data_offsets"][0]:8 + length + e["data_offsets"][1]])
            for name, e in header.items()}


def write(path, tensors):
    header, body = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    lowbit = parser.parse_args().lowbit
    data = pathlib.Path(__file__).resolve().parent.parent / "data"
    golden = pathlib.Path(os.environ.get("LOWBIT_GOLDEN_DIR", data)) / "tensor_core"
    work = pathlib.Path(tempfile.mkdtemp())

    def run(*arguments):
        return subprocess.run([lowbit, "mma", *map(str, arguments)], capture_output=True, text=True)

    def compute(instruction, tensors, *options):
        write(work / "in.safetensors", tensors)
        (work / "out.safetensors").unlink(missing_ok=True)
        result = run(instruction, "--in", work / "in.safetensors", "--out", work / "out.safetensors", *options)
        out = work / "out.safetensors"
        return result, read(out)["D"] if out.exists() else None

    # --list: every record, with what a reader needs.
    listed = json.loads(run("--list", "--json").stdout)
    lines = run("--list").stdout.splitlines()
    table = lines[1:lines.index("")]
    check([line.split()[0] for line in table] == [i["name"] for i in listed], "--list and --list --json name the same instructions")
    check(max(map(len, lines)) <= 100, "--list fits 100 columns")
    for word in {line.split()[-1] for line in table} | {i["evidence"] for i in listed} | {line.split()[-2] for line in table}:
        check(any(word in line for line in lines[lines.index(""):]), f"--list defines '{word}'")
    few = run("--list", "hopper WGMMA f16").stdout.splitlines()
    few = [line.split()[0] for line in few[1:few.index("")]]
    check(few == [i["name"] for i in listed if all(w in i["name"].lower() for w in ("hopper", "wgmma", "f16"))] and few, f"a pattern filters: {few}")
    none = run("--list", "Pascal")
    check(none.returncode == 2 and "Pascal" in none.stderr, f"a pattern that no name holds: {none.stderr}")
    for key in ("name", "architecture", "a", "b", "c", "d", "k", "terms", "fraction_bits", "rounding", "evidence"):
        check(all(key in i for i in listed), f"--json has {key}")

    # Another model's outputs, whole matrices, scales included.
    sim = read(golden / "mma_sim.safetensors")
    keys = sorted({k.rsplit(".", 1)[0] for k in sim})
    for key in keys:
        tensors = {x: sim[f"{key}.{x}"] for x in ("A", "B", "C", "scale_A", "scale_B") if f"{key}.{x}" in sim}
        result, d = compute(key.rsplit(".mode", 1)[0], tensors)
        check(result.returncode == 0 and d == sim[f"{key}.D"], f"{key}: {result.stderr}")

    # Recorded hardware rows, row by row.
    recorded = read(golden / "recorded.safetensors")
    for gpu, instruction in (("A100", "mma.Ampere.m16n8k8.f32.f16.f16.f32"), ("H100", "mma.Hopper.m16n8k16.f32.f16.f16.f32"),
                             ("V100", "mma.Volta.m8n8k4.f32.f16.f16.f32")):
        def halves(name):
            _, shape, words = recorded[f"{gpu}.fp16.fp32.{name}"]
            values = struct.unpack(f"<{len(words) // 4}f", words)
            return "F16", shape, struct.pack(f"<{len(values)}e", *values)
        c = recorded[f"{gpu}.fp16.fp32.c"]
        result, d = compute(instruction, {"A": halves("a"), "B": halves("b"), "C": ("F32", c[1], c[2])}, "--rowwise")
        check(result.returncode == 0 and d[2] == recorded[f"{gpu}.fp16.fp32.d"][2], f"{gpu} rows: {result.stderr}")

    # K = 20 is padded to 32, and said; C may be absent; M and N are free.
    one = struct.pack("<e", 1.0)
    result, d = compute("mma.Hopper.m16n8k16.f32.f16.f16.f32", {"A": ("F16", [3, 20], one * 60), "B": ("F16", [20, 2], one * 40)})
    check(result.returncode == 0 and "zero-padded" in result.stdout, "padding is said")
    check(d == ("F32", [3, 2], struct.pack("<6f", *[20.0] * 6)), "padding adds nothing")
    result, d = compute("wgmma.Hopper.m64n256k16.f32.f16.f16", {"A": ("F16", [1, 16], one * 16), "B": ("F16", [16, 1], one * 16)})
    check(d == ("F32", [1, 1], struct.pack("<f", 16.0)), "any mM and nN names the record")

    # A NaN scale gives NaN; the alternative parameters are heard.
    nvfp4 = "tcgen05mma_block_scale.Blackwell.m128n8k64.block16.f32.e2m1.e2m1.ue4m3"
    block = {"A": ("U8", [1, 32], b"\x22" * 32), "B": ("U8", [32, 1], b"\x22" * 32),
             "scale_A": ("U8", [1, 4], b"\x38\x38\x7f\x38"), "scale_B": ("U8", [4, 1], b"\x38" * 4)}
    result, d = compute(nvfp4, block)
    check(d[2] == struct.pack("<I", 0x7FFFFFFF), "a NaN scale gives NaN")
    result, d = compute("mma.Hopper.m16n8k16.f32.f16.f16.f32", {"A": ("F16", [1, 1], one), "B": ("F16", [1, 1], one)},
                        "--alternative", "fraction_bits=24")
    check(d[2] == struct.pack("<f", 1.0), "an alternative is accepted")

    # Bad input: the exit code, one line that names the file, nothing written.
    half = ("F16", [2, 16], one * 32)
    good = {"A": half, "B": ("F16", [16, 2], one * 32)}
    hopper = "mma.Hopper.m16n8k16.f32.f16.f16.f32"
    for what, instruction, tensors, options, code in (
            ("no A", hopper, {"B": good["B"]}, (), 3),
            ("wrong dtype", hopper, {**good, "A": ("BF16", [2, 16], one * 32)}, (), 3),
            ("K differs", hopper, {**good, "B": ("F16", [8, 4], one * 32)}, (), 3),
            ("one dimension", hopper, {**good, "A": ("F16", [32], one * 32)}, (), 3),
            ("wrong C", hopper, {**good, "C": ("F32", [4], b"\0" * 16)}, (), 3),
            ("C of another type", hopper, {**good, "C": ("F16", [2, 2], one * 4)}, (), 3),
            ("scales where none", hopper, {**good, "scale_A": ("U8", [2, 1], b"\0\0")}, (), 3),
            ("no scales", nvfp4, {k: v for k, v in block.items() if not k.startswith("scale")}, (), 3),
            ("scales of another shape", nvfp4, {**block, "scale_A": ("U8", [1, 3], b"\x38" * 3)}, (), 3),
            ("rowwise shapes", hopper, good, ("--rowwise",), 3),
            ("no such instruction", "mma.Pascal.m8n8k4.f32.f16.f16.f32", good, (), 2),
            ("no such alternative", hopper, good, ("--alternative", "colour=red"), 2)):
        result, d = compute(instruction, tensors, *options)
        check(result.returncode == code and d is None and len(result.stderr.splitlines()) == 1 and not result.stdout,
              f"{what}: exit {result.returncode}, {result.stderr!r}")
    (work / "in.safetensors").write_bytes(b"\xff" * 40)
    result = run(hopper, "--in", work / "in.safetensors", "--out", work / "out.safetensors")
    check(result.returncode == 3, "a file that is no safetensors")
    check(run(hopper, "--in", work / "none", "--out", work / "out").returncode == 3, "a file that is not there")
    check(run().returncode == 2 and run(hopper).returncode == 2, "no instruction, no files")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


raise SystemExit(main())
