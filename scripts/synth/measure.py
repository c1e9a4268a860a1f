# SPDX-License-Identifier: MIT
"""One row of the report: synthesizes, times and simulates a unit in one format, or takes the row from the cache."""
import argparse
import itertools
import json
import os

import energy
import synth
import units
from cache import atomically, digest, locked

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = ("switching", "internal", "clock", "leakage")


def scripts(*names):
    return [os.path.join(HERE, n) for n in names]


def limit(spec, unit):
    return min(int(spec["beats"]), units.UNITS[unit].beats)


def operands(spec, unit, fmt, point):
    """Hash of the beats that the energy is measured on."""
    with open(fmt[f"beats{units.lanes(unit, point)}"], encoding="utf-8") as f:
        return digest("".join(itertools.islice(f, limit(spec, unit))))


def synthesis_key(unit, fmt, point, library, tools, lef):
    top = units.UNITS[unit].top
    return digest(top, json.dumps([units.parameters(unit, fmt, point), point.recipe, point.target_ps, tools["yosys"], tools["abc"], tools["opensta"]]),
                  library.path, lef, *synth.sources(top, None), *scripts("synth.py", "liberty.py", "library.py", "boolean.py", "resize.py"))


def synthesis(spec, unit, fmt, point, library, work):
    """The result of synth.py in this folder, made if it is not there."""
    done = os.path.join(work, "synthesis.json")
    if os.path.exists(done):
        with open(done, encoding="utf-8") as f:
            return json.load(f)
    top = units.UNITS[unit].top
    args = synth.parser().parse_args(["--top", top, "--recipe", point.recipe, "--out", work]
                                     + [x for p in units.parameters(unit, fmt, point) for x in ("-p", p)]
                                     + (["--target", str(point.target_ps)] if point.target_ps else [])
                                     + (["--lef", spec["lef"]] if spec["lef"] else []))
    result = synth.synthesize(args, library)
    if not any(p.startswith("LANES=") for p in units.parameters(unit, fmt, point)):
        result["mac_per_s_per_mm2"] *= units.lanes(unit, point) / 16  # synth.py takes 16 where its parameters do not say
    atomically(done, json.dumps(result))
    return result


def simulate(spec, unit, fmt, point, library, work, tools, glitches, stage):
    """The result of energy.py in this folder, zero delay or with glitches, made if it is not there."""
    lanes = units.lanes(unit, point)
    key = digest(operands(spec, unit, fmt, point), str(glitches), spec["models"], tools["simulator"], tools["opensta"], f"{spec['wire_ff']:g} {spec['period_ns']:g}",
                 *scripts("energy.py", "events.py", "models.py", "sequential.py", "netlist.py", "liberty.py", "library.py", "boolean.py"))
    done = os.path.join(work, f"energy_{key}.json")
    if os.path.exists(done):
        with open(done, encoding="utf-8") as f:
            return json.load(f)
    stage("energy with glitches" if glitches else "energy")
    args = argparse.Namespace(work=work, beats=fmt[f"beats{lanes}"], limit=limit(spec, unit), lanes=lanes, models=spec["models"], period=spec["period_ns"], wire_ff=spec["wire_ff"], sdf=glitches,
                              simulator=spec["simulator"])
    result = energy.measure(args, library)
    atomically(done, json.dumps(result))
    return result


def row(spec, unit, fmt, point, library, tools, stage):
    """The finished row; stage(text) is told what is being done."""
    work = os.path.join(spec["cache"], f"{unit}_{fmt['name']}_{units.name(point)}_{synthesis_key(unit, fmt, point, library, tools, spec['lef'])}")
    with locked(work):
        stage("synthesis")
        result = synthesis(spec, unit, fmt, point, library, work)
        out = {"unit": unit, "format": fmt["name"], "lanes": units.lanes(unit, point), "integers": fmt["integers"], "recipe": units.name(point),
               "library": library.name, "corner": library.corner, "nand2": result["nand2"], "area_um2": result["area_um2"], "fmax_mhz": result["fmax_mhz"],
               "pj_per_mac": None, "sqnr_db": None, "flip_flops": result["flip_flops"],
               "gmac_per_s_per_mm2": round(result["mac_per_s_per_mm2"] / 1e9, 2),
               "critical_start": result["critical_start"], "critical_end": result["critical_end"]}
        if point.acc_width:
            out["acc_width"] = point.acc_width
        if spec["energy"]:
            e = simulate(spec, unit, fmt, point, library, work, tools, False, stage)
            out["pj_per_mac"], out["beats"] = e["pj_per_mac"], e["beats"]
            out["operands"] = operands(spec, unit, fmt, point)
            out["opensta_pj_per_mac"] = e.get("opensta_pj_per_mac")
            if spec["wire_ff"]:
                out["wire_pj_per_mac"] = e["wire_pj_per_mac"]
            for part in PARTS:
                out[f"{part}_pj_per_mac"] = e[f"{part}_pj_per_mac"]
            if spec["glitches"]:
                g = simulate(spec, unit, fmt, point, library, work, tools, True, stage)
                out["glitch_pj_per_mac"] = g["pj_per_mac"]
                if spec["wire_ff"]:
                    out["glitch_wire_pj_per_mac"] = g["wire_pj_per_mac"]
                for part in PARTS:
                    out[f"glitch_{part}_pj_per_mac"] = g[f"{part}_pj_per_mac"]
    out["tools"] = tools
    return out
