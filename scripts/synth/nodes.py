#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rows of the exact unit on every node of nodes.json: runs `lowbit mac report` once per node and writes the rows as JSON
and as a Markdown table. A library whose file is missing or has another SHA-256 than nodes.json is refused.

usage: nodes.py LOWBIT DIR_OF_LIBRARIES OUT.json OUT.md [report arguments, as --formats if4,nvfp4]"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile

from cache import atomically

NODES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nodes.json")
COLUMNS = (("node", "node", ""), ("unit", "unit", ""), ("format", "format", ""), ("recipe", "recipe", ""), ("nand2", "area, NAND2", ",.0f"), ("area_um2", "area, um2", ",.0f"),
           ("flip_flops", "flip-flops", ""), ("fmax_mhz", "Fmax, MHz", ",.0f"), ("gmac_per_s_per_mm2", "GMAC/s/mm2", ",.0f"), ("pj_per_mac", "pJ/MAC, zero delay", ".3g"),
           ("glitch_pj_per_mac", "pJ/MAC, glitches", ".3g"), ("glitch_wire_pj_per_mac", "wires, pJ/MAC", ".3g"), ("leakage_pj_per_mac", "of it leakage", ".2g"))


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
    out = ["--units", "exact", "--recipes", ",".join(node["recipes"]), "--wire", str(node["wire_ff"]), "--period", str(node["period_ns"]), "--glitches"]
    for path in libraries(node, folder):
        out += ["--liberty", path]
    for pattern in node["dont_use"]:
        out += ["--dont-use", pattern]
    return out


def ratios(rows):
    """{(node, recipe): (area, energy)} of IF4 over NVFP4."""
    at = {(r["node"], r["recipe"], r["format"]): r for r in rows}
    return {(n, c): (r["nand2"] / at[n, c, "nvfp4"]["nand2"], r["pj_per_mac"] / at[n, c, "nvfp4"]["pj_per_mac"])
            for (n, c, f), r in at.items() if f == "if4" and (n, c, "nvfp4") in at}


def text(value, form):
    return "" if value is None else format(value, form) if form else str(value)


def markdown(rows, nodes):
    lines = ["# The exact unit by node", "", "Made by `scripts/mac_nodes.sh DIR_OF_LIBRARIES`; [mac_area.md](mac_area.md#other-libraries) says what is counted and how.", "",
             "| " + " | ".join(c[1] for c in COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(text(r.get(k), f) for k, _, f in COLUMNS) + " |" for r in rows]
    lines += ["", "## IF4 over NVFP4", "| node | recipe | area | energy, zero delay |", "| --- | --- | --- | --- |"]
    lines += [f"| {n} | {c} | {a:.3f} | {e:.3f} |" for (n, c), (a, e) in ratios(rows).items()]
    lines += ["", "## Libraries"]
    for node in nodes:
        own = [r for r in rows if r["node"] == node["node"]]
        if own:
            files = ", ".join(f"`{n}` (SHA-256 {h})" for n, h in node["files"].items())
            lines.append(f"- **{node['node']}**: {node['title']}. {node['source']}{': ' + files if files else ''}. Wires: {node['wire_ff']} fF per input pin, an "
                         f"estimate, beside the sum. Clock of the energy: {node['period_ns']} ns." + (f" Not used: {', '.join('`' + p + '`' for p in node['dont_use'])}." if node["dont_use"] else ""))
    tools = {json.dumps({k: v for k, v in r["tools"].items()}) for r in rows}
    lines += [""] + ["Tools: " + ", ".join(f"{k} {v}" for k, v in json.loads(t).items()) + "." for t in sorted(tools)]
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) < 5:
        print(__doc__, file=sys.stderr)
        return 2
    lowbit, folder, out_json, out_md, *more = sys.argv[1:]
    with open(NODES, encoding="utf-8") as f:
        nodes = json.load(f)
    try:
        # All files before the first synthesis: a run takes an hour.
        commands = [(n, arguments(n, folder)) for n in nodes]
    except NodeError as e:
        print(f"nodes.py: {e}", file=sys.stderr)
        return 3
    rows = []
    for node, command in commands:
        with tempfile.TemporaryDirectory() as work:
            made = os.path.join(work, "rows.json")
            done = subprocess.run([lowbit, "mac", "report", *command, "--json", made, *more], check=False)
            if done.returncode != 0:
                return done.returncode
            with open(made, encoding="utf-8") as f:
                rows += [dict({"node": node["node"]}, **row) for row in json.load(f)]
        print(f"{node['node']}: {len(rows)} rows", file=sys.stderr)
    for row in rows:
        # OpenSTA 2.0.17 adds up the power tables of all states (`when`) of a pin: no second opinion where a library has them.
        row.pop("opensta_pj_per_mac", None)
    atomically(os.path.abspath(out_json), json.dumps(rows, indent=1) + "\n")
    atomically(os.path.abspath(out_md), markdown(rows, nodes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
