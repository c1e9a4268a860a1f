#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions of kernels with valgrind and compares them with tests/bench/counts.json: a count that grew by more than
5 % fails. Counts belong to a compiler and its options; with others, or without valgrind, the test is skipped (exit code 77).

usage: gate.py --program kernel_runs --compiler "GNU 12.2.0 -O2 -g1" [--store]    --store writes the counts anew
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

KERNELS = [("quantize", "nvfp4", "static_6"), ("quantize", "nvfp4", "mse"), ("quantize", "nvfp4", "abs_max"),
           ("quantize", "if4", "mse"), ("quantize", "nvint4", "static_6"), ("quantize", "mxfp4", "floor"),
           ("quantize", "mxfp8_e4m3", "floor"), ("eval", "nvfp4", "static_6"), ("dequantize", "nvfp4", "static_6"),
           ("amax", "nvfp4", "static_6")]
STORED = pathlib.Path(__file__).with_name("counts.json")
SKIPPED = 77


def instructions(program, kernel, target, runs):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=lowbit_counted", f"--callgrind-out-file={folder}/out", program, *kernel, target, str(runs)],
                              capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise SystemExit(f"{kernel} {target}: exit {done.returncode}: {done.stderr[-500:]}")
    return int(found.group(1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--store", action="store_true")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        print("skipped: no valgrind")
        return SKIPPED
    stored = {} if arguments.store else json.loads(STORED.read_text(encoding="utf-8"))
    if not arguments.store and stored["compiler"] != arguments.compiler:
        print(f"skipped: counts are of {stored['compiler']}, this is {arguments.compiler}")
        return SKIPPED
    counts, grown = {}, 0
    for kernel in KERNELS:
        for target in ("scalar", "AVX2"):
            name = " ".join((*kernel, target))
            counts[name] = instructions(arguments.program, kernel, target, 10) // 10
            before = stored.get("counts", {}).get(name, counts[name])
            mark = ""
            if counts[name] > before * 1.05:
                grown += 1
                mark = "  GREW by more than 5 %: make it faster, or store the counts with --store in the same commit"
            print(f"{name}: {counts[name]} instructions per 4,096 elements, {before} stored{mark}")
    if arguments.store:
        STORED.write_text(json.dumps({"compiler": arguments.compiler, "counts": counts}, indent=1) + "\n", encoding="utf-8")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
