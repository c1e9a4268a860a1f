# SPDX-License-Identifier: MIT
"""The rows of a report as JSON, CSV, Markdown or one HTML page, and its plots."""
import csv
import html
import io
import json

import plot
import units

# key, heading of the page and of Markdown, format of a number
COLUMNS = (
    ("unit", "unit", ""), ("format", "format", ""), ("lanes", "lanes", ""), ("acc_width", "accumulator, bits", ""), ("recipe", "recipe", ""), ("nand2", "area, NAND2", ",.0f"),
    ("area_um2", "area, um2", ",.0f"), ("flip_flops", "flip-flops", ","), ("fmax_mhz", "Fmax, MHz", ".1f"),
    ("gmac_per_s_per_mm2", "GMAC/s/mm2", ".2f"), ("pj_per_mac", "pJ/MAC, zero delay", ".2f"),
    ("glitch_pj_per_mac", "pJ/MAC, glitches", ".2f"), ("opensta_pj_per_mac", "pJ/MAC, OpenSTA", ".2f"),
    ("sqnr_db", "SQNR, dB", ".2f"), ("accumulator_rel_rmse", "accumulator error", ".2e"), ("stored", "stored", ""))
SPLIT = ("switching", "internal", "clock", "leakage")


def ratios(rows):
    """IF4 over NVFP4 and NVINT4, for each unit and recipe that has both: (unit, recipe, name, area, energy)."""
    out = []
    at = {(r["unit"], r["format"], r["recipe"]): r for r in rows}
    for unit, fmt, recipe in sorted(at):
        if fmt != "if4":
            continue
        for other in ("nvfp4", "nvint4"):
            o = at.get((unit, other, recipe))
            if o:
                r = at[(unit, fmt, recipe)]
                e = r["pj_per_mac"] / o["pj_per_mac"] if r.get("pj_per_mac") and o.get("pj_per_mac") else None
                out.append((unit, recipe, f"if4/{other}", r["nand2"] / o["nand2"], e))
    return out


def cell(value, form=""):
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if form.endswith("e") and value == 0:
        return "0"
    return format(value, form) if form else str(value)


def named(row):
    """The format, and the lanes where they are not the unit's own."""
    return row["format"] + (f", {row['lanes']} lanes" if row["lanes"] != units.UNITS[row["unit"]].lanes else "")


def columns(rows):
    """Those that some row has; a sweep's front besides."""
    shown = [c for c in COLUMNS if any(r.get(c[0]) not in (None, False) for r in rows)]
    return shown + ([("pareto", "on the front", "")] if any("pareto" in r for r in rows) else [])


def tables(rows):
    """(title, heading, lines) of every table: the units, the ratios, where the energy goes."""
    shown = columns(rows)
    out = [("Units and formats", [c[1] for c in shown], [[cell(r.get(k), f) for k, _, f in shown] for r in rows])]
    found = ratios(rows)
    if found:
        out.append(("IF4 over the others", ["unit", "recipe", "ratio", "area", "energy, zero delay"],
                    [[u, c, n, f"{a:.3f}", cell(e, ".3f")] for u, c, n, a, e in found]))
    best = [(n, r) for r in rows for n in r.get("best", ())]
    if best:
        shown = [c for c in COLUMNS if c[0] in ("unit", "format", "recipe", "nand2", "fmax_mhz", "gmac_per_s_per_mm2", "pj_per_mac", "glitch_pj_per_mac")]
        order = list(dict.fromkeys(n for n, _ in best))
        out.append(("Best of the search", ["objective"] + [c[1] for c in shown],
                    [[n] + [cell(r.get(k), f) for k, _, f in shown] for n, r in sorted(best, key=lambda b: order.index(b[0]))]))
    split = [(r, prefix) for r in rows for prefix in ("", "glitch_") if r.get(prefix + "switching_pj_per_mac") is not None]
    if split:
        out.append(("Where the energy goes, pJ per MAC", ["unit", "format", "recipe", "delays", *SPLIT, "sum"],
                    [[r["unit"], named(r), r["recipe"], "cells" if prefix else "zero"]
                     + [format(r[f"{prefix}{part}_pj_per_mac"], ".4f" if part == "leakage" else ".2f") for part in SPLIT]
                     + [f"{r[prefix + 'pj_per_mac']:.2f}"] for r, prefix in split]))
    out.append(("Critical paths", ["unit", "format", "recipe", "from", "to", "ns"],
                [[r["unit"], named(r), r["recipe"], r["critical_start"], r["critical_end"], f"{1000 / r['fmax_mhz']:.2f}"] for r in rows]))
    return out


