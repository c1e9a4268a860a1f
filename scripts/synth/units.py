# SPDX-License-Identifier: MIT
"""The units of the report and the points at which each is synthesized."""
import collections

import synth

# top: module; lanes; formats: names, or None for all; beats: at most so many in the energy
# simulation (units of tens of thousands of cells get fewer).
Unit = collections.namedtuple("Unit", "top lanes formats beats")
UNITS = {
    "exact": Unit("lowbit_mac_exact_core", 16, None, 1 << 30),
    "block_fp32": Unit("lowbit_mac_block_fp32_core", 16, ("if4", "nvfp4", "nvint4", "if3"), 1 << 30),
    "gst": Unit("lowbit_mac_gst_core", 64, ("nvfp4",), 520),
    "published": Unit("lowbit_mac_published_core", 16, ("if4", "nvfp4"), 320),
}

# How a unit is synthesized: a recipe of synth.py, abc's target (None: the recipe's own) and the
# exact unit's PIPELINE.
Point = collections.namedtuple("Point", "recipe target_ps pipeline")


def name(point):
    """As the table has it: the recipe, @ a target that is not its own, + a deeper pipeline."""
    target = f"@{point.target_ps}" if point.target_ps not in (None, synth.RECIPES[point.recipe][1]) else ""
    return point.recipe + target + ("+pipeline" if point.pipeline else "")


def points(unit, fmt, recipes):
    """Of a table: recipes as asked for; NAME or NAME@PICOSECONDS; by default area, and best frequency for the two formats
    whose frequency is at stake. The exact unit has its deeper pipeline where frequency is wanted."""
    wanted = recipes or (("area", "speed") if unit == "exact" and fmt["name"] in ("if4", "nvfp4") else ("area",))
    out = []
    for r in wanted:
        recipe, _, target = r.partition("@")
        out.append(Point(recipe, int(target) if target else None, int(unit == "exact" and recipe in synth.FAST_ADDERS)))
    return out


def parameters(unit, fmt, point):
    if unit == "published":
        return [f"INTEGERS={int(fmt['integers'])}"]
    if unit == "gst":
        return []
    out = [f"FORMAT={fmt['id']}"]
    if unit == "exact":
        # Counted from operands to the raw accumulator; 0x7F reads as 448, without the sticky flags.
        out += ["FLAGS=0", f"PIPELINE={point.pipeline}"]
    return out
