#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints a report of `lowbit bench` as a table, with the speed of ml_dtypes and gfloat where they are installed.

usage: bench_table.py REPORT.json    exit code 3 where the report is none

ml_dtypes converts elements to E2M1 and knows no blocks, so its row leaves out what a block scale costs. gfloat
quantizes whole blocks, one at a time in Python.
"""
import json
import sys
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
    import numpy

    return numpy.random.default_rng(1).normal(0.0, 0.02, ELEMENTS).astype(numpy.float32)


def ml_dtypes_row():
    import ml_dtypes

    x = normal_values() * 60
    return f"ml_dtypes {ml_dtypes.__version__}", "E2M1 elements", fastest(lambda: x.astype(ml_dtypes.float4_e2m1fn)), len(x)


def gfloat_row():
    import gfloat
    from gfloat.formats import format_info_ocp_e2m1, format_info_ocp_e8m0

    # A 16th of the values: blocks are handled in Python, and the rate does not depend on their number.
    x = normal_values()[: ELEMENTS // 16].astype(float)
    info = gfloat.BlockFormatInfo("mxfp4", format_info_ocp_e2m1, 32, format_info_ocp_e8m0)

    def work():
        for block in x.reshape(-1, 32):
            list(gfloat.encode_block(info, gfloat.compute_scale_amax(2.0, block), block))

    return f"gfloat {getattr(gfloat, '__version__', '')}".strip(), "mxfp4 blocks", fastest(work), len(x)


def main():
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            rows = json.load(file)
        print(f"{'operation':<12}{'format':<16}{'rule':<10}{'target':<10}{'M elements/s':>13}{'GB/s':>8}")
        for r in rows:
            print(f"{r['operation']:<12}{r.get('format', '-'):<16}{r.get('rule', '-'):<10}{r['target']:<10}"
                  f"{r['elements_per_second'] / 1e6:>13.0f}{r['bytes_per_second'] / 1e9:>8.1f}")
    except (IndexError, OSError, ValueError, KeyError, TypeError) as error:
        print(f"bench_table.py: no report of lowbit bench: {error}", file=sys.stderr)
        return 3
    for row in (ml_dtypes_row, gfloat_row):
        try:
            name, what, seconds, elements = row()
        except ImportError as error:
            print(f"bench_table.py: {error.name} is not installed; its row is left out", file=sys.stderr)
            continue
        print(f"{'quantize':<12}{what:<16}{'-':<10}{name:<20}{elements / seconds / 1e6:>3.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
