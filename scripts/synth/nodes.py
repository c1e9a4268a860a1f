#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rows of units on every node of nodes.json: runs `lowbit mac report` on each node, writes the rows as JSON and the part
`By node` of the report's page. Rows that OUT.json has already stay, but for those measured anew; those of the default library
come from rows.json beside it as well. A library whose file is missing or has another SHA-256 than nodes.json is refused.

usage: nodes.py LOWBIT DIR_OF_LIBRARIES OUT.json PAGE.md [--node NODE[,NODE...]] [report arguments]
       (default: all nodes, every unit and format with recipe area, exact IF4 and NVFP4 with the recipes of nodes.json)
       nodes.py --page OUT.json PAGE.md: writes the part of the page again"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import units
from cache import atomically

SCALING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scaling.json")
NODES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nodes.json")
COLUMNS = (("node", "node", ""), ("unit", "unit", ""), ("format", "format", ""), ("lanes", "lanes", ""), ("recipe", "recipe", ""), ("nand2", "area, NAND2", ",.0f"), ("area_um2", "area, um2", ",.0f"),
           ("flip_flops", "flip-flops", ""), ("fmax_mhz", "Fmax, MHz", ",.0f"), ("gmac_per_s_per_mm2", "GMAC/s/mm2", ",.0f"), ("pj_per_mac", "pJ/MAC, zero delay", ".3g"),
           ("glitch_pj_per_mac", "pJ/MAC, glitches", ".3g"), ("glitch_wire_pj_per_mac", "wires, pJ/MAC", ".3g"), ("leakage_pj_per_mac", "of it leakage", ".2g"), ("best", "best of the search", ""))


TITLE = "## By node"


class NodeError(Exception):
    pass


def libraries(node, folder):
    """Paths of the node's files, each with the contents that the figures were made from."""
    paths = []
    for name, want in node["files"].items():
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as f:
                found = hashlib.sha256(f.read()).hexdigest()
        except OSError as e:
            raise NodeError(f"{path}: {e.strerror}; it is in {node['source']}") from None
        if found != want:
            raise NodeError(f"{path}: SHA-256 is {found}, not {want}: another version than the recorded figures are of")
        paths.append(path)
    return paths


def arguments(node, folder):
    out = ["--wire", str(node["wire_ff"]), "--period", str(node["period_ns"]), "--glitches"]
    for path in libraries(node, folder):
        out += ["--liberty", path]
    for pattern in node["dont_use"]:
        out += ["--dont-use", pattern]
    return out


# What is measured where the call does not say: everything for area, and the recipes of the node where the clock is at stake.
def default_calls(node):
    return [["--units", ",".join(units.UNITS), "--recipes", "area"], ["--units", "exact", "--formats", "if4,nvfp4", "--recipes", ",".join(node["recipes"])]]


def ratios(rows):
    """{(node, recipe): (area, energy)} of IF4 over NVFP4."""
    at = {(r["node"], r["recipe"], r["format"]): r for r in rows if r["unit"] == "exact" and r["lanes"] == 16}
    return {(n, c): (r["nand2"] / at[n, c, "nvfp4"]["nand2"], r["pj_per_mac"] / at[n, c, "nvfp4"]["pj_per_mac"])
            for (n, c, f), r in at.items() if f == "if4" and (n, c, "nvfp4") in at}


def key(row):
    return row["node"], row["unit"], row["format"], row["lanes"], row["recipe"]


def merged(old, new, nodes):
    """Old rows with those measured anew in their places; by node, unit, recipe, as the page has them."""
    rows = {key(r): r for r in old}
    rows.update({key(r): r for r in new})
    order = [n["node"] for n in nodes]
    return sorted(rows.values(), key=lambda r: (order.index(r["node"]), r["unit"] != "exact", r["unit"], r["recipe"], r["format"], r["lanes"]))


def factors(scaling, nm, volts):
    """(area, energy) at scaling's node and voltage over those at nm and volts."""
    def energy(of, v):
        a, b, c = scaling["energy_of_volts"][str(of)]
        return a * v * v + b * v + c
    return scaling["area_to_32nm"][str(nm)], energy(scaling["to_nm"], scaling["to_volts"]) / energy(nm, volts)


def best(rows, node, fmt):
    """Rows of the node's exact unit with the most GMAC/s/mm2 and the least pJ/MAC (with glitches where measured)."""
    own = [r for r in rows if (r["node"], r["unit"], r["format"]) == (node["node"], "exact", fmt)]
    return max(own, key=lambda r: r["gmac_per_s_per_mm2"], default=None), min(own, key=energy, default=None)


def energy(row):
    return row.get("glitch_pj_per_mac") or row["pj_per_mac"]


def beside(rows, nodes, scaling):
    """Lines of the table beside published designs: raw, and scaled to one node."""
    lines = ["### Beside published designs", "",
             f"Raw figures at each design's own node, and scaled to {scaling['to_nm']} nm and {scaling['to_volts']} V by one table: {scaling['source']}. "
             "An area is multiplied by its factor, an energy by the ratio of the polynomials at the two voltages; clocks are not scaled. pJ/MAC of our units: "
             "with glitches, without wires. Each row has the best of its recipes, so the two figures may be of two recipes.", "",
             "| design | level | area factor | energy factor | GMAC/s/mm2 | pJ/MAC | GMAC/s/mm2, scaled | pJ/MAC, scaled |", "|" + " --- |" * 8]

    def line(name, level, nm, volts, rate, pj):
        area, joule = factors(scaling, nm, volts)
        lines.append("| " + " | ".join([name, level, f"{area:g}", f"{joule:.3g}", text(rate, ",.0f"), text(pj, ".3g"), text(rate and rate / area, ",.0f"), text(pj and pj * joule, ".3g")]) + " |")

    for fmt in ("nvfp4", "if4"):
        for node in nodes:
            dense, frugal = best(rows, node, fmt)
            if dense:
                line(f"exact {fmt}, {node['node']}", f"unit, {node['nm']} nm, {node['volts']} V", node["nm"], node["volts"], dense["gmac_per_s_per_mm2"], energy(frugal))
    for p in scaling["published"]:
        line(f"{p['design']} ({p['source']})", f"{p['level']}, {p['volts']} V assumed", p["nm"], p["volts"], p["gmac_per_s_per_mm2"], p["pj_per_mac"])
    return lines + [""]