def heading_of(rows):
    return "MAC units: between smallest area and best frequency" if any("pareto" in r for r in rows) else "MAC units: area, frequency, energy and accuracy"


def tools(rows):
    """A line for each set of synthesis tools, with the rows that are of another set than most; simulators, whose counts a test compares,
    together."""
    sets = {}
    for r in rows:
        sets.setdefault(json.dumps({k: v for k, v in r["tools"].items() if k != "simulator"}), []).append(r)
    lines = []
    for i, (names, own) in enumerate(sorted(sets.items(), key=lambda s: -len(s[1]))):
        simulators = [s for s in dict.fromkeys(r["tools"].get("simulator") for r in own) if s]
        text = ", ".join([f"{k} {v}" for k, v in json.loads(names).items()] + (["simulator " + " or ".join(simulators)] if simulators else []))
        rows_ = ", ".join(" ".join(filter(None, (r.get("node"), r["unit"], named(r), r["recipe"]))) for r in own)
        lines.append(f"Tools: {text}." if i == 0 else f"Other tools in the rows {rows_}: {text}.")
    return lines


def notes(rows, spec):
    """What the numbers were made with, one line each."""
    beats = {r["unit"]: r["beats"] for r in rows if r.get("beats")}
    corner = rows[0].get("corner") or {}
    at = f" ({corner['voltage']:g} V, {corner['temperature']:g} C" + (f", slews from {corner['slew_thresholds_pct'][0]:g} to {corner['slew_thresholds_pct'][1]:g} %" if corner.get("slew_thresholds_pct") else "") + ")" if corner else ""
    lines = [f"Library {rows[0]['library']}{at}; no wires, no layout, ideal clock; energy at a clock of {spec['period_ns']:g} ns"
             + ("; beats: " + ", ".join(f"{u} {n}" for u, n in beats.items()) if beats else "") + ".",
             f"Operands and SQNR: {spec['sample']}, {spec['weight']} times {spec['input']}, both quantized by the format's default rule. SQNR is that "
             "of the weights. The accumulator's error is the relative RMS error of the unit's bit model against exact dot products on "
             f"{spec['accumulator_rows']} rows of the input times all weights.",
             "OpenSTA: report_power with its default activity, not that of the operands: a second method, within a factor of 2 for the exact unit by recipes area, default and speed, "
             "no check of the others (docs/mac_area.md)."]
    lines += tools(rows)
    for r in rows:
        if r.get("stored"):
            lines.append(f"Stored result: {r['unit']} {r['format']} {r['recipe']}, made by `{r['command']}`.")
    return lines


