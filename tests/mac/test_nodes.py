#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The script of the nodes: which files it takes and refuses, and that its part of docs/mac_report.md is what its rows say."""
import hashlib
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "scripts", "synth"))
sys.dont_write_bytecode = True
import node_page  # noqa: E402
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
        check(nodes.arguments(node, folder) == ["--wire", "2", "--period", "5", "--glitches",
                                                "--liberty", os.path.join(folder, "a.lib"), "--liberty", os.path.join(folder, "b.lib"), "--dont-use", "X*"],
              "a node's files and options")
        with open(os.path.join(folder, "b.lib"), "w", encoding="utf-8") as f:
            f.write("c")
        check(nodes.default_calls(node) == [["--units", "exact,block_fp32,gst,integer,bf16_fma,fp8_fp32,lut", "--recipes", "area"], ["--units", "exact", "--formats", "if4,nvfp4", "--recipes", "area,balanced@900"]], "what a node is asked for")
        check(nodes.default_calls(dict(node, files={})) == [["--units", "exact", "--formats", "if4,nvfp4", "--recipes", "balanced@900"]], "the default library for what the report's page lacks")
        refused(node, folder, ["b.lib", "SHA-256 is " + hashlib.sha256(b"c").hexdigest()])
    with open(nodes.NODES, encoding="utf-8") as f:
        known = json.load(f)
    check(all(r.split("@")[0] in synth.RECIPES for n in known for r in n["recipes"]), "the nodes' recipes exist")
    with open(os.path.join(ROOT, "docs", "mac_report", "nodes.json"), encoding="utf-8") as f:
        rows = json.load(f)
    with open(nodes.SCALING, encoding="utf-8") as f:
        scaling = json.load(f)
    with open(os.path.join(ROOT, "docs", "mac_report.md"), encoding="utf-8") as f:
        text = text_of_page = f.read()
    everything = nodes.with_default_library(rows, os.path.join(ROOT, "docs", "mac_report", "nodes.json"), known)
    check(text == node_page.page(text, everything, known, scaling), "the part `By node` of docs/mac_report.md is what its rows say")
    check(node_page.page("# Title\n\nx\n\n## By node\nold\n", [], known, scaling).startswith("# Title\n\nx\n\n## By node\n\nMade by"), "the part of the page is replaced, the rest stays")
    check({r["node"] for r in everything} == {n["node"] for n in known}, "every node has a row")
    check(rows == nodes.merged(rows, [], known), "the rows are in the page's order, each once")
    new = dict(rows[0], nand2=1.0)
    both = nodes.merged(rows, [new, dict(new, lanes=7)], known)
    check(len(both) == len(rows) + 1 and both[[nodes.key(r) for r in both].index(nodes.key(new))]["nand2"] == 1.0, "a row measured anew replaces its own")
    # By hand: 130 nm at 1.2 V has 7.171 * 1.44 - 6.709 * 1.2 + 2.904 = 5.179, 32 nm at 0.9 V 0.4571 (the paper's own example).
    area, energy = node_page.factors(scaling, 130, 1.2)
    check(area == 0.072 and abs(energy - 0.4571 / 5.1794) < 1e-4, f"scaling from 130 nm: {area}, {energy:.4f}")
    check(node_page.factors(scaling, 32, 0.9) == (1, 1.0), "scaling from the node itself")
    # 180 nm has a polynomial of the first order: 24.64 * 1.8 - 17.98 = 26.372.
    area, energy = node_page.factors(scaling, 180, 1.8)
    check(area == 0.025 and abs(energy - 0.4571 / 26.372) < 1e-5, f"scaling from 180 nm: {area}, {energy:.5f}")
    # At one voltage the energy falls with the node, by no more than its square: a coefficient in the wrong place breaks this.
    for large, small, volts in ((180, 130, 1.8), (130, 32, 1.0), (32, 14, 1.0), (14, 7, 0.8)):
        falls = node_page.factors(scaling, small, volts)[1] / node_page.factors(scaling, large, volts)[1]
        check(1 < falls <= (large / small) ** 2, f"energy from {large} to {small} nm at {volts} V: less by {falls:.2f}")
    check(all(str(n["nm"]) in scaling["area_to_32nm"] and str(n["nm"]) in scaling["energy_of_volts"] for n in known + [p for p in scaling["published"] if p["nm"]]), "every node is in the table")
    pair = [dict(rows[0], unit="exact", lanes=16, format=f, node="n", recipe="area", nand2=a, pj_per_mac=e, fmax_mhz=m) for f, a, e, m in (("if4", 125.0, 2.0, 90.0), ("nvfp4", 100.0, 1.6, 100.0))]
    check(node_page.ratios(pair) == {("n", "area"): (1.25, 1.25, 90.0, 100.0)}, "IF4 over NVFP4")
    check([node_page.both_meet(r, 200.0, 201.0) for r in ("balanced+pipeline", "compact@5000+pipeline", "compact@4900", "area", "speed+pipeline", "fastest+pipeline")] == [200.0, 200.0, None, None, None, None],
          "a clock that both were made for and meet; area and speed are made for none, fastest for more than it reaches")
    check(node_page.both_meet("fastest@740+pipeline", 1351.4, 1350.5) == 1e6 / 740 and node_page.both_meet("fastest@740+pipeline", 1351.4, 1350.0) is None, "to the picosecond")
    equal = [dict(r, recipe=c, nand2=r["nand2"] * (x if r["format"] == "if4" else 1), fmax_mhz=f) for c, x, f in (("area", 0.8, 90.0), ("balanced+pipeline", 1.0, 210.0), ("compact+pipeline", 0.99, 205.0), ("fastest@4000+pipeline", 0.9, 249.0)) for r in pair]
    check(node_page.at_equal_clock(equal) == {"n": (1.2375, 1.25, "compact+pipeline", 200.0)}, f"of the pairs at equal clock the one of the least ratio: {node_page.at_equal_clock(equal)}")
    text = node_page.markdown(equal, [dict(known[0], node="n")], dict(scaling, published=[]))
    check("| n | compact+pipeline | 1.238 | 1.250 | 205 | 205 | 200 |\n" in text and "| n | area | 1.000 | 1.250 | 90 | 90 |  |\n" in text and "the areas is: n 1.238, energy 1.250, at 200 MHz (compact+pipeline). " in text, "and the page says so")
    check("At equal clock" not in node_page.markdown(equal[:2], [dict(known[0], node="n")], dict(scaling, published=[])), "nothing where no pair is at one clock")
    with open(os.path.join(ROOT, "docs", "mac.md"), encoding="utf-8") as f:
        text = f.read()
    check(text == node_page.with_data_sheet(text, everything, known), "the data sheet's table by node is what the rows say")
    for old in ("", "| old |\n"):
        sheet = node_page.with_data_sheet(f"# Title\n{node_page.BEGIN}\n{old}{node_page.END}\n\nrest\n", [], [])
        check(sheet.startswith(f"# Title\n{node_page.BEGIN}\n\n| node |") and sheet.endswith(f"|\n\n{node_page.END}\n\nrest\n") and "old" not in sheet, "the rest of the data sheet stays")
    small = [dict(pair[0], fmax_mhz=100.0, area_um2=3.0, glitch_pj_per_mac=None), dict(pair[0], recipe="fastest+pipeline", nand2=200.0, fmax_mhz=300.0, area_um2=4.0, glitch_pj_per_mac=7.0)]
    bare = dict(small[1], recipe="bare", fmax_mhz=400.0, nand2=90.0, pj_per_mac=None, glitch_pj_per_mac=None)
    check(node_page.ratios([dict(r, pj_per_mac=None) if r["format"] == "nvfp4" else r for r in pair]) == {("n", "area"): (1.25, None, 90.0, 100.0)}, "no ratio of energies where one was not measured")
    dense, frugal = node_page.best(small + [dict(bare, gmac_per_s_per_mm2=9e9)], {"node": "n"}, "if4")
    check(dense["recipe"] == "bare" and frugal["recipe"] == "area", "the least energy is of a row that has one")
    small.append(bare)
    sheet = node_page.data_sheet(small, [{"node": "n", "title": "N"}])
    check(sheet[2:] == ["| N | smallest |  |  |  |  | 125 | 3 | 100 | 2 |", "| N | fastest |  |  |  |  | 200 | 4 | 300 | 7 |"], f"the smallest and the fastest row, and nothing where nothing was measured: {sheet[2:]}")
    gaps = node_page.missing([dict(r, node=n) for n in "nm" for r in pair] + [dict(pair[0], node="n", unit=u) for u in ("gst", "published")], [{"node": n, "recipes": ["area", "fastest"]} for n in "nm"])
    fast = ["exact if4 16 lanes fastest+pipeline", "exact nvfp4 16 lanes fastest+pipeline"]
    check(gaps == {"n": fast, "m": ["gst if4 16 lanes area"] + fast}, f"what was not measured is named, but for what is measured on the first node alone: {gaps}")
    gaps = node_page.missing([dict(r, node=n) for n in "nm" for r in pair] + [dict(pair[0], node="m", unit="published")], [{"node": n, "recipes": ["area"]} for n in "nm"])
    check(gaps == {"n": ["published if4 16 lanes area"]}, f"which must have it: {gaps}")
    check(f"\n\nMeasured on {known[0]['node']} alone: published; " in text_of_page, "and the page says why")
    return 0


if __name__ == "__main__":
    sys.exit(main())
