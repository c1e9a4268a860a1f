#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Results too long for the default set, kept in stored.json. Called with a file of rows (JSON of
`lowbit mac report`) it stores those of the published unit, with the command that made them:

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


def row(spec, unit, fmt, point, library):
    """(row, None) where stored.json has this design; (None, reason) where what it has was made from
    something else; (None, None) where it has nothing."""
    with open(STORED, encoding="utf-8") as f:
        stored = json.load(f)
    for result in stored:
        if (result["unit"], result["format"], result["recipe"], result["library"], result["lanes"]) != (unit, fmt["name"], units.name(point), library.name, units.lanes(unit, point)):
            continue
        if result["key"] != key(unit, fmt, point, library):
            return None, "of another RTL, recipe or library"
        if spec["lef"] or spec["models"]:
            return None, "without --lef and --models"
        if spec["energy"] and result["operands"] != measure.operands(spec, unit, fmt, point):
            return None, "of other operands"
        return dict({k: v for k, v in result.items() if k != "key"}, stored=True), None
    return None, None


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
