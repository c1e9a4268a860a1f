#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of `lowbit mac report` that need no tool: what is measured, side by side and how often;
stored results; ratios, the timing verdict, the Pareto front; every form of the output."""
import csv
import io
import json
import multiprocessing
import os
import re
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.normpath(os.path.join(HERE, "..", "..", "scripts", "synth")))
sys.dont_write_bytecode = True
import cache  # noqa: E402
import measure  # noqa: E402
import plot  # noqa: E402
import render  # noqa: E402
import report  # noqa: E402
import stored  # noqa: E402
import sweep  # noqa: E402
import synth  # noqa: E402
import units  # noqa: E402
from library import Library  # noqa: E402


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


class FakeLibrary:
    name = "stdcells"

    def __init__(self, path):
        self.path = path


TOOLS = {"yosys": "Yosys 0.23", "opensta": "2.0.17"}
SPEC = {"sample": "s.safetensors", "input": "x", "weight": "w", "accumulator_rows": 16, "period_ns": 20.0, "wire_ff": 0.0, "units": ["exact", "gst", "published"], "recipes": "",
        "sweep": False, "progress": "never", "jobs": 2, "lef": "", "models": "", "energy": True, "lanes": 0, "acc_width": 0, "pipeline": None, "glitches": False, "beats": 1040, "rows": []}


def row(unit, fmt, nand2, energy=None, fmax=100.0, sqnr=20.0, recipe="area", **more):
    out = {"unit": unit, "format": fmt, "lanes": 16, "recipe": recipe, "library": "stdcells", "nand2": nand2, "area_um2": 24 * nand2,
           "fmax_mhz": fmax, "flip_flops": 100, "gmac_per_s_per_mm2": 1.5, "pj_per_mac": energy, "sqnr_db": sqnr, "accumulator_rel_rmse": 0.0,
           "critical_start": "a", "critical_end": "b", "tools": TOOLS, "stored": False}
    out.update(more)
    return out


def test_verdicts():
    rows = [row("exact", "if4", 6000, 12.0), row("exact", "nvfp4", 4000, 8.0), row("exact", "nvint4", 5000), row("gst", "nvfp4", 1)]
    check(render.ratios(rows) == [("exact", "area", "if4/nvfp4", 1.5, 1.5), ("exact", "area", "if4/nvint4", 1.2, None)],
          "IF4 over NVFP4 and NVINT4, energy only where both have it")
    slow, fast = row("exact", "if4", 1, fmax=100.0), row("exact", "if4", 1, fmax=125.0)
    line = report.judge(slow, 125.0)
    check("does not meet timing at 125 MHz" in line and "-2.00 ns" in line and slow["meets_timing"] is False, "a late design is named")
    check(report.judge(fast, 125.0) is None and fast["meets_timing"] is True, "a design at the clock meets it")
    check(synth.version_warnings({"yosys": "Yosys 0.23 (git sha1 7ce5011c24b)", "opensta": "2.0.17"}) == [], "tested versions are silent")
    lines = synth.version_warnings({"yosys": "Yosys 0.33 (git)", "opensta": "unknown"})
    check(len(lines) == 2 and "yosys 0.33" in lines[0] and "unknown" in lines[1], "another version is named")
    check(sweep.front([(10, 100), (12, 100), (12, 150), (9, 90)]) == [True, False, True, True], "dominated points are off the front")
    rows = [row("exact", "if4", 10), row("exact", "if4", 12), row("exact", "nvfp4", 12)]
    sweep.mark(rows)
    check([r["pareto"] for r in rows] == [True, False, True], "every format has its own front")


def test_search():
    fmt = {"name": "if4"}
    table = {"area": (50, 100.0, 1.0, 3.0), "balanced": (60, 200.0, 3.0, 4.0), "fastest": (90, 400.0, 2.0, 5.0)}
    todo = [("exact", fmt, units.Point(r, None, 1)) for r in table]
    rows = [row("exact", "if4", a, e, f, recipe=r, gmac_per_s_per_mm2=d) for r, (a, f, d, e) in table.items()]
    best = sweep.objectives(rows, 150)
    check({n: r["recipe"] for n, r in best.items()} == {"smallest area at 150 MHz": "balanced", "highest clock": "fastest", "most GMAC/s/mm2": "balanced", "least pJ/MAC": "area"},
          "the best of each objective, the area among those that meet the clock")
    check({n: r["recipe"] for n, r in sweep.objectives(rows, 0).items()}["smallest area"] == "area", "without a clock the smallest of all")
    check("smallest area at 500 MHz" not in sweep.objectives(rows, 500), "no smallest area where nothing meets the clock")
    rows[1]["glitch_pj_per_mac"], rows[0]["glitch_pj_per_mac"], rows[2]["glitch_pj_per_mac"] = 4.5, 8.0, 9.0
    check(sweep.objectives(rows, 0)["least pJ/MAC"]["recipe"] == "balanced", "glitches count where they were measured")
    # The best at 150 MHz has a period of 5,000 ps: 7 % to either side, and the period of the clock.
    more = sweep.closer(todo, rows, 150)
    check([(p.recipe, p.target_ps, p.pipeline) for _, _, p in more] == [("balanced", 4650, 1), ("balanced", 5350, 1), ("balanced", 6670, 1)], "the next round goes to either side of the best, each once")
    check(sweep.closer(todo + more, rows + [row("exact", "if4", 99, 9.0, 199.0, gmac_per_s_per_mm2=0.1) for _ in more], 150) == [], "and ends where nothing better came")
    check([p.target_ps for _, _, p in sweep.closer(todo[1:2], [dict(rows[1], fmax_mhz=1600.0)], 0)] == [581, 669], "below a nanosecond in whole picoseconds")
    lines = sweep.mark(rows, 500)
    check(lines == ["exact if4: no point of the sweep meets 500 MHz; the highest is 400.0 MHz"], "a clock that nothing meets is one line")
    check(rows[2]["best"] == ["highest clock"] and rows[1]["best"] == ["most GMAC/s/mm2", "least pJ/MAC"] and "best" not in rows[0], "the best say of what")
    check(sweep.mark(rows, 400) == [], "a clock that one point meets is met")
    text = render.render("markdown", rows, dict(SPEC))
    check("## Best of the search" in text and "| highest clock | exact | if4 | fastest | 90 | 400.0 | 2.00 | 5.00 | 9.00 |" in text, "the best have a table")
    check([p[0] for p in render.plots(rows)] == ["sweep_exact_if4.svg", "sweep_exact_if4_energy.svg"], "and two plots")


def test_designs():
    formats = [{"name": n, "id": i, "integers": n.startswith("if"), "block_size": 32 if n.startswith("mx") else 16} for i, n in enumerate(("if4", "nvfp4", "mxfp4"))]
    found = [(u, f["name"], units.name(p), units.lanes(u, p)) for u, f, p in report.designs(dict(SPEC, formats=formats))]
    check(found == [("exact", "if4", "area", 16), ("exact", "if4", "speed+pipeline", 16), ("exact", "nvfp4", "area", 16), ("exact", "nvfp4", "speed+pipeline", 16),
                    ("exact", "mxfp4", "area", 16), ("exact", "mxfp4", "area", 32), ("gst", "nvfp4", "area", 64), ("published", "if4", "area", 16), ("published", "nvfp4", "area", 16)],
          "the default set: units that have the format, best frequency where it is at stake, a lane per element of long blocks")
    _, fmt, given = report.designs(dict(SPEC, formats=formats[:1], units=["exact"], recipes="area", lanes=8, acc_width=60, pipeline=1))[0]
    check(units.parameters("exact", fmt, given) == ["FORMAT=0", "LANES=8", "FLAGS=0", "PIPELINE=1", "ACC_W=60"] and units.name(given) == "area+pipeline",
          "lanes, accumulator and pipeline as given")
    check([p.pipeline for _, _, p in report.designs(dict(SPEC, formats=formats[:1], units=["exact"], recipes="speed", pipeline=0))] == [0], "speed without the pipeline")
    for recipe, levels in (("speed", 2), ("compact", 2), ("fastest", 1)):
        check([units.parameters("exact", fmt, units.Point(recipe, None, deep)) for deep in (0, 1)] == [["FORMAT=0", "FLAGS=0", "PIPELINE=0"], ["FORMAT=0", "FLAGS=0", "PIPELINE=1", f"LEVELS={levels}"]],
              f"{recipe} moves the first register of the deeper pipeline")
    check(units.parameters("exact", fmt, units.Point("area", None, 0)) == ["FORMAT=0", "FLAGS=0", "PIPELINE=0"], "parameters by default: those of the recorded figures")
    found = [units.name(p) for _, _, p in report.designs(dict(SPEC, formats=formats[:1], recipes="speed", units=["exact", "published"]))]
    check(found == ["speed+pipeline", "speed"], "only the exact unit has a deeper pipeline")
    swept = report.designs(dict(SPEC, formats=formats[:1], sweep=True, units=["exact"]))
    names = [units.name(p) for _, _, p in swept]
    check(len(set(names)) == len(names) and set(names) == {r + d for r in synth.RECIPES for d in ("", "+pipeline")} - {"compact"}, "a sweep has every recipe, with and without the pipeline; compact without it is balanced")
    check(set(units.UNITS) == set(plot.COLOURS), "every unit has a colour in the plots")
    plain = [{"name": n, "plain": True, "integers": False, "block_size": 64} for n in ("int8", "int4", "bf16", "fp8_e4m3", "int8_int2")]
    found = {(u, f["name"]): units.parameters(u, f, p) for u, f, p in report.designs(dict(SPEC, formats=plain, units=list(units.UNITS)))}
    check(found == {("integer", "int8"): ["BITS=8"], ("integer", "int4"): ["BITS=4"], ("bf16_fma", "bf16"): ["LANES=4"], ("fp8_fp32", "fp8_e4m3"): ["LANES=16"],
                    ("lut", "int8_int2"): ["BITS=8", "W_BITS=2"]}, "baselines take their plain formats, and no other unit takes those")
    for change, words in (({"recipes": "smallest"}, "no recipe smallest"), ({"sweep": True, "recipes": "area"}, "--sweep"), ({"sweep": True, "lanes": 8}, "--lanes"),
                          ({"units": ["gst"], "formats": formats[:1]}, "no unit has")):
        try:
            report.designs(dict(SPEC, formats=formats, **change) if "formats" not in change else dict(SPEC, **change))
            check(False, words)
        except synth.FlowError as e:
            check(words in str(e) and e.code == 2, f"refused: {words}")


def test_side_by_side():
    def fake(spec, unit, fmt, point, library, tools, stage):
        stage("synthesis")
        begun = time.monotonic()
        time.sleep(0.6 - 0.1 * fmt["id"])  # the first to begin is the last to end
        if fmt["name"] == "bad":
            raise synth.FlowError("broken", 5)
        return {"index": fmt["id"], "process": os.getpid(), "begun": begun, "ended": time.monotonic()}

    real, measure.row = measure.row, fake
    try:
        area = units.Point("area", None, 0)
        todo = [(i, "exact", {"name": "f", "id": i}, area) for i in range(4)]
        rows = report.measured(SPEC, todo, None, TOOLS)
        check([rows[i]["index"] for i in range(4)] == [0, 1, 2, 3] and len({r["process"] for r in rows.values()}) == 2, "four designs on two processes")
        check(rows[1]["begun"] < rows[0]["ended"] and rows[0]["begun"] < rows[1]["ended"], "they ran side by side")
        try:
            # The bad one fails while the other one runs.
            report.measured(SPEC, [(0, "exact", {"name": "f", "id": 0}, area), (1, "exact", {"name": "bad", "id": 4}, area)], None, TOOLS)
            check(False, "an error in a process comes back")
        except synth.FlowError as e:
            check(str(e) == "broken" and e.code == 5, "an error in a process comes back with its exit code")
            check(not multiprocessing.active_children() and threading.active_count() == 1, "no process and no thread of the pool outlives the error")
    finally:
        measure.row = real


def test_stored(work):
    liberty = os.path.join(work, "stdcells.lib")
    beats = os.path.join(work, "beats")
    for path, text in ((liberty, "library (stdcells) {}"), (beats, "1 1 0 0 0 0\n" * 400)):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    library, area = FakeLibrary(liberty), units.Point("area", None, 0)
    fmt = {"name": "if4", "id": 13, "integers": True, "beats16": beats}
    shipped, stored.STORED = stored.STORED, os.path.join(work, "stored.json")
    with open(stored.STORED, "w", encoding="utf-8") as f:
        json.dump([row("published", "if4", 7, 1.0, key=stored.key("published", fmt, area, library), operands=measure.operands(SPEC, "published", fmt, area))], f)
    found, reason = stored.row(SPEC, "published", fmt, area, library)
    check(found["stored"] and found["nand2"] == 7 and found["tools"] == TOOLS and reason is None, "a stored result is labelled")
    check(stored.row(SPEC, "published", fmt, units.Point("speed", None, 0), library) == (None, None), "no stored result of another recipe")
    check(stored.row(SPEC, "published", fmt, area._replace(lanes=8), library) == (None, None), "nor of other lanes")
    check("--lef" in stored.row(dict(SPEC, lef="x"), "published", fmt, area, library)[1], "nor with a LEF file")
    with open(beats, "a", encoding="utf-8") as f:
        f.write("1 1 0 0 0 1\n")
    check(stored.row(SPEC, "published", fmt, area, library)[1] is None, "beats beyond those simulated do not matter")
    with open(beats, "w", encoding="utf-8") as f:
        f.write("1 1 0 0 0 1\n" * 400)
    check("operands" in stored.row(SPEC, "published", fmt, area, library)[1], "other operands do not match")
    check(stored.row(dict(SPEC, energy=False), "published", fmt, area, library)[1] is None, "unless no energy is wanted")
    with open(liberty, "a", encoding="utf-8") as f:
        f.write("\n")
    check("library" in stored.row(SPEC, "published", fmt, area, library)[1], "another library does not match")
    test_earlier_rows(work, fmt, area, library)
    source = os.path.join(work, "a.sv")
    texts = []
    for text in ("assign a = b; // why\n", "assign a =\n  b; /* other\n words */", "assign a = c;"):
        with open(source, "w", encoding="utf-8") as f:
            f.write(text)
        texts.append(stored.code(source))
    check(texts[0] == texts[1] != texts[2], "comments and spacing do not change what is synthesized; code does")
    stored.STORED = shipped


def test_earlier_rows(work, fmt, area, library):
    """--rows: rows of an earlier report stand for measurements of the same thing."""
    path = os.path.join(work, "rows.json")
    own = row("exact", "if4", 8, 2.0, glitch_pj_per_mac=3.0, operands=measure.operands(SPEC, "exact", fmt, area), node="n", pareto=True, best=["x"], nand2_over_nvfp4=1.0,
              **report.made_from(SPEC, "exact", fmt, area, library))

    def found(change=(), spec=()):
        with open(path, "w", encoding="utf-8") as f:
            json.dump([dict(own, **dict(change))], f)
        return stored.row(dict(SPEC, rows=stored.read_rows(path), **dict(spec)), "exact", fmt, area, library)

    taken, reason = found()
    check(reason is None and taken["nand2"] == 8 and not taken["stored"] and taken["tools"] == TOOLS, "an earlier row is taken, with its tools")
    check(not set(taken) & {"node", "pareto", "best", "nand2_over_nvfp4"}, "but for what an earlier report said of all its rows")
    check(found(spec={"glitches": True})[1] is None, "with glitches where they are asked for")
    for change, spec, words in (({"key": "0"}, {}, "another RTL"), ({"key": None}, {}, "another RTL"), ({"operands": "0"}, {}, "operands"), ({"pj_per_mac": None}, {}, "energy"), ({"glitch_pj_per_mac": None}, {"glitches": True}, "energy"),
                                ({"wire_ff": 4.0}, {}, "--wire"), ({}, {"wire_ff": 4.0}, "--wire"), ({}, {"period_ns": 5.0}, "--period"), ({}, {"lef": "x"}, "--lef"), ({}, {"models": "x"}, "--models")):
        taken, reason = found(change, spec)
        check(taken is None and words in reason and reason.startswith("the earlier row is "), f"not taken: {reason}")
    for change in ({"recipe": "speed"}, {"lanes": 8}, {"format": "nvfp4"}, {"unit": "gst"}, {"library": "other"}):
        check(found(change) == (None, None), f"nor of another {next(iter(change))}")
    check(found({"wire_ff": 4.0, "operands": "0", "pj_per_mac": None}, {"energy": False})[1] is None, "operands, wires and period do not matter where no energy is wanted")
    check(report.made_from(dict(SPEC, lef="x"), "exact", fmt, area, library) == {}, "a row with a LEF file's area is none to take")
    wide = area._replace(acc_width=60)
    with open(path, "w", encoding="utf-8") as f:
        json.dump([own, dict(own, nand2=9, **report.made_from(SPEC, "exact", fmt, wide, library))], f)
    rows = stored.read_rows(path)
    check([stored.row(dict(SPEC, rows=rows), "exact", fmt, p, library)[0]["nand2"] for p in (area, wide)] == [8, 9], "of two rows that differ in the accumulator alone each is found")
    real = measure.row, report.synth.versions, report.simulator
    measure.row, report.synth.versions, report.simulator = lambda *_: 1 / 0, lambda: 1 / 0, lambda _: 1 / 0
    try:
        full = dict(fmt, sqnr_db=20.12345, input_sqnr_db=1.0, accumulator_rel_rmse={"exact": 0.5})
        rows = report.rows_of(dict(SPEC, rows=rows, stored=True, simulator=""), [("exact", full, area)], library)
        check(rows[0]["nand2"] == 8 and rows[0]["sqnr_db"] == 20.123 and rows[0]["accumulator_rel_rmse"] == 0.5, "no tool runs where every row is known; accuracy is computed anew")
    finally:
        measure.row, report.synth.versions, report.simulator = real
    for text, words in (("{", "no JSON"), ("{}", "not a list of rows"), ("[1]", "not a list of rows"), ('[{"unit": "exact"}]', "not a list of rows")):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        try:
            stored.read_rows(path)
            check(False, words)
        except synth.FlowError as e:
            check(words in str(e) and path in str(e) and "\n" not in str(e) and e.code == 3, f"refused: {words}")


def test_tools():
    a, b = {"yosys": "1", "simulator": "s"}, {"yosys": "2"}
    rows = [row("exact", "if4", 1, tools=a), row("exact", "nvfp4", 1, tools=dict(a, simulator="t")), row("gst", "nvfp4", 1, lanes=64, tools=b, node="n")]
    check(render.tools(rows) == ["Tools: yosys 1, simulator s or t.", "Other tools in the rows n gst nvfp4 area: yosys 2."], "rows of other tools than most are named")


def test_shipped():
    with open(stored.STORED, encoding="utf-8") as f:
        shipped = json.load(f)
    check([(r["unit"], r["format"]) for r in shipped] == [("published", "if4"), ("published", "nvfp4")], "the published unit is stored in both formats")
    check(all(r["command"].startswith("lowbit mac report") and r["glitch_pj_per_mac"] > r["pj_per_mac"] > 0 and r["tools"] for r in shipped),
          "with command, tools and both energies")
    if not os.path.exists(synth.DEFAULT_LIBERTY):
        print("left out: the default library is not installed")
        return
    for r in shipped:
        fmt = {"name": r["format"], "id": 0, "integers": r["integers"]}
        check(r["key"] == stored.key(r["unit"], fmt, units.Point(r["recipe"], None, 0), Library(synth.DEFAULT_LIBERTY)),
              f"{r['unit']} {r['format']}: the stored result is of this RTL, recipe and library (else: {stored.COMMAND}; scripts/synth/stored.py)")


def test_forms(work):
    spec = dict(SPEC)
    rows = [row("exact", "if4", 5190, 11.9, 153.3, 20.9, nand2_over_nvfp4=1.25, switching_pj_per_mac=6.0, internal_pj_per_mac=4.0,
                clock_pj_per_mac=1.9, leakage_pj_per_mac=0.0003), row("exact", "nvfp4", 4152, 10.0, 176.2, 20.5),
            row("published", "if4", 88660, 122.0, 74.0, 20.9, accumulator_rel_rmse=8.5e-8, stored=True, command="lowbit mac report --no-stored")]
    check(json.loads(render.render("json", rows, spec)) == rows, "JSON is the rows")
    back = list(csv.DictReader(io.StringIO(render.render("csv", rows, spec))))
    check(len(back) == 3 and back[2]["accumulator_rel_rmse"] == "8.5e-08" and back[0]["nand2_over_nvfp4"] == "1.25", "CSV has every field")
    text = render.render("markdown", rows, spec, "figures")
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        check(len({line.count("|") for line in block.splitlines()}) == 1, "a Markdown table has as many cells in every line")
    check("| published | if4 | 16 | area | 88,660 |" in text and "8.50e-08" in text and "| if4/nvfp4 | 1.250 | 1.190 |" in text, "Markdown has the figures")
    check("figures/area.svg" in text and "Yosys 0.23" in text and "lowbit mac report --no-stored" in text and "s.safetensors" in text,
          "Markdown names plots, tools, operands and the stored result's command")
    check(render.named(row("exact", "mxfp4", 1, lanes=32)) == "mxfp4, 32 lanes" and render.named(row("gst", "nvfp4", 1, lanes=64)) == "nvfp4", "lanes are named where they are not the unit's own")
    page = render.render("html", rows, spec)
    check(not re.search(r"(src|href)=|@import|url\(|<script", page), "the page asks for nothing from a network")
    check(page.count("<svg") == 2 and "88,660" in page and "Yosys 0.23" in page and "Library stdcells" in page, "the page has plots, tables and tools")
    swept = [row("exact", "if4", 10 + i, None, 100.0 + 10 * i, recipe=f"area@{i}") for i in range(3)]
    sweep.mark(swept)
    check([p[0] for p in render.plots(swept)] == ["sweep_exact_if4.svg"] and "energy" not in render.plots(swept)[0][1] and "on the front" in render.render("markdown", swept, spec), "a sweep shows its front")
    check("<title>exact if4 area: 5,190 at 20.9</title>" in render.plots(rows)[0][2], "area stands against accuracy")
    odd = [row("exact", "a<b>&", 1, 1.0), row("exact", "a<b>&", 1, 1.0)]
    xml.etree.ElementTree.fromstring(render.plots(odd)[0][2])
    check("a<b>" not in render.render("html", odd, spec), "names are escaped")
    report.write(rows, dict(spec, plots=os.path.join(work, "figures"), outputs={"markdown": os.path.join(work, "page.md"), "csv": os.path.join(work, "t.csv")}))
    with open(os.path.join(work, "page.md"), encoding="utf-8") as f:
        check("(figures/area.svg)" in f.read() and os.path.exists(os.path.join(work, "figures", "area.svg")), "several forms at once, plots beside the page")


def test_plots():
    # As crowded as the real report: formats of nearly one accuracy, areas from 4,000 to 90,000.
    points = [(20.5 + 0.1 * (i % 4), 4000.0 * 1.2 ** i, list(units.UNITS)[i % 4], f"format{i} speed", "title") for i in range(14)]
    points += [(20.5, 4000.0, "exact", f"format{i} speed", "title") for i in (14, 15)]
    tree = xml.etree.ElementTree.fromstring(plot.scatter(points, "x", "y, NAND2"))
    n = "{http://www.w3.org/2000/svg}"
    labels = [t for t in tree.iter(n + "text") if (t.text or "").startswith("format")]
    boxes = [(float(t.get("x")), float(t.get("y")) - 10, float(t.get("x")) + plot.CHARACTER * len(t.text), float(t.get("y")) + 3) for t in labels]
    check(len(labels) == 16 and not any(plot.overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i]), "labels do not cover each other")
    check(all(plot.LEFT <= b[0] and b[2] <= plot.LEFT + plot.WIDTH for b in boxes), "nor leave the frame")
    axis = plot.Axis([4000, 90000], 0, 100, True)
    check(axis.logarithmic and axis.ticks() == [5000, 10000, 20000, 50000, 100000], "a wide range is logarithmic, with round ticks")
    check(plot.Axis([1, 7], 0, 100, True).ticks() == [0, 2, 4, 6] and plot.ticks(19.8, 21.3, False) == [20, 20.5, 21], "a narrow one is not")


def main():
    test_verdicts()
    test_search()
    test_designs()
    test_side_by_side()
    test_plots()
    test_tools()
    with tempfile.TemporaryDirectory() as work:
        test_stored(work)
        test_forms(work)
        path = os.path.join(work, "out.json")
        old = os.umask(0o022)
        cache.atomically(path, "x")
        check(os.stat(path).st_mode & 0o777 == 0o644, "mode 0644 under umask 022")
        os.umask(0o077)
        cache.atomically(path, "x")
        os.umask(old)
        check(os.stat(path).st_mode & 0o777 == 0o600, "mode 0600 under umask 077")
    test_shipped()
    return 0


if __name__ == "__main__":
    sys.exit(main())
