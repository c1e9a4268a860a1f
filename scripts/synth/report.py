#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `lowbit mac report` runs: synthesizes, times and simulates units x formats x recipes, keeps
each result under a hash of sources, library, scripts and operands, and prints the table as JSON,
CSV, Markdown or one HTML page with plots. Takes one JSON file, written by the command."""
import argparse
import csv
import hashlib
import html
import io
import json
import os
import sys
import tempfile
import time

import energy
import synth
from liberty import Library, LibertyError

DEFAULT_LIBERTY = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib"
# unit: (top, lanes, formats or None for all, stage options)
UNITS = {
    "exact": ("lowbit_mac_exact_core", 16, None),
    "block_fp32": ("lowbit_mac_block_fp32_core", 16, ("if4", "nvfp4", "nvint4", "if3")),
    "gst": ("lowbit_mac_gst_core", 64, ("nvfp4",)),
    "published": ("lowbit_mac_published_core", 16, ("if4", "nvfp4")),
}
# Units of tens of thousands of cells get fewer beats in the simulation.
BEATS = {"published": 320, "gst": 520}


def parameters(unit, fmt, recipe):
    if unit == "published":
        return [f"INTEGERS={int(fmt['integers'])}"]
    if unit == "gst":
        return []
    out = [f"FORMAT={fmt['id']}"]
    if unit == "exact":
        # Counted from operands to the raw accumulator; 0x7F reads as 448, without the sticky flags.
        out += ["FLAGS=0", f"PIPELINE={int(recipe == 'speed')}"]
    return out


def digest(*parts):
    h = hashlib.sha256()
    for p in parts:
        if os.path.isfile(p):
            with open(p, "rb") as f:
                h.update(f.read())
        else:
            h.update(p.encode())
        h.update(b"\0")
    return h.hexdigest()[:24]


def atomically(path, text):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=os.path.dirname(path), delete=False) as f:
        f.write(text)
    # The temporary file is private to its owner; the result has the permissions of any other new file.
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(f.name, 0o666 & ~mask)
    os.replace(f.name, path)


STORED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stored.json")


def stored_key(unit, fmt, recipe, library):
    """Hash of what decides a synthesis: the RTL, parameters, the recipe and the library's contents."""
    top = UNITS[unit][0]
    return digest(top, json.dumps(parameters(unit, fmt, recipe)), json.dumps(synth.RECIPES[recipe]), library.path, *synth.sources(top, None))


def stored_row(unit, fmt, recipe, library):
    """The row of stored.json for this synthesis, or None. `stored_matches` says whether RTL, recipe
    and library are still those that it was made from."""
    with open(STORED, encoding="utf-8") as f:
        stored = json.load(f)
    for result in stored["results"]:
        if (result["unit"], result["format"], result["recipe"], result["library"]) == (unit, fmt["name"], recipe, library.name):
            row = dict(result)
            row["stored"] = True
            row["stored_matches"] = row.pop("key") == stored_key(unit, fmt, recipe, library)
            row["tools"] = stored["tools"]
            return row
    return None


def wanted(spec, unit, fmt, recipe):
    """Whether a default set has this recipe: speed is for the two formats whose frequency is at stake."""
    return bool(spec["recipes"]) or recipe == "area" or (unit == "exact" and fmt["name"] in ("if4", "nvfp4"))


def judge(row, clock_mhz):
    """Adds whether the design reaches the clock; a line for standard error where it does not."""
    row["clock_mhz"], row["meets_timing"] = clock_mhz, row["fmax_mhz"] >= clock_mhz
    if row["meets_timing"]:
        return None
    return (f"{row['unit']} {row['format']} {row['recipe']}: does not meet timing at {clock_mhz:g} MHz: "
            f"it reaches {row['fmax_mhz']:.1f} MHz, slack {1000 / clock_mhz - 1000 / row['fmax_mhz']:.2f} ns")


