# SPDX-License-Identifier: MIT
"""The sweep between smallest area and best frequency, and its Pareto front."""
from units import Point

# Smallest area, yosys' own script, best frequency. abc's target is no axis (docs/mac_area.md).
RECIPES = ("area", "default", "speed")


def points(unit):
    """Every recipe, with and without the exact unit's deeper pipeline."""
    return [Point(recipe, None, pipeline) for recipe in RECIPES for pipeline in ((0, 1) if unit == "exact" else (0,))]


def front(pairs):
    """Of (area, frequency) pairs, whether each is on the Pareto front."""
    return [not any((a <= area and f >= mhz) and (a < area or f > mhz) for a, f in pairs) for area, mhz in pairs]


def mark(rows):
    """Sets `pareto` of every row: whether no other point of its unit and format beats it in both."""
    for kind in {(r["unit"], r["format"]) for r in rows}:
        same = [r for r in rows if (r["unit"], r["format"]) == kind]
        for row, on in zip(same, front([(r["nand2"], r["fmax_mhz"]) for r in same])):
            row["pareto"] = on
