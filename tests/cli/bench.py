#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lowbit bench, run: the keys, operations and formats of its JSON, and exit codes of bad input.

usage: bench.py --lowbit PATH
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

KEYS = {"operation", "format", "rule", "dtype", "target", "threads", "elements_per_second", "bytes_per_second"}
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    lowbit = parser.parse_args().lowbit
    work = pathlib.Path(tempfile.mkdtemp())

    def run(*arguments):
        return subprocess.run([lowbit, *map(str, arguments)], capture_output=True, text=True)

    result = run("bench", "--seconds", "0.001", "--json", "-")
    check(result.returncode == 0 and result.stderr == "", f"exit {result.returncode}: {result.stderr}")
    rows = json.loads(result.stdout)
    registry = json.loads(run("formats", "--json").stdout)["block_formats"]
    for row in rows:
        memory = row["operation"] in ("read", "write", "amax")
        wanted = KEYS - ({"format", "rule"} if memory else {"rule"} if "dequantize" in row["operation"] else set())
        check(set(row) == wanted, f"keys of {row}")
        threads = (1, len(os.sched_getaffinity(0))) if row["operation"].endswith("_tensor") else (1,)
        check(row["threads"] in threads, f"threads of {row}")
        check(row["elements_per_second"] > 1e5, f"speed of {row}")
        size = {"F32": 4, "F16": 2, "BF16": 2}[row["dtype"]]
        check(row["bytes_per_second"] >= size * row["elements_per_second"], f"bytes of {row}")
    for operation in ("read", "write", "amax"):
        check(sum(r["operation"] == operation for r in rows) == 1, operation)
    for operation in ("quantize", "eval"):
        got = sorted((r["format"], r["rule"]) for r in rows if r["operation"] == operation and r["dtype"] == "F32")
        # Rules that the engine looks up by search are too slow to be of interest here.
        check(got == sorted((f["name"], rule) for f in registry for rule in f["rules"]), f"{operation}: {got}")
        for dtype in ("F16", "BF16"):
            narrow = [r["format"] for r in rows if r["operation"] == operation and r["dtype"] == dtype]
            check(narrow == [f["name"] for f in registry], f"{operation} from {dtype}: {narrow}")
    check([r["format"] for r in rows if r["operation"] == "dequantize"] == [f["name"] for f in registry], "dequantize")
    for operation in ("quantize_tensor", "dequantize_tensor"):
        got = [(r["format"], r["threads"]) for r in rows if r["operation"] == operation]
        wanted = [(name, n) for name in ("nvfp4", "if4", "mxfp4") for n in sorted({1, len(os.sched_getaffinity(0))})]
        check(got == wanted, f"{operation}: {got}")
    for operation, names in (("quantize_memory", ["nvfp4", "if4", "mxfp4"]), ("quantize_measured", ["nvfp4", "if4"])):
        got = [r["format"] for r in rows if r["operation"] == operation]
        check(got == names, f"{operation}: {got}")
    # The command takes less than 40 s. Each case takes the default time, which other load does not change; the five cases from memory
    # take four times as much. 10 s are left for the inputs and for repetitions that last longer.
    default = re.search(r"--seconds .*\]=([0-9.]+)", run("bench", "--help").stdout)
    check(default is not None and (len(rows) + 15) * float(default.group(1)) <= 30, f"{len(rows)} cases, {default and default.group(1)} s each")
    listed = run("formats").stdout
    for row in rows:
        if row["operation"] == "quantize" and row["format"] in ("nvfp4", "if4", "mxfp4", "nvint4"):
            check(row["target"] != "scalar", f"{row} is not served by a vector kernel")
    check("no vector kernel" in listed, "lowbit formats names what falls back")

    check(run("bench", "--seconds", "0.001", "--json", work / "r.json").returncode == 0, "a file")
    check(json.loads((work / "r.json").read_text())[0]["operation"] == "read", "the file's first row")
    check(run("bench", "--seconds", "0").returncode == 2, "no time")
    refused = run("bench", "--seconds", "0.001", "--json", work / "no" / "r.json")
    check(refused.returncode == 3 and refused.stderr.count("\n") == 1, f"an unwritable file: {refused.stderr}")
    if failures:
        return 1
    print("lowbit bench: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
