#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Synthesizes one unit with yosys and abc on a Liberty file and times it with OpenSTA.

Prints one JSON object: area, NAND2 equivalents, flip-flops, critical path, maximum frequency.
Recipes (RECIPES below) are abc scripts; `area` is smallest, `fastest` has the highest clock, the others
lie between them. Full adders that the RTL names (lowbit_full_adder) become the library's full-adder
cell where it has one. Several --liberty are one library. No wires, no layout, ideal clock: docs/mac_area.md.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time

import resize
from liberty import LibertyError, lef_area
from library import Library

DEFAULT_LIBERTY = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib"
HERE = os.path.dirname(os.path.abspath(__file__))
RTL = os.path.normpath(os.path.join(HERE, "..", "..", "mac_rtl"))

# name: (abc script, target delay in ps, full-adder cells). {D} is the target, {C} the constraints.
RECIPES = {
    "area": ("strash; " + "dch; amap; strash; " * 4 + "dch; amap; topo; buffer -c; upsize -D {D}; dnsize -D {D}; stime -p",
             6000, True),
    "default": (None, 3000, True),
    "speed": ("strash; dch; map; topo; buffer -c; upsize; dnsize; stime -p", 3000, True),
    "balanced": ("strash; dch; amap; topo; buffer -c; upsize; dnsize; stime -p", 5000, False),
    "compact": ("strash; dch; amap; topo; buffer -c; upsize; dnsize; stime -p", 5000, False),
    "fastest": ("strash; " + "dch; if -g -K 6 -C 8; strash; " * 3 + "dch; map -B 0.9; topo; buffer -c; upsize; dnsize -D {D}; stime -p", 100, False),
}
# Final adders are left to yosys (LOWBIT_FAST_ADD) instead of chains of full adders.
FAST_ADDERS = ("speed", "balanced", "compact", "fastest")
# After abc, which sees neither the flip-flops' delays nor their loads: cells of OpenSTA's worst path are exchanged (resize.py).
RESIZED = ("balanced", "compact", "fastest")


class FlowError(Exception):
    """A step that failed; `code` is the exit code of the command (3 input, 5 unavailable)."""

    def __init__(self, message, code=3):
        super().__init__(message)
        self.code = code


