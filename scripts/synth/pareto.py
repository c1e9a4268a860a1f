#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sweeps abc targets and recipes for one unit between smallest area and best frequency; prints every
point as a Markdown table, those that no other point beats in both marked. One synthesis a point
(10 to 60 s each); finished points in --out are not made again."""
import argparse
import json
import os
import sys

import synth
from liberty import Library, LibertyError

# (recipe, target in ps or None for the recipe's own, PIPELINE)
POINTS = [("area", None, 0), ("area", 4000, 0), ("area", 8000, 0), ("area", None, 1), ("speed", None, 0), ("speed", None, 1)]


def front(points):
    """Of (area, frequency) pairs, whether each is on the Pareto front."""
    return [not any((a <= area and f >= mhz) and (a < area or f > mhz) for a, f in points) for area, mhz in points]


def sweep(options, library):
    rows = []
    for recipe, target, pipeline in POINTS:
        work = os.path.join(options.out, f"{recipe}_{target or synth.RECIPES[recipe][1]}_{pipeline}")
        done = os.path.join(work, "result.json")
        if not os.path.exists(done):
            args = synth.parser().parse_args(["--out", work, "--recipe", recipe, "--liberty", library.path, "-p", f"FORMAT={options.format}",
                                              "-p", "FLAGS=0", "-p", f"PIPELINE={pipeline}"] + (["--target", str(target)] if target else []))
            result = synth.synthesize(args, library)
            with open(done, "w", encoding="utf-8") as f:
                json.dump(result, f)
        with open(done, encoding="utf-8") as f:
            rows.append((recipe, target or synth.RECIPES[recipe][1], pipeline, json.load(f)))
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--format", type=int, default=13, help="number in lowbit_formats.sv (13: IF4, 0: NVFP4)")
    p.add_argument("--liberty", default="/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
    p.add_argument("--out", required=True, help="folder for the points")
    options = p.parse_args()
    options.out = os.path.abspath(options.out)
    try:
        rows = sweep(options, Library(options.liberty))
    except (LibertyError, synth.FlowError) as e:
        print(f"pareto.py: {e}", file=sys.stderr)
        return getattr(e, "code", 3)
    print("| recipe | target ps | PIPELINE | NAND2 | flip-flops | Fmax MHz | on the front |\n" + "| --- " * 7 + "|")
    best = front([(r["nand2"], r["fmax_mhz"]) for *_, r in rows])
    for (recipe, target, pipeline, r), on in zip(rows, best):
        print(f"| {recipe} | {target} | {pipeline} | {r['nand2']:,.0f} | {r['flip_flops']} | {r['fmax_mhz']} | {'yes' if on else ''} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