def text(value, form):
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else format(value, form) if form else str(value)


def markdown(rows, nodes, scaling):
    lines = [TITLE, "", "Made by `scripts/mac_docs.sh DIR_OF_LIBRARIES`; [mac_area.md](mac_area.md#other-libraries) says what is counted and how.", "",
             "| " + " | ".join(c[1] for c in COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(text(r.get(k), f) for k, _, f in COLUMNS) + " |" for r in rows]
    lines += ["", "### IF4 over NVFP4", "| node | recipe | area | energy, zero delay |", "| --- | --- | --- | --- |"]
    lines += [f"| {n} | {c} | {a:.3f} | {e:.3f} |" for (n, c), (a, e) in ratios(rows).items()]
    lines += [""] + beside(rows, nodes, scaling) + ["### Libraries"]
    for node in nodes:
        own = [r for r in rows if r["node"] == node["node"]]
        if own:
            files = ", ".join(f"`{n}` (SHA-256 {h})" for n, h in node["files"].items())
            lines.append(f"- **{node['node']}**: {node['title']}. {node['source']}{': ' + files if files else ''}. Wires: {node['wire_ff']} fF per input pin, an "
                         f"estimate, beside the sum. Clock of the energy: {node['period_ns']} ns." + (f" Not used: {', '.join('`' + p + '`' for p in node['dont_use'])}." if node["dont_use"] else ""))
    tools = {json.dumps({k: v for k, v in r["tools"].items()}) for r in rows}
    lines += [""] + ["Tools: " + ", ".join(f"{k} {v}" for k, v in json.loads(t).items()) + "." for t in sorted(tools)]
    return "\n".join(lines) + "\n"


def with_default_library(rows, out_json, nodes):
    """The rows and those of the report on the default library, rows.json beside OUT.json, which nodes.json has first."""
    with open(os.path.join(os.path.dirname(os.path.abspath(out_json)), "rows.json"), encoding="utf-8") as f:
        return merged([dict({"node": nodes[0]["node"]}, **r) for r in json.load(f)], rows, nodes)


def page(text, rows, nodes, scaling):
    """The report's page with this part at its end."""
    return text.split(TITLE)[0].rstrip() + "\n\n" + markdown(rows, nodes, scaling)


def write_page(out_json, out_md, rows, nodes):
    with open(SCALING, encoding="utf-8") as f:
        scaling = json.load(f)
    with open(out_md, encoding="utf-8") as f:
        text = f.read()
    atomically(os.path.abspath(out_md), page(text, with_default_library(rows, out_json, nodes), nodes, scaling))


def measured(lowbit, node, arguments_):
    with tempfile.TemporaryDirectory() as work:
        made = os.path.join(work, "rows.json")
        done = subprocess.run([lowbit, "mac", "report", *arguments_, "--json", made], check=False)
        if done.returncode != 0:
            sys.exit(done.returncode)
        with open(made, encoding="utf-8") as f:
            rows = [dict({"node": node["node"]}, **row) for row in json.load(f)]
    # Of a search the best.
    rows = [r for r in rows if "pareto" not in r or r.get("best")]
    for row in rows:
        # OpenSTA 2.0.17 adds up the power tables of all states (`when`) of a pin: no second opinion where a library has them.
        row.pop("opensta_pj_per_mac", None)
    return rows


def read_rows(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def main():
    with open(NODES, encoding="utf-8") as f:
        nodes = json.load(f)
    if sys.argv[1:2] == ["--page"] and len(sys.argv) == 4:
        write_page(*sys.argv[2:], read_rows(sys.argv[2]), nodes)
        return 0
    if len(sys.argv) < 5:
        print(__doc__, file=sys.stderr)
        return 2
    lowbit, folder, out_json, out_md, *more = sys.argv[1:]
    wanted = [n["node"] for n in nodes]
    if "--node" in more[:-1]:
        at = more.index("--node")
        wanted = more[at + 1].split(",")
        del more[at:at + 2]
    try:
        for name in wanted:
            if name not in [n["node"] for n in nodes]:
                raise NodeError(f"--node {name}: there are {', '.join(n['node'] for n in nodes)}")
        # All files before the first synthesis: a run takes hours.
        calls = [(n, arguments(n, folder) + call) for n in nodes if n["node"] in wanted for call in ([more] if more else default_calls(n))]
    except NodeError as e:
        print(f"nodes.py: {e}", file=sys.stderr)
        return 3
    rows = read_rows(out_json)
    for node, call in calls:
        rows = merged(rows, measured(lowbit, node, call), nodes)
        atomically(os.path.abspath(out_json), json.dumps(rows, indent=1) + "\n")
        print(f"{node['node']}: {len(rows)} rows", file=sys.stderr)
    write_page(out_json, out_md, rows, nodes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
