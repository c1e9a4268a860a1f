# SPDX-License-Identifier: MIT
"""The sweep between smallest area and best frequency, and its Pareto front."""
from units import Point

# Targets in ps around each recipe's own (None: a point that the table has too); with and without the
# exact unit's deeper pipeline.
TARGETS = {"area": (4000, None, 8000), "default": (None,), "speed": (2000, None, 4000)}


def points(unit):
    return [Point(recipe, target, pipeline) for recipe, targets in TARGETS.items() for target in targets
            for pipeline in ((0, 1) if unit == "exact" else (0,))]


def front(pairs):
    """Of (area, frequency) pairs, whether each is on the Pareto front."""
    return [not any((a <= area and f >= mhz) and (a < area or f > mhz) for a, f in pairs) for area, mhz in pairs]


def mark(rows):
    """Sets `pareto` of every row: whether no other point of its unit and format beats it in both."""
    for kind in {(r["unit"], r["format"]) for r in rows}:
        same = [r for r in rows if (r["unit"], r["format"]) == kind]
        for row, on in zip(same, front([(r["nand2"], r["fmax_mhz"]) for r in same])):
            row["pareto"] = on
