#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rows of units on every node of nodes.json: runs `lowbit mac report` on each node, writes the rows as JSON and the part
`By node` of the report's page and the table by node of the data sheet (mac.md beside it). Rows that OUT.json has already are taken from
there (`--rows`), but for those of another RTL, recipe or library than today's; those of the default library come from rows.json beside it
as well. A library whose file is missing or has another SHA-256 than nodes.json is refused.

usage: nodes.py LOWBIT DIR_OF_LIBRARIES OUT.json PAGE.md [--node NODE[,NODE...]] [report arguments]
       (default: all nodes, every unit and format with recipe area, exact IF4 and NVFP4 with the recipes of nodes.json)
       nodes.py --page OUT.json PAGE.md: writes the part of the page again"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import node_page
import units
from cache import atomically

SCALING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scaling.json")
NODES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nodes.json")


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


# What is measured where the call does not say: everything for area (on the default library the report's own page has that), and the
# recipes of the node where the clock is at stake.
def default_calls(node):
    everything = [["--units", ",".join(u for u in units.UNITS if u not in node_page.LEFT_OUT), "--recipes", "area"]] if node["files"] else []
    return everything + [["--units", "exact", "--formats", "if4,nvfp4", "--recipes", ",".join(r for r in node["recipes"] if node["files"] or r != "area")]]


def key(row):
    return row["node"], row["unit"], row["format"], row["lanes"], row["recipe"]


def merged(old, new, nodes):
    """Old rows with those measured anew in their places; by node, unit, recipe, as the page has them."""
    rows = {key(r): r for r in old}
    rows.update({key(r): r for r in new})
    order = [n["node"] for n in nodes]
    return sorted(rows.values(), key=lambda r: (order.index(r["node"]), r["unit"] != "exact", r["unit"], r["recipe"], r["format"], r["lanes"]))


def rows_beside(out_json):
    """The report's own rows, on the default library."""
    return os.path.join(os.path.dirname(os.path.abspath(out_json)), "rows.json")


def with_default_library(rows, out_json, nodes):
    """The rows and those of the report on the default library, rows.json beside OUT.json, which nodes.json has first."""
    with open(rows_beside(out_json), encoding="utf-8") as f:
        return merged([dict({"node": nodes[0]["node"]}, **r) for r in json.load(f)], rows, nodes)


def write_page(out_json, out_md, rows, nodes):
    with open(SCALING, encoding="utf-8") as f:
        scaling = json.load(f)
    rows = with_default_library(rows, out_json, nodes)
    sheet = os.path.join(os.path.dirname(os.path.abspath(out_md)), "mac.md")
    for path, written in ((os.path.abspath(out_md), lambda text: node_page.page(text, rows, nodes, scaling)), (sheet, lambda text: node_page.with_data_sheet(text, rows, nodes))):
        if path == sheet and not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as f:
            text = f.read()
        atomically(path, written(text))


def measured(lowbit, node, arguments_, known):
    """The rows of one call; `known` are files with earlier rows."""
    with tempfile.TemporaryDirectory() as work:
        made = os.path.join(work, "rows.json")
        done = subprocess.run([lowbit, "mac", "report", *arguments_, *(x for path in known if os.path.exists(path) for x in ("--rows", path)), "--json", made], check=False)
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
        rows = merged(rows, measured(lowbit, node, call, (out_json, rows_beside(out_json))), nodes)
        atomically(os.path.abspath(out_json), json.dumps(rows, indent=1) + "\n")
        print(f"{node['node']}: {len(rows)} rows", file=sys.stderr)
    write_page(out_json, out_md, rows, nodes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