def tool(name, *version_arguments):
    """The first line of `name --version`; FlowError where the tool is missing."""
    try:
        out = subprocess.run([name, *version_arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError:
        raise FlowError(f"{name} not found: install it (Debian package {PACKAGES.get(name, name)})", 5) from None
    lines = (out.stdout + out.stderr).strip().splitlines()
    return lines[0].strip() if lines else "unknown"


PACKAGES = {"sta": "opensta", "vvp": "iverilog"}


def versions():
    """What synthesis and timing run: version by tool."""
    return {"yosys": tool("yosys", "-V"), "abc": tool("berkeley-abc", "-q", "version"), "opensta": tool("sta", "-version")}


# What docs/mac_area.md was measured with.
TESTED = {"yosys": "0.23", "opensta": "2.0.17"}


def version_warnings(tools):
    """A line for each tool of another version than the tested one: areas and periods may differ."""
    lines = []
    for name, version in TESTED.items():
        found = re.search(r"\d+(\.\d+)+", tools[name])
        if not found or found.group(0) != version:
            lines.append(f"{name} {found.group(0) if found else tools[name]}: the recorded figures are of {version}; areas and periods may differ")
    return lines


def run(command, log, cwd, limit=4 * 3600):
    with open(log, "w", encoding="utf-8") as out:
        try:
            done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=cwd, timeout=limit,
                                  stdin=subprocess.DEVNULL, check=False)
        except OSError:
            raise FlowError(f"{command[0]} not found: install it (Debian package {PACKAGES.get(command[0], command[0])})", 5) from None
        except subprocess.TimeoutExpired:
            raise FlowError(f"{command[0]} ran for more than {limit} s; its log is {log}", 3) from None
    if done.returncode != 0:
        with open(log, encoding="utf-8", errors="replace") as f:
            bad = [l.strip() for l in f if "ERROR" in l or "Error" in l]
        raise FlowError(f"{command[0]} failed ({bad[-1] if bad else 'no message'}); its log is {log}", 3)


def sources(top, file_list):
    path = file_list or os.path.join(RTL, top + ".f")
    try:
        with open(path, encoding="utf-8") as f:
            return [os.path.join(os.path.dirname(path), l.strip()) for l in f if l.strip()]
    except OSError:
        raise FlowError(f"{path}: no list of sources for {top}", 2) from None


def adder_maps(library, work):
    """Two techmap files: adders with a constant input become logic, the others the library's cell."""
    cell, (a, b, d), (s, s_inverted), (c, c_inverted) = library.full_adder
    ports = """module lowbit_full_adder(a_i, b_i, c_i, s_o, c_o);
  input a_i, b_i, c_i; output s_o, c_o;
"""
    with open(os.path.join(work, "constant_adders.v"), "w", encoding="utf-8") as f:
        f.write(ports + """  parameter _TECHMAP_CONSTMSK_a_i_ = 0; parameter _TECHMAP_CONSTMSK_b_i_ = 0; parameter _TECHMAP_CONSTMSK_c_i_ = 0;
  wire _TECHMAP_FAIL_ = ~(_TECHMAP_CONSTMSK_a_i_ | _TECHMAP_CONSTMSK_b_i_ | _TECHMAP_CONSTMSK_c_i_);
  assign s_o = a_i ^ b_i ^ c_i;
  assign c_o = (a_i & b_i) | (c_i & (a_i | b_i));
endmodule
""")
    with open(os.path.join(work, "adders.v"), "w", encoding="utf-8") as f:
        if not s_inverted and not c_inverted:
            f.write(ports + f"  {cell} _TECHMAP_REPLACE_ (.{a}(a_i), .{b}(b_i), .{d}(c_i), .{s}(s_o), .{c}(c_o));\nendmodule\n")
        else:
            f.write(ports + f"""  wire s, c;
  {cell} _TECHMAP_REPLACE_ (.{a}(a_i), .{b}(b_i), .{d}(c_i), .{s}(s), .{c}(c));
  assign s_o = {"~" * s_inverted}s;
  assign c_o = {"~" * c_inverted}c;
endmodule
""")


def yosys_script(args, library, files, work):
    script, target, adders = RECIPES[args.recipe]
    if args.abc_script:
        script = args.abc_script
    target = args.target or target
    if args.adder_cells is not None:
        adders = args.adder_cells
    constr = os.path.join(work, "constr")
    with open(constr, "w", encoding="utf-8") as f:
        f.write(f"set_driving_cell {library.buffer}\nset_load {1000 * library.load_pf}\n")  # fF, whatever the library's unit
    lines = [f"read_liberty -lib -ignore_miss_func {library.path}",
             f"read_verilog -sv -mem2reg -DLOWBIT_STRUCTURAL {'-DLOWBIT_FAST_ADD ' if args.recipe in FAST_ADDERS else ''}{' '.join(files)}",
             "hierarchy -check -top " + args.top + "".join(f" -chparam {p.replace('=', ' ')}" for p in args.param),
             "proc"]
    if adders and library.full_adder:
        adder_maps(library, work)
        lines += ["setattr -mod -set keep_hierarchy 1 lowbit_full_adder", "flatten"]
        # A constant input makes more constants downstream.
        lines += ["opt -full", f"techmap -map {work}/constant_adders.v"] * 8
        lines += ["opt -full", f"techmap -map {work}/adders.v", "setattr -mod -unset keep_hierarchy lowbit_full_adder"]
    abc = f"abc -liberty {library.path} -constr {constr} -D {target}"
    if script:
        path = os.path.join(work, "abc.script")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(x.strip() for x in script.format(D=target, C=constr).split(";")) + "\n")
        abc += f" -script {path}"
    lines += [f"synth -noshare -flatten -top {args.top}", "dffunmap -ce-only", "dffunmap -srst-only", "opt -full",
              f"dfflibmap -liberty {library.path}", "opt -fast", abc, "setundef -zero", "splitnets", "opt_clean -purge",
              "check -assert", f"tee -o {work}/stat.txt stat -liberty {library.path}",
              f"write_verilog -noattr -noexpr -nohex {work}/netlist.v"]
    return "\n".join(lines) + "\n"


