# SPDX-License-Identifier: MIT
"""The search for the best recipe on a library, and the Pareto front between smallest area and highest clock.

First every recipe, with and without the exact unit's deeper pipeline; then, round by round, the best of each objective with
goals a little shorter and a little longer than the period that it reached, until no round adds a point or ROUNDS are over."""
import synth
import units

ROUNDS = 3
STEPS = (0.93, 1.07)


def points(unit):
    """Of the first round. Without the deeper pipeline, of recipes that differ in LEVELS alone the first: they are the same."""
    firsts = {(r, recipe in synth.FAST_ADDERS, recipe in synth.RESIZED): recipe for recipe, r in reversed(synth.RECIPES.items())}
    return ([units.Point(recipe, None, 0) for recipe in synth.RECIPES if recipe in firsts.values()]
            + ([units.Point(recipe, None, 1) for recipe in synth.RECIPES] if unit == "exact" else []))


def energy(row):
    """pJ/MAC with glitches where they were measured, or None."""
    return row.get("glitch_pj_per_mac") or row.get("pj_per_mac")


def objectives(rows, clock_mhz):
    """{objective: its best row} of rows of one unit and format; an objective that no row can have is left out."""
    meets = [r for r in rows if not clock_mhz or r["fmax_mhz"] >= clock_mhz]
    measured = [r for r in rows if energy(r)]
    found = {f"smallest area{f' at {clock_mhz:g} MHz' if clock_mhz else ''}": min(meets, key=lambda r: r["nand2"], default=None),
             "highest clock": max(rows, key=lambda r: r["fmax_mhz"]),
             "most GMAC/s/mm2": max(rows, key=lambda r: r["gmac_per_s_per_mm2"]),
             "least pJ/MAC": min(measured, key=energy, default=None)}
    return {k: r for k, r in found.items() if r is not None}


def groups(todo, rows):
    """The (point, row) pairs of each unit and format."""
    out = {}
    for (unit, fmt, point), row in zip(todo, rows):
        out.setdefault((unit, fmt["name"]), (unit, fmt, []))[2].append((point, row))
    return out.values()


def closer(todo, rows, clock_mhz):
    """(unit, format, point) of the next round: what is not measured yet beside the best of each objective."""
    out = []
    for unit, fmt, pairs in groups(todo, rows):
        known = [p for p, _ in pairs]
        for name, best in objectives([r for _, r in pairs], clock_mhz).items():
            point = next(p for p, r in pairs if r is best)
            if point.recipe not in synth.RESIZED or name == "highest clock":
                continue  # the target moves little where no cells are exchanged, and nothing where the period is as short as it gets
            goals = [1e6 / best["fmax_mhz"] * s for s in STEPS] + ([1e6 / clock_mhz] if clock_mhz and name.startswith("smallest") else [])
            for goal in goals:
                new = point._replace(target_ps=round(goal, -1 if goal >= 1000 else None))
                new = new._replace(target_ps=int(new.target_ps))
                if new not in known:
                    known.append(new)
                    out.append((unit, fmt, new))
    return out


def front(pairs):
    """Of (area, frequency) pairs, whether each is on the Pareto front."""
    return [not any((a <= area and f >= mhz) and (a < area or f > mhz) for a, f in pairs) for area, mhz in pairs]


def mark(rows, clock_mhz=0):
    """Sets `pareto` of every row: whether no other point of its unit and format beats it in area and clock; and `best` of those
    that are the best of an objective. Returns a line for each unit and format that nothing brings to the clock."""
    late = []
    for kind in dict.fromkeys((r["unit"], r["format"]) for r in rows):
        same = [r for r in rows if (r["unit"], r["format"]) == kind]
        for row, on in zip(same, front([(r["nand2"], r["fmax_mhz"]) for r in same])):
            row["pareto"] = on
        best = objectives(same, clock_mhz)
        for row in same:
            names = [n for n, r in best.items() if r is row]
            if names:
                row["best"] = names
        if clock_mhz and max(r["fmax_mhz"] for r in same) < clock_mhz:
            late.append(f"{kind[0]} {kind[1]}: no point of the sweep meets {clock_mhz:g} MHz; the highest is {max(r['fmax_mhz'] for r in same):.1f} MHz")
    return late
