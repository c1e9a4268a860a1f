# SPDX-License-Identifier: MIT
"""What the pages say of the nodes: the part `By node` of docs/mac_report.md and the data sheet's table in docs/mac.md."""
import render
import synth
import units

COLUMNS = (("node", "node", ""), ("unit", "unit", ""), ("format", "format", ""), ("lanes", "lanes", ""), ("recipe", "recipe", ""), ("nand2", "area, NAND2", ",.0f"), ("area_um2", "area, um2", ",.0f"),
           ("flip_flops", "flip-flops", ""), ("fmax_mhz", "Fmax, MHz", ",.0f"), ("gmac_per_s_per_mm2", "GMAC/s/mm2", ",.0f"), ("pj_per_mac", "pJ/MAC, zero delay", ".3g"),
           ("glitch_pj_per_mac", "pJ/MAC, glitches", ".3g"), ("glitch_wire_pj_per_mac", "wires, pJ/MAC", ".3g"), ("leakage_pj_per_mac", "of it leakage", ".2g"), ("best", "best of the search", ""))


TITLE = "## By node"
# Units that are measured on the default library alone, and why.
LEFT_OUT = {"published": "its synthesis takes a quarter of an hour of processor time there"}
# The data sheet's table stands between these lines of docs/mac.md.
BEGIN, END = "<!-- made by scripts/mac_docs.sh -->", "<!-- end -->"


def ratios(rows):
    """{(node, recipe): (area, energy, clock of IF4, clock of NVFP4)} of IF4 over NVFP4; energy None where a row has none."""
    at = {(r["node"], r["recipe"], r["format"]): r for r in rows if r["unit"] == "exact" and r["lanes"] == 16}
    pairs = {(n, c): (r, at[n, c, "nvfp4"]) for (n, c, f), r in at.items() if f == "if4" and (n, c, "nvfp4") in at}
    return {k: (r["nand2"] / o["nand2"], r["pj_per_mac"] / o["pj_per_mac"] if r["pj_per_mac"] and o["pj_per_mac"] else None, r["fmax_mhz"], o["fmax_mhz"])
            for k, (r, o) in pairs.items()}


def both_meet(recipe, *clocks):
    """The clock in MHz that a recipe exchanges cells for, where all of these reach it (to the picosecond), else None. Recipes that leave the
    sizes to abc have none."""
    name, _, target = recipe.removesuffix("+pipeline").partition("@")
    goal_ps = int(target) if target else synth.RECIPES[name][1]
    return 1e6 / goal_ps if name in synth.RESIZED and all(1e6 / mhz < goal_ps + 0.5 for mhz in clocks) else None


def at_equal_clock(rows):
    """{node: (area, energy, recipe, MHz)}: of the pairs of IF4 and NVFP4 that were made for one clock and meet it, the one of the least area."""
    out = {}
    for (node, recipe), (area, energy_, *clocks) in ratios(rows).items():
        goal = both_meet(recipe, *clocks)
        if goal and (node not in out or area < out[node][0]):
            out[node] = area, energy_, recipe, goal
    return out


def factors(scaling, nm, volts):
    """(area, energy) at scaling's node and voltage over those at nm and volts."""
    def energy(of, v):
        a, b, c = scaling["energy_of_volts"][str(of)]
        return a * v * v + b * v + c
    return scaling["area_to_32nm"][str(nm)], energy(scaling["to_nm"], scaling["to_volts"]) / energy(nm, volts)


def best(rows, node, fmt):
    """Rows of the node's exact unit with the most GMAC/s/mm2 and the least pJ/MAC (with glitches where measured)."""
    own = [r for r in rows if (r["node"], r["unit"], r["format"]) == (node["node"], "exact", fmt)]
    return max(own, key=lambda r: r["gmac_per_s_per_mm2"], default=None), min((r for r in own if energy(r)), key=energy, default=None)


def energy(row):
    """With glitches where they were measured; None where no energy was."""
    return row.get("glitch_pj_per_mac") or row["pj_per_mac"]


def beside(rows, nodes, scaling):
    """Lines of the table beside published designs: raw, and scaled to one node."""
    lines = ["### Beside published designs", "",
             f"Raw figures at each design's own node, and scaled to {scaling['to_nm']} nm and {scaling['to_volts']} V by one table: {scaling['source']}. "
             "An area is multiplied by its factor, an energy by the ratio of the polynomials at the two voltages; clocks are not scaled. pJ/MAC of our units: "
             "with glitches, without wires. Each row has the best of its recipes, so the two figures may be of two recipes.", "",
             "| design | level | area factor | energy factor | GMAC/s/mm2 | pJ/MAC | GMAC/s/mm2, scaled | pJ/MAC, scaled |", "|" + " --- |" * 8]

    def line(name, level, nm, volts, rate, pj):
        area, joule = factors(scaling, nm, volts) if nm else (None, None)
        lines.append("| " + " | ".join([name, level, text(area, "g"), text(joule, ".3g"), text(rate, ",.0f"), text(pj, ".3g"),
                                        text(rate and area and rate / area, ",.0f"), text(pj and joule and pj * joule, ".3g")]) + " |")

    for fmt in ("nvfp4", "if4"):
        for node in nodes:
            dense, frugal = best(rows, node, fmt)
            if dense:
                line(f"exact {fmt}, {node['node']}", f"unit, {node['nm']} nm, {node['volts']} V", node["nm"], node["volts"], dense["gmac_per_s_per_mm2"], frugal and energy(frugal))
    for p in scaling["published"]:
        line(f"{p['design']} ({p['source']})", p["level"] + (f", {p['volts']} V assumed" if p["volts"] else ""), p["nm"], p["volts"], p["gmac_per_s_per_mm2"], p["pj_per_mac"])
    return lines + [""]


