#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints a report of `lowbit bench` as a table, then the speed of other programs on as many normal values, and how many
times faster lowbit is at the same operation and format.

usage: bench_table.py REPORT.json [--ggml PROGRAM]    exit code 3 where the report is none

ml_dtypes converts elements to E2M1 and knows no blocks, so its row leaves out what a block scale costs. gfloat quantizes
whole blocks, one at a time in Python. ggml is its reference code, which chooses other scales for NVFP4 than lowbit.
"""
import argparse
import array
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ELEMENTS = 1 << 16


def fastest(work, seconds=1.0):
    best, end = float("inf"), time.perf_counter() + seconds
    while True:
        begin = time.perf_counter()
        work()
        now = time.perf_counter()
        best = min(best, now - begin)
        if now >= end:
            return best


def normal_values():
    numbers = random.Random(1)
    return array.array("f", (numbers.gauss(0.0, 0.02) for _ in range(ELEMENTS)))


def ml_dtypes_rows(values):
    import ml_dtypes
    import numpy

    x = numpy.frombuffer(values, numpy.float32) * 60
    seconds = fastest(lambda: x.astype(ml_dtypes.float4_e2m1fn))
    return [(f"ml_dtypes {ml_dtypes.__version__}, elements", "quantize", "mxfp4", len(x) / seconds)]


def gfloat_rows(values):
    import gfloat
    import numpy
    from gfloat.formats import format_info_ocp_e2m1, format_info_ocp_e8m0

    # A 16th of the values: blocks are handled in Python, and the rate does not depend on their number.
    x = numpy.frombuffer(values, numpy.float32)[: ELEMENTS // 16].astype(float)
    info = gfloat.BlockFormatInfo("mxfp4", format_info_ocp_e2m1, 32, format_info_ocp_e8m0)

    def work():
        for block in x.reshape(-1, 32):
            list(gfloat.encode_block(info, gfloat.compute_scale_amax(2.0, block), block))

    return [(f"gfloat {getattr(gfloat, '__version__', '')}".strip(), "quantize", "mxfp4", len(x) / fastest(work))]


def ggml_rows(program, values):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "values"
        path.write_bytes(values.tobytes())
        done = subprocess.run([program, path], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [("ggml", r["operation"], r["format"], r["elements_per_second"]) for r in rows]


def print_report(rows):
    print(f"{'operation':<18}{'format':<14}{'rule':<10}{'dtype':<7}{'target':<8}{'threads':>7}{'M elements/s':>13}{'GB/s':>8}")
    for r in rows:
        print(f"{r['operation']:<18}{r.get('format', '-'):<14}{r.get('rule', '-'):<10}{r['dtype']:<7}{r['target']:<8}{r['threads']:>7}"
              f"{r['elements_per_second'] / 1e6:>13.0f}{r['bytes_per_second'] / 1e9:>8.1f}")


def print_others(rows, others):
    # lowbit's first rule of a format: static_6, floor, mse.
    ours = {}
    for r in rows:
        if r["dtype"] == "F32":
            ours.setdefault((r["operation"], r.get("format")), r["elements_per_second"])
    print(f"\n{'operation':<12}{'format':<14}{'program':<30}{'M elements/s':>13}{'lowbit, times':>15}")
    for name, operation, block_format, rate in others:
        print(f"{operation:<12}{block_format:<14}{name:<30}{rate / 1e6:>13.1f}"
              f"{ours[operation, block_format] / rate:>15.1f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("report")
    parser.add_argument("--ggml", help="tests/bench/ggml_rates.c, compiled")
    arguments = parser.parse_args()
    try:
        with open(arguments.report, encoding="utf-8") as file:
            rows = json.load(file)
        print_report(rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"bench_table.py: {arguments.report}: no report of lowbit bench: {error}", file=sys.stderr)
        return 3
    values = normal_values()
    others = ggml_rows(arguments.ggml, values) if arguments.ggml else []
    for find in (ml_dtypes_rows, gfloat_rows):
        try:
            others += find(values)
        except ImportError as error:
            print(f"bench_table.py: {error.name} is not installed; its row is left out", file=sys.stderr)
    if others:
        print_others(rows, others)
    return 0


if __name__ == "__main__":
    sys.exit(main())