def one(spec, unit, fmt, recipe, library, tools):
    top, lanes, _ = UNITS[unit]
    params = parameters(unit, fmt, recipe)
    files = synth.sources(top, None)
    here = os.path.dirname(os.path.abspath(__file__))
    scripts = [os.path.join(here, f) for f in ("synth.py", "energy.py", "liberty.py", "netlist.py")]
    beats = fmt[f"beats{lanes}"]
    limit = min(int(spec["beats"]), BEATS.get(unit, 1 << 30))
    key = digest(top, recipe, json.dumps(params), json.dumps(tools), library.path, *files, *scripts)
    energy_key = digest(key, beats, str(limit), str(spec["energy"]), str(spec["glitches"]))
    work = os.path.join(spec["cache"], f"{unit}_{fmt['name']}_{recipe}_{key}")
    done = os.path.join(work, f"result_{energy_key}.json")
    if os.path.exists(done):
        with open(done, encoding="utf-8") as f:
            return json.load(f)
    synthesis = os.path.join(work, "synthesis.json")
    if os.path.exists(synthesis):
        with open(synthesis, encoding="utf-8") as f:
            result = json.load(f)
    else:
        args = synth.parser().parse_args(["--top", top, "--recipe", recipe, "--liberty", library.path, "--out", work]
                                         + [x for p in params for x in ("-p", p)] + (["--lef", spec["lef"]] if spec["lef"] else []))
        result = synth.synthesize(args, library)
        result["mac_per_s_per_mm2"] *= lanes / 16
        atomically(synthesis, json.dumps(result))
    row = {"unit": unit, "format": fmt["name"], "lanes": lanes, "integers": fmt["integers"], "recipe": recipe,
           "library": library.name, "nand2": result["nand2"], "area_um2": result["area_um2"], "fmax_mhz": result["fmax_mhz"],
           "pj_per_mac": None, "sqnr_db": None, "flip_flops": result["flip_flops"],
           "gmac_per_s_per_mm2": round(result["mac_per_s_per_mm2"] / 1e9, 2),
           "critical_start": result["critical_start"], "critical_end": result["critical_end"]}
    if spec["energy"]:
        for sdf in ([False, True] if spec["glitches"] else [False]):
            args = argparse.Namespace(work=work, beats=beats, limit=limit, lanes=lanes, liberty=library.path,
                                      models=spec["models"] or None, period=20.0, sdf=sdf)
            e = energy.measure(args, library)
            if not sdf:
                row["pj_per_mac"] = e["pj_per_mac"]
                for part in ("switching", "internal", "clock", "leakage"):
                    row[f"{part}_pj_per_mac"] = e[f"{part}_pj_per_mac"]
                row["opensta_pj_per_mac"] = e.get("opensta_pj_per_mac")
            else:
                row["glitch_pj_per_mac"] = e["pj_per_mac"]
            row["beats"] = e["beats"]
    row["tools"] = tools
    atomically(done, json.dumps(row))
    return row


def ratios(rows):
    """IF4 over NVFP4 and NVINT4, for each unit and recipe that has both."""
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


COLUMNS = ("unit", "format", "lanes", "integers", "recipe", "library", "nand2", "area_um2", "fmax_mhz", "flip_flops",
           "gmac_per_s_per_mm2", "pj_per_mac", "glitch_pj_per_mac", "sqnr_db",
           "accumulator_rel_rmse", "stored")


def cell(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2e}" if 0 < abs(value) < 0.01 else f"{value:.2f}"
    return str(value)


def markdown(rows):
    lines = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    lines += ["| " + " | ".join(cell(r.get(c)) for c in COLUMNS) + " |" for r in rows]
    lines += ["", "| unit | recipe | ratio | area | energy |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {u} | {c} | {n} | {a:.3f} | {cell(e)} |" for u, c, n, a, e in ratios(rows)]
    tools = rows[0]["tools"] if rows else {}
    lines += ["", "Tools: " + ", ".join(f"{k} {v}" for k, v in tools.items()) + ". No wires, ideal clock; energy at 20 ns."]
    return "\n".join(lines) + "\n"


def svg(rows, key, label):
    points = [r for r in rows if r.get(key) and r.get("sqnr_db")]
    if not points:
        return ""
    xs, ys = [r["sqnr_db"] for r in points], [r[key] for r in points]
    x0, x1, y1 = min(xs) - 1, max(xs) + 1, max(ys) * 1.1
    colour = {"exact": "#1f77b4", "block_fp32": "#2ca02c", "gst": "#9467bd", "published": "#d62728"}
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" width="640" height="360" font-family="sans-serif" font-size="11">',
           '<rect x="60" y="10" width="560" height="300" fill="none" stroke="#888"/>',
           f'<text x="340" y="350" text-anchor="middle">SQNR of the weights, dB</text>',
           f'<text x="14" y="160" text-anchor="middle" transform="rotate(-90 14 160)">{html.escape(label)}</text>']
    for i in range(5):
        y, x = y1 * i / 4, x0 + (x1 - x0) * i / 4
        out.append(f'<text x="55" y="{310 - 300 * i / 4 + 4:.0f}" text-anchor="end">{y:.4g}</text>')
        out.append(f'<text x="{60 + 560 * i / 4:.0f}" y="326" text-anchor="middle">{x:.1f}</text>')
    for r, x, y in zip(points, xs, ys):
        px, py = 60 + 560 * (x - x0) / (x1 - x0), 310 - 300 * y / y1
        name = f"{r['unit']} {r['format']} {r['recipe']}"
        out.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{colour.get(r["unit"], "#555")}"><title>{html.escape(name)}</title></circle>')
        out.append(f'<text x="{px + 6:.1f}" y="{py - 3:.1f}">{html.escape(r["format"])}</text>')
    for i, (u, c) in enumerate(colour.items()):
        out.append(f'<circle cx="{80 + 100 * i}" cy="24" r="4" fill="{c}"/><text x="{88 + 100 * i}" y="28">{u}</text>')
    return "\n".join(out) + "\n</svg>\n"


