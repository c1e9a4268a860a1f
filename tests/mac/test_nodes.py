#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The script of the nodes: which files it takes and refuses, and that docs/mac_nodes.md is what its rows say."""
import hashlib
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "scripts", "synth"))
sys.dont_write_bytecode = True
import nodes  # noqa: E402
import synth  # noqa: E402


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


def refused(node, folder, words):
    try:
        nodes.arguments(node, folder)
    except nodes.NodeError as e:
        check(all(w in str(e) for w in words) and "\n" not in str(e), f"refused: {e}")
    else:
        check(False, f"refused: {words}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        node = {"node": "n", "files": {"a.lib": hashlib.sha256(b"a").hexdigest(), "b.lib": hashlib.sha256(b"b").hexdigest()}, "source": "somewhere",
                "recipes": ["area", "balanced@900"], "wire_ff": 2, "period_ns": 5, "dont_use": ["X*"]}
        refused(node, folder, ["a.lib", "No such file", "somewhere"])
        for name in "ab":
            with open(os.path.join(folder, name + ".lib"), "w", encoding="utf-8") as f:
                f.write(name)
        check(nodes.arguments(node, folder) == ["--units", "exact", "--recipes", "area,balanced@900", "--wire", "2", "--period", "5", "--glitches",
                                                "--liberty", os.path.join(folder, "a.lib"), "--liberty", os.path.join(folder, "b.lib"), "--dont-use", "X*"],
              "a node's files and options")
        with open(os.path.join(folder, "b.lib"), "w", encoding="utf-8") as f:
            f.write("c")
        refused(node, folder, ["b.lib", "SHA-256 is " + hashlib.sha256(b"c").hexdigest()])
    with open(nodes.NODES, encoding="utf-8") as f:
        known = json.load(f)
    check(all(r.split("@")[0] in synth.RECIPES for n in known for r in n["recipes"]), "the nodes' recipes exist")
    with open(os.path.join(ROOT, "docs", "mac_report", "nodes.json"), encoding="utf-8") as f:
        rows = json.load(f)
    with open(os.path.join(ROOT, "docs", "mac_nodes.md"), encoding="utf-8") as f:
        check(f.read() == nodes.markdown(rows, known), "docs/mac_nodes.md is what its rows say")
    check({r["node"] for r in rows} == {n["node"] for n in known}, "every node has a row")
    pair = [dict(rows[0], format=f, node="n", recipe="area", nand2=a, pj_per_mac=e) for f, a, e in (("if4", 125.0, 2.0), ("nvfp4", 100.0, 1.6))]
    check(nodes.ratios(pair) == {("n", "area"): (1.25, 1.25)}, "IF4 over NVFP4")
    return 0


if __name__ == "__main__":
    sys.exit(main())