def read_stat(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    area = re.search(r"Chip area for .*?: ([\d.]+)", text)
    if not area:
        raise FlowError("yosys printed no cell area: does the Liberty file have areas?", 3)
    cells = {m[0]: int(m[1]) for m in re.findall(r"^\s{5}(\w+)\s+(\d+)\s*$", text, re.M)}
    return float(area.group(1)), cells


def constraints(top, library, work, period):
    """OpenSTA commands that read and constrain the netlist; its numbers are in the library's units."""
    return f"""read_liberty {library.path}
read_verilog {work}/netlist.v
link_design {top}
create_clock -name clk -period {period / library.time_ns:g} [get_ports clk_i]
set inputs [list]
foreach p [all_inputs] {{ if {{[get_property $p full_name] != "clk_i"}} {{ lappend inputs $p }} }}
set_input_delay 0 -clock clk $inputs
set_output_delay 0 -clock clk [all_outputs]
set_input_transition {library.slew_ns / 2 / library.time_ns:g} $inputs
set_load {library.load_pf / library.cap_pf:g} [all_outputs]
"""


def time_netlist(top, library, work, period, sdf=False):
    """(delay of the worst path in ns, its start, its end, OpenSTA's report)."""
    tcl = constraints(top, library, work, period) + """report_checks -path_delay max -fields {slew cap} -digits 4

report_power -digits 6
"""
    if sdf:
        tcl += f"write_sdf -digits 4 {work}/netlist.sdf\n"
    with open(os.path.join(work, "sta.tcl"), "w", encoding="utf-8") as f:
        f.write(tcl + "exit\n")
    log = os.path.join(work, "sta.log")
    run(["sta", "-no_splash", "-exit", os.path.join(work, "sta.tcl")], log, work)
    with open(log, encoding="utf-8") as f:
        text = f.read()
    slack = re.search(r"(-?[\d.]+)\s+slack \(", text)
    if not slack:
        raise FlowError(f"OpenSTA found no timed path; its log is {log}", 3)
    start = re.search(r"Startpoint: (\S+)", text)
    end = re.search(r"Endpoint: (\S+)", text)
    return period - float(slack.group(1)) * library.time_ns, start.group(1) if start else "", end.group(1) if end else "", text


def real_names(work, names):
    """Registers have generated instance names: name the net that they drive."""
    out = []
    with open(os.path.join(work, "netlist.v"), encoding="utf-8") as f:
        text = f.read()
    for name in names:
        match = re.search(re.escape(name) + r"\s*\(([^;]*)\);", text)
        q = re.search(r"\.Q\w*\(([^)]*)\)", match.group(1)) if match else None
        out.append(q.group(1).strip() if q else name)
    return out


def synthesize(args, library):
    work = args.out
    os.makedirs(work, exist_ok=True)
    files = sources(args.top, args.files)
    script = os.path.join(work, "synth.ys")
    with open(script, "w", encoding="utf-8") as f:
        f.write(yosys_script(args, library, files, work))
    begin = time.time()
    run(["yosys", "-s", script], os.path.join(work, "yosys.log"), work)
    area, cells = read_stat(os.path.join(work, "stat.txt"))
    flops = sum(n for c, n in cells.items() if c in library.cells and library.cells[c].all("ff"))
    if args.recipe in RESIZED:
        cells = resize.resize(args.top, library, work, args.period, (args.target or RECIPES[args.recipe][1]) / 1000)
        area = sum(n * library.area(c) for c, n in cells.items())
    synth_s = time.time() - begin
    delay, start, end, _ = time_netlist(args.top, library, work, args.period, sdf=True)
    start, end = real_names(work, [start, end])
    unit = lef_area(args.lef, library.nand2) if args.lef else None
    unit = unit or library.area(library.nand2)
    lanes = next((int(p.split("=")[1]) for p in args.param if p.startswith("LANES=")), 16)
    fmax = 1000.0 / delay
    return {"top": args.top, "parameters": args.param, "recipe": args.recipe, "library": library.name, "corner": library.corner,
            "area_um2": area, "nand2": round(area / unit, 1), "cells": sum(cells.values()), "flip_flops": flops,
            "period_ns": round(delay, 4), "fmax_mhz": round(fmax, 2), "critical_start": start, "critical_end": end,
            "mac_per_s_per_mm2": round(lanes * fmax * 1e6 / (area * 1e-6), 0), "synthesis_s": round(synth_s, 1)}


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--top", default="lowbit_mac_exact_core")
    p.add_argument("-p", "--param", action="append", default=[], metavar="NAME=VALUE")
    p.add_argument("--files", help="list of sources, one per line; default mac_rtl/TOP.f")
    p.add_argument("--liberty", action="append", help="Liberty file, plain or .gz; several are one library (default: OSU 0.18 um)")
    p.add_argument("--dont-use", action="append", default=[], metavar="PATTERN", help="cells not to use; * and ? as in file names")
    p.add_argument("--lef", help="takes the NAND2's area from this file")
    p.add_argument("--recipe", default="area", choices=sorted(RECIPES))
    p.add_argument("--target", type=int, help="target delay in ps of abc and of the exchange of cells, instead of the recipe's")
    p.add_argument("--abc-script", help="instead of the recipe's")
    p.add_argument("--adder-cells", type=int, choices=(0, 1), help="map full adders to the library's cell")
    p.add_argument("--period", type=float, default=20.0, help="clock period in ns for timing")
    p.add_argument("--out", required=True, help="folder for scripts, logs and the netlist")
    return p


def main():
    args = parser().parse_args()
    args.out = os.path.abspath(args.out)
    try:
        print(json.dumps(synthesize(args, Library(args.liberty or DEFAULT_LIBERTY, args.dont_use, args.out)), indent=1))
    except (LibertyError, FlowError) as e:
        print(f"synth.py: {e}", file=sys.stderr)
        return getattr(e, "code", 3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