def page(rows, spec):
    out = ["<!doctype html><html lang=en><meta charset=utf-8><title>lowbit mac report</title>",
           "<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2em .6em}</style>",
           f"<h1>MAC units: area, energy and accuracy</h1><p>Accuracy and operands: {html.escape(spec['sample'])}.</p>"]
    out.append("<table><tr>" + "".join(f"<th>{c}</th>" for c in COLUMNS) + "</tr>")
    out += ["<tr>" + "".join(f"<td>{html.escape(cell(r.get(c)))}</td>" for c in COLUMNS) + "</tr>" for r in rows]
    out.append("</table><h2>IF4 over the others</h2><table><tr><th>unit<th>recipe<th>ratio<th>area<th>energy</tr>")
    out += [f"<tr><td>{u}<td>{c}<td>{n}<td>{a:.3f}<td>{cell(e)}</tr>" for u, c, n, a, e in ratios(rows)]
    out.append("</table><h2>Area against accuracy</h2>" + svg(rows, "nand2", "NAND2 equivalents"))
    out.append("<h2>Energy against accuracy</h2>" + svg(rows, "pj_per_mac", "pJ per MAC, zero delay"))
    tools = rows[0]["tools"] if rows else {}
    out.append("<p>" + html.escape("Tools: " + ", ".join(f"{k} {v}" for k, v in tools.items()) + ". No wires, ideal clock; energy at 20 ns.") + "</p></html>")
    return "\n".join(out) + "\n"


def render(rows, spec):
    if spec["style"] == "markdown":
        return markdown(rows)
    if spec["style"] == "html":
        return page(rows, spec)
    if spec["style"] == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()
    return json.dumps(rows, indent=1) + "\n"


def report(spec):
    library = Library(spec["liberty"] or DEFAULT_LIBERTY)
    recipes = [r for r in (spec["recipes"] or "area,speed").split(",") if r]
    for r in recipes:
        if r not in synth.RECIPES:
            raise synth.FlowError(f"--recipes: no recipe {r}; there are {', '.join(sorted(synth.RECIPES))}", 2)
    tools = synth.versions()
    for line in synth.version_warnings(tools):
        print("lowbit mac report: warning: " + line, file=sys.stderr)
    todo = [(u, f, r) for u in spec["units"] for f in spec["formats"] if UNITS[u][2] is None or f["name"] in UNITS[u][2]
            for r in recipes if wanted(spec, u, f, r)]
    if not todo:
        raise synth.FlowError("no unit has any of these formats", 2)
    rows, late, begun = [], [], time.time()
    for i, (unit, fmt, recipe) in enumerate(todo):
        if sys.stderr.isatty():
            print(f"\r[{i}/{len(todo)}] {time.time() - begun:.0f} s  {unit} {fmt['name']} {recipe}\033[K", end="", file=sys.stderr, flush=True)
        row = stored_row(unit, fmt, recipe, library) if spec.get("stored", True) else None
        if row is None:
            row = dict(one(spec, unit, fmt, recipe, library, tools), stored=False)
        elif not row["stored_matches"]:
            print(f"lowbit mac report: warning: {unit} {fmt['name']} {recipe}: stored result of another RTL, recipe or library; "
                  "--fresh measures it", file=sys.stderr)
        row["accumulator_rel_rmse"] = fmt.get("accumulator_rel_rmse", {}).get(unit)
        row["sqnr_db"], row["input_sqnr_db"] = round(fmt["sqnr_db"], 3), round(fmt["input_sqnr_db"], 3)
        rows.append(row)
        if spec.get("clock_mhz"):
            line = judge(row, spec["clock_mhz"])
            if line:
                late.append(line)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    for unit, recipe, name, area, _ in ratios(rows):
        base = next(r for r in rows if (r["unit"], r["format"], r["recipe"]) == (unit, "if4", recipe))
        base["nand2_over_" + name.split("/")[1]] = round(area, 4)
    for line in late:
        print("lowbit mac report: " + line, file=sys.stderr)
    text = render(rows, spec)
    if spec["output"]:
        atomically(os.path.abspath(spec["output"]), text)
    else:
        sys.stdout.write(text)


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        spec = json.load(f)
    try:
        report(spec)
    except (LibertyError, synth.FlowError) as e:
        print(f"lowbit mac report: {e}", file=sys.stderr)
        return getattr(e, "code", 3)
    except KeyboardInterrupt:
        return 130
    finally:
        for path in [sys.argv[1]] + [f[k] for f in spec["formats"] for k in ("beats16", "beats64")]:
            if os.path.exists(path):
                os.unlink(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