def plots(rows):
    """(file name, title, SVG): area and energy against accuracy; of a sweep, area against frequency."""
    def point(r, x, y, label):
        return (r[x], r[y], r["unit"], label, f"{r['unit']} {r['format']} {r['recipe']}: {r[y]:,g} at {r[x]:,g}")

    if any("pareto" in r for r in rows):
        out = []
        for unit, fmt in dict.fromkeys((r["unit"], r["format"]) for r in rows):
            same = [r for r in rows if (r["unit"], r["format"]) == (unit, fmt)]
            line = sorted((r["fmax_mhz"], r["nand2"]) for r in same if r["pareto"])
            out.append((f"sweep_{unit}_{fmt}.svg", f"{unit} {fmt}: area against frequency",
                        plot.scatter([point(r, "fmax_mhz", "nand2", r["recipe"]) for r in same], "Fmax, MHz", "area, NAND2 equivalents",
                                     y_from_zero=False, line=line)))
            out.append((f"sweep_{unit}_{fmt}_energy.svg", f"{unit} {fmt}: energy against density",
                        plot.scatter([point(r, "gmac_per_s_per_mm2", k, r["recipe"]) for r in same for k in ("glitch_pj_per_mac" if r.get("glitch_pj_per_mac") else "pj_per_mac",) if r.get(k)],
                                     "GMAC/s/mm2", "energy, pJ per MAC", y_from_zero=False)))
        return [p for p in out if p[2]]
    out = []
    for file, key, title, label in (("area.svg", "nand2", "Area against accuracy", "area, NAND2 equivalents"),
                                    ("energy.svg", "pj_per_mac", "Energy against accuracy, zero delay", "energy, pJ per MAC"),
                                    ("glitch_energy.svg", "glitch_pj_per_mac", "Energy against accuracy, with glitches", "energy, pJ per MAC")):
        shown = [r for r in rows if r.get(key) and r.get("sqnr_db") is not None]
        # gst has 64 lanes: its area is not comparable as it stands, so its label says so.
        labels = [r["format"] + (" speed" if r["recipe"].startswith("speed") else "") + (f" ({r['lanes']} lanes)" if r["lanes"] != 16 else "")
                  for r in shown]
        out.append((file, title, plot.scatter([point(r, "sqnr_db", key, label_) for r, label_ in zip(shown, labels)],
                                              "SQNR of the weights, dB", label)))
    return [p for p in out if p[2]]


def markdown(rows, spec, figures=""):
    """`figures`: where the SVG files lie, seen from the page; '' leaves the plots out."""
    lines = [f"# {heading_of(rows)}", ""]
    for title, heading, body in tables(rows):
        lines += [f"## {title}", "| " + " | ".join(heading) + " |", "| " + " | ".join("---" for _ in heading) + " |"]
        lines += ["| " + " | ".join(line) + " |" for line in body] + [""]
    if figures:
        for file, title, _ in plots(rows):
            lines += [f"![{title}]({figures}/{file})", ""]
    return "\n".join(lines + [n + "\n" for n in notes(rows, spec)])


STYLE = """body{font-family:sans-serif;margin:2em auto;max-width:80em;padding:0 1em}table{border-collapse:collapse;font-size:.8em}
td,th{border:1px solid #bbb;padding:.2em .5em;text-align:right}.word{text-align:left}th{background:#f2f2f2}
svg{max-width:100%;height:auto}"""


def html_table(heading, body):
    """Words to the left, numbers to the right, headings with their columns."""
    words = ["" if any(line[i][:1].isdigit() for line in body) else " class=word" for i in range(len(heading))]
    out = ["<table><tr>" + "".join(f"<th{w}>{html.escape(h)}</th>" for w, h in zip(words, heading)) + "</tr>"]
    out += ["<tr>" + "".join(f"<td{w}>{html.escape(c)}</td>" for w, c in zip(words, line)) + "</tr>" for line in body]
    return "\n".join(out + ["</table>"])


def page(rows, spec):
    out = ["<!doctype html><html lang=en><meta charset=utf-8><title>lowbit mac report</title>", f"<style>{STYLE}</style>",
           f"<h1>{heading_of(rows)}</h1>"]
    made = tables(rows)
    figures = [f"<h2>{html.escape(t)}</h2>{svg}" for _, t, svg in plots(rows)]
    for i, (title, heading, body) in enumerate(made):
        out.append(f"<h2>{html.escape(title)}</h2>" + html_table(heading, body))
        if i == 0:
            out += figures
    out.append("<h2>How these numbers were made</h2><ul>" + "".join(f"<li>{html.escape(n)}</li>" for n in notes(rows, spec)) + "</ul></html>")
    return "\n".join(out) + "\n"


def table_csv(rows):
    out = io.StringIO()
    keys = list(dict.fromkeys(k for r in rows for k, v in r.items() if not isinstance(v, dict)))
    writer = csv.DictWriter(out, keys, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def render(form, rows, spec, figures=""):
    if form == "markdown":
        return markdown(rows, spec, figures)
    if form == "html":
        return page(rows, spec)
    return table_csv(rows) if form == "csv" else json.dumps(rows, indent=1) + "\n"
