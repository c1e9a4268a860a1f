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
    # Baselines.
    "integer": Unit("lowbit_mac_integer_core", 16, ("int8", "int4"), 1 << 30),
    "bf16_fma": Unit("lowbit_mac_bf16_fma_core", 4, ("bf16",), 520),
    "fp8_fp32": Unit("lowbit_mac_fp8_fp32_core", 16, ("fp8_e4m3",), 1 << 30),
    "lut": Unit("lowbit_mac_lut_core", 16, ("int8_int4", "int8_int2", "int8_int1"), 1 << 30),
}


def has(unit, fmt):
    """Whether the unit has the format. The exact unit has every block format; plain formats are of the baselines."""
    formats = UNITS[unit].formats
    return fmt["name"] in formats if formats else not fmt.get("plain")


# How a unit is synthesized: a recipe of synth.py, abc's target (None: the recipe's own), the exact unit's PIPELINE,
# LANES and ACC_W (None: the unit's own).
Point = collections.namedtuple("Point", "recipe target_ps pipeline lanes acc_width", defaults=(None, None))


def lanes(unit, point):
    return point.lanes or UNITS[unit].lanes


def name(point):
    """As the table has it: the recipe, @ a target that is not its own, + a deeper pipeline."""
    target = f"@{point.target_ps}" if point.target_ps not in (None, synth.RECIPES[point.recipe][1]) else ""
    return point.recipe + target + ("+pipeline" if point.pipeline else "")


def points(unit, fmt, recipes, lanes=None, acc_width=None, pipeline=None):
    """Of a table: recipes as asked for; NAME or NAME@PICOSECONDS; by default area, and best frequency for the two formats
    whose frequency is at stake. The exact unit has its deeper pipeline where frequency is wanted, or as asked for. Where lanes
    are not asked for, an exact unit of a format with longer blocks than it has lanes comes with a lane per element too."""
    wanted = recipes or (("area", "speed") if unit == "exact" and fmt["name"] in ("if4", "nvfp4") else ("area",))
    out = []
    for r in wanted:
        recipe, _, target = r.partition("@")
        deep = int(unit == "exact" and recipe in synth.FAST_ADDERS) if pipeline is None else int(pipeline)
        whole = (None, fmt["block_size"]) if unit == "exact" and fmt["block_size"] > UNITS[unit].lanes else (None,)
        out += [Point(recipe, int(target) if target else None, deep, n, acc_width) for n in ((lanes,) if lanes else whole)]
    return out


# With the exact unit's deeper pipeline, so many levels of the sum of products stand before its first register: fewer flip-flops. With the
# register before the sum, lanes make a short stage and the sum the longest.
LEVELS = {"speed": 2, "compact": 2, "fastest": 1}


def parameters(unit, fmt, point):
    wide = [f"LANES={point.lanes}"] if point.lanes else []
    if unit == "published":
        return [f"INTEGERS={int(fmt['integers'])}"] + wide
    if unit == "gst":
        return []
    if unit in ("bf16_fma", "fp8_fp32"):
        return wide or [f"LANES={UNITS[unit].lanes}"]
    if unit in ("integer", "lut"):
        # int8, int4; int8_int4: activations, weights.
        bits, _, weights = fmt["name"].replace("int", "").partition("_")
        return [f"BITS={bits}"] + ([f"W_BITS={weights}"] if weights else []) + wide + ([f"ACC_W={point.acc_width}"] if point.acc_width else [])
    out = [f"FORMAT={fmt['id']}"] + wide
    if unit == "exact":
        # Counted from operands to the raw accumulator; 0x7F reads as 448, without the sticky flags.
        levels = LEVELS.get(point.recipe) if point.pipeline else None
        out += ["FLAGS=0", f"PIPELINE={point.pipeline}"] + ([f"LEVELS={levels}"] if levels else []) + ([f"ACC_W={point.acc_width}"] if point.acc_width else [])
    return out
