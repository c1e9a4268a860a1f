#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Results that need not be measured again: those too long for the default set, kept in stored.json, and rows of an earlier report
(`--rows`). Called with a file of rows (JSON of `lowbit mac report`) it stores those of the published unit, with the command that made them:

    lowbit mac report --units published --formats if4,nvfp4 --glitches --no-stored --json rows.json
    python3 scripts/synth/stored.py rows.json
"""
import json
import os
import re
import sys

import measure
import synth
import units
from cache import atomically, digest
from liberty import LibertyError
from library import Library

STORED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stored.json")
COMMAND = "lowbit mac report --units published --formats if4,nvfp4 --glitches --no-stored --json rows.json"


def code(path):
    """A source without comments and spacing: neither changes what is synthesized."""
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", f.read(), flags=re.S)
    return " ".join(text.split())


def key(unit, fmt, point, library):
    """Hash of what decides a synthesis: the RTL, its parameters, the recipe and the library's contents."""
    top = units.UNITS[unit].top
    return digest(top, json.dumps([units.parameters(unit, fmt, point), synth.RECIPES[point.recipe], point.target_ps]), library.path,
                  *(code(p) for p in synth.sources(top, None)))


def name(unit, fmt, point, library):
    return unit, fmt["name"], units.name(point), library.name, units.lanes(unit, point)


def named(result):
    return tuple(result.get(k) for k in ("unit", "format", "recipe", "library", "lanes"))


def unlike(result, spec, unit, fmt, point, library):
    """What keeps a result of this name from standing for a measurement, or None."""
    if result.get("key") != key(unit, fmt, point, library):
        return "of another RTL, recipe or library"
    if spec["lef"] or spec["models"]:
        return "without --lef and --models"
    if spec["energy"] and result.get("operands") != measure.operands(spec, unit, fmt, point):
        return "of other operands"
    return None


def unasked(result, spec):
    """What was asked for that a row of an earlier report does not have, or None. A stored result has no wires: they are not asked of it."""
    if not spec["energy"]:
        return None
    if result.get("pj_per_mac") is None or (spec["glitches"] and result.get("glitch_pj_per_mac") is None):
        return "without the energy asked for"
    if result.get("stored"):
        return None
    return None if (result.get("wire_ff"), result.get("period_ns")) == (spec["wire_ff"], spec["period_ns"]) else "of another --wire or --period"


# What a report says of its rows together; another report says it anew.
OF_A_REPORT = ("node", "pareto", "best", "clock_mhz", "meets_timing", "nand2_over_nvfp4", "nand2_over_nvint4")


def read_rows(path):
    """Rows of `lowbit mac report --json`."""
    try:
        with open(path, encoding="utf-8") as f:
            rows = json.load(f)
    except ValueError as e:
        raise synth.FlowError(f"--rows {path}: no JSON ({e}); give a file that `lowbit mac report --json` wrote", 3) from None
    if not isinstance(rows, list) or not all(isinstance(r, dict) and None not in named(r) for r in rows):
        raise synth.FlowError(f"--rows {path}: not a list of rows; give a file that `lowbit mac report --json` wrote", 3)
    return [{k: v for k, v in r.items() if k not in OF_A_REPORT} for r in rows]


def row(spec, unit, fmt, point, library):
    """(row, None) where stored.json or the rows of an earlier report have this design; (None, reason) where what they have was made
    from something else; (None, None) where they have nothing."""
    reason = None
    with open(STORED, encoding="utf-8") as f:
        known = [("the stored result", dict(r, stored=True)) for r in json.load(f)] + [("the earlier row", r) for r in spec["rows"]]
    for what, result in known:
        if named(result) != name(unit, fmt, point, library):
            continue
        why = unlike(result, spec, unit, fmt, point, library) or unasked(result, spec)
        if why is None:
            return result, None
        reason = f"{what} is {why}"
    return None, reason


def store(path, liberty):
    with open(path, encoding="utf-8") as f:
        rows = [r for r in json.load(f) if r["unit"] == "published"]
    library = Library(liberty)
    out = []
    for r in rows:
        if r["stored"] or r.get("glitch_pj_per_mac") is None:
            raise synth.FlowError(f"{path}: {r['format']} is not measured with glitches: make it by {COMMAND}", 3)
        # The published unit's parameters do not depend on the format's number.
        fmt = {"name": r["format"], "id": 0, "integers": r["integers"]}
        out.append(dict(r, command=COMMAND, key=key(r["unit"], fmt, units.Point(r["recipe"], None, 0), library)))
    atomically(STORED, json.dumps(out, indent=1) + "\n")


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        store(sys.argv[1], "/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
    except (OSError, ValueError, KeyError, LibertyError, synth.FlowError) as e:
        print(f"stored.py: {e}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