def text(value, form):
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else format(value, form) if form else str(value)


def markdown(rows, nodes, scaling):
    lines = [TITLE, "", "Made by `scripts/mac_docs.sh DIR_OF_LIBRARIES`; [mac_area.md](mac_area.md#other-libraries) says what is counted and how.", "",
             "| " + " | ".join(c[1] for c in COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(text(r.get(k), f) for k, _, f in COLUMNS) + " |" for r in rows]
    if not all(energy(r) for r in rows):
        lines += ["", "Rows without energy: area and clock alone were measured."]
    lines += [line for node, names in missing(rows, nodes).items() for line in ("", f"Not measured on {node}: {', '.join(names)}.")]
    lines += [line for unit, why in LEFT_OUT.items() for line in ("", f"Measured on {nodes[0]['node']} alone: {unit}; {why}.")]
    lines += ["", "### IF4 over NVFP4", "| node | recipe | area | energy, zero delay | IF4, MHz | NVFP4, MHz | both meet, MHz |", "|" + " --- |" * 7]
    lines += [f"| {n} | {c} | {a:.3f} | {text(e, '.3f')} | {x:,.0f} | {y:,.0f} | {text(both_meet(c, x, y), ',.0f')} |" for (n, c), (a, e, x, y) in ratios(rows).items()]
    equal = [f"{n} {a:.3f}{f', energy {e:.3f},' if e else ''} at {mhz:,.0f} MHz ({c})" for n, (a, e, c, mhz) in at_equal_clock(rows).items()]
    lines += ["", "At equal clock and recipe, which is where both were made for the clock of the last column and meet it, the least ratio of the areas is: "
              + "; ".join(equal) + ". [mac_area.md](mac_area.md#if4-over-nvfp4) says what bounds the others."] if equal else []
    lines += [""] + beside(rows, nodes, scaling) + ["### Libraries"]
    for node in nodes:
        own = [r for r in rows if r["node"] == node["node"]]
        if own:
            files = ", ".join(f"`{n}` (SHA-256 {h})" for n, h in node["files"].items())
            lines.append(f"- **{node['node']}**: {node['title']}. {node['source']}{': ' + files if files else ''}. Wires: {node['wire_ff']} fF per input pin, an "
                         f"estimate, beside the sum. Clock of the energy: {node['period_ns']} ns." + (f" Not used: {', '.join('`' + p + '`' for p in node['dont_use'])}." if node["dont_use"] else ""))
    lines += [""] + [line for t in render.tools(rows) for line in (t, "")][:-1]
    return "\n".join(lines) + "\n"


def missing(rows, nodes):
    """{node: names of rows that were not measured}: every node should have what any node has with recipe area, but for LEFT_OUT, and exact
    IF4 and NVFP4 with its own recipes."""
    have = {(r["node"], r["unit"], r["format"], r["lanes"], r["recipe"]) for r in rows}
    everywhere = list(dict.fromkeys((r["unit"], r["format"], r["lanes"], "area") for r in rows if r["recipe"] == "area"))
    out = {}
    for node in nodes:
        own = [("exact", fmt, 16, units.name(p)) for fmt in ("if4", "nvfp4") for p in units.points("exact", {"name": fmt, "block_size": 16}, node["recipes"])]
        lacking = [k for k in dict.fromkeys(everywhere + own) if (node["node"], *k) not in have and (k[0] not in LEFT_OUT or node is nodes[0])]
        if lacking:
            out[node["node"]] = [f"{unit} {fmt} {lanes} lanes {recipe}" for unit, fmt, lanes, recipe in lacking]
    return out


def data_sheet(rows, nodes):
    """Lines of the data sheet's table: exact NVFP4 and IF4 on each node, smallest (recipe area) and with the highest clock
    in the report, of the rows with an energy."""
    lines = ["| node | design | NVFP4: NAND2 | um2 | MHz | pJ/MAC | IF4: NAND2 | um2 | MHz | pJ/MAC |", "|" + " --- |" * 10]
    for node in nodes:
        for name, pick in (("smallest", lambda own: next((r for r in own if r["recipe"] == "area"), {})), ("fastest", lambda own: max(own, key=lambda r: r["fmax_mhz"]))):
            cells = []
            for fmt in ("nvfp4", "if4"):
                own = [r for r in rows if (r["node"], r["unit"], r["format"], r["lanes"]) == (node["node"], "exact", fmt, 16) and energy(r)]
                r = pick(own) if own else {}
                cells += [text(r.get("nand2"), ",.0f"), text(r.get("area_um2"), ",.0f"), text(r.get("fmax_mhz"), ",.0f"), text(energy(r) if r else None, ".3g")]
            lines.append(f"| {node['title']} | {name} | " + " | ".join(cells) + " |")
    return lines


def with_data_sheet(page_text, rows, nodes):
    """docs/mac.md with its table by node written anew."""
    begin, end = page_text.index(BEGIN + "\n"), page_text.index(END)
    return page_text[:begin] + "\n".join([BEGIN, ""] + data_sheet(rows, nodes) + ["", page_text[end:]])


def page(text, rows, nodes, scaling):
    """The report's page with this part at its end."""
    return text.split(TITLE)[0].rstrip() + "\n\n" + markdown(rows, nodes, scaling)
