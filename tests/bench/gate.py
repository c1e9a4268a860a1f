#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions of kernels with valgrind and compares them with tests/bench/counts.json: a count that grew by more than
5 % fails, and so does a kernel without a stored count. Counts belong to a compiler and its options; with others, or without
valgrind, the test is skipped (exit code 77).

usage: gate.py --program kernel_runs --compiler "GNU 12.2.0 -O2 -g1" [--store] [--stored FILE]    --store writes the counts anew
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
           ("quantize", "if4", "mse"), ("quantize", "if6_e2m3", "mse"), ("quantize", "mxfp4", "floor"),
           ("quantize", "mxfp8_e4m3", "floor"), ("eval", "nvfp4", "static_6"), ("dequantize", "nvfp4", "static_6"),
           ("amax", "nvfp4", "static_6")]
TARGETS = ("scalar", "AVX2")
NAMES = [" ".join((*kernel, target)) for kernel in KERNELS for target in TARGETS]
SKIPPED = 77


def instructions(program, name, runs):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=lowbit_counted",
                               f"--callgrind-out-file={folder}/out", program, *name.split(), str(runs)],
                              capture_output=True, text=True)
    if done.returncode == SKIPPED:
        print(f"skipped: this machine has no {name.split()[-1]}")
        raise SystemExit(SKIPPED)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found or int(found.group(1)) == 0:
        raise SystemExit(f"{name}: exit {done.returncode}: {done.stderr[-500:]}")
    return int(found.group(1))


def read_stored(path):
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return stored["compiler"], {name: int(count) for name, count in stored["counts"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SystemExit(f"{path}: no stored counts: {error!r}; write them with --store") from error


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--stored", type=pathlib.Path, default=pathlib.Path(__file__).with_name("counts.json"))
    arguments = parser.parse_args()
    compiler, stored = (arguments.compiler, {}) if arguments.store else read_stored(arguments.stored)
    if not shutil.which("valgrind"):
        print("skipped: no valgrind")
        return SKIPPED
    if compiler != arguments.compiler:
        print(f"skipped: counts are of {compiler}, this is {arguments.compiler}")
        return SKIPPED
    counts = {name: instructions(arguments.program, name, 10) // 10 for name in NAMES}
    if arguments.store:
        text = json.dumps({"compiler": arguments.compiler, "counts": counts}, indent=1)
        arguments.stored.write_text(text + "\n", encoding="utf-8")
        stored = counts
    faults = 0
    for name in sorted(stored.keys() | counts.keys()):
        fault = ""
        if name not in stored:
            fault = "has no stored count: store it with --store"
        elif name not in counts:
            fault = "is stored and not a kernel of the gate: store the counts with --store"
        elif counts[name] > stored[name] * 1.05:
            fault = "GREW by more than 5 %: make it faster, or store the counts with --store in the same commit"
        faults += fault != ""
        print(f"{name}: {counts.get(name, '-')} instructions per 4,096 elements, {stored.get(name, '-')} stored  {fault}".rstrip())
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
