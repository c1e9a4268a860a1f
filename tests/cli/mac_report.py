#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lowbit mac report, run: one small design from nothing, then from the cache; its area against the
netlist's cells, its frequency and power against OpenSTA asked anew; bad input and missing tools.

Exit code 77 (skipped) where a tool or the library is missing."""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.normpath(os.path.join(HERE, "..", "..", "scripts", "synth")))
sys.dont_write_bytecode = True
from library import Library  # noqa: E402
from netlist import Netlist  # noqa: E402

LIBERTY = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib"
# Between the counted energy and OpenSTA's, of the exact unit: docs/mac_area.md.
MARGIN = 2.0


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


class Command:
    def __init__(self, lowbit, cache):
        self.lowbit, self.cache = lowbit, cache

    def __call__(self, *arguments, path=None):
        environment = dict(os.environ, **({"PATH": path} if path else {}))
        begun = time.time()
        done = subprocess.run([self.lowbit, "mac", "report", "--cache", self.cache, *arguments], capture_output=True, text=True,
                              check=False, env=environment)
        done.seconds = time.time() - begun
        return done

    def refused(self, code, words, *arguments, path=None):
        done = self(*arguments, path=path)
        check(done.returncode == code and words in done.stderr and done.stderr.count("\n") == 1 and not done.stdout,
              f"exit code {code} and one line: {words}" + (f" ({done.returncode}: {done.stderr})" if done.returncode != code else ""))


def only(folder, *tools):
    """A PATH of these tools alone."""
    os.makedirs(folder)
    for tool in tools:
        os.symlink(os.path.realpath(shutil.which(tool)), os.path.join(folder, tool))
    return folder


def asked_anew(work, top):
    """(ns of the critical path, W) by a script of our own, at another clock than the flow's."""
    script = os.path.join(work, "anew.tcl")
    with open(script, "w", encoding="utf-8") as f:
        f.write(f"""read_liberty {LIBERTY}
read_verilog {work}/netlist.v
link_design {top}
create_clock -name c -period 50 [get_ports clk_i]
set_input_delay 0 -clock c [get_ports {{valid_i first_i last_i a_scale_i* w_scale_i* a_codes_i* w_codes_i* rst_ni}}]
set_output_delay 0 -clock c [all_outputs]
set_input_transition 0.1 [all_inputs]
set_load 0.05 [all_outputs]
report_worst_slack -digits 4
report_power -digits 6
exit
""")
    text = subprocess.run(["sta", "-no_splash", "-exit", script], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    slack = float(re.search(r"worst slack\s+(-?[\d.]+)", text).group(1))
    return 50 - slack, float(re.search(r"^Total\s+(?:\S+\s+){3}(\S+)", text, re.M).group(1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    lowbit = parser.parse_args().lowbit
    missing = [t for t in ("yosys", "sta", "iverilog", "vvp", "berkeley-abc") if not shutil.which(t)]
    if missing or not os.path.exists(LIBERTY):
        print("skipped: not found:", *missing or [LIBERTY])
        return 77
    with tempfile.TemporaryDirectory() as work:
        cache = os.path.join(work, "cache")
        run = Command(lowbit, cache)
        design = ("--units", "exact", "--formats", "nvfp4", "--recipes", "default", "--beats", "200")
        first = run(*design, "--html", os.path.join(work, "page.html"))
        check(first.returncode == 0 and not first.stdout, f"from nothing: {first.seconds:.1f} s {first.stderr}")
        again = run(*design, "--json", "--csv", os.path.join(work, "table.csv"))
        check(again.returncode == 0 and again.seconds < first.seconds / 3, f"from the cache: {again.seconds:.1f} s")
        rows = json.loads(again.stdout)
        row = rows[0]
        check(len(rows) == 1 and {"unit", "format", "lanes", "integers", "recipe", "library", "nand2", "area_um2", "fmax_mhz", "pj_per_mac",
                                  "sqnr_db", "accumulator_rel_rmse", "tools"} <= set(row), "every documented field")
        check(row["accumulator_rel_rmse"] == 0 and 19 < row["sqnr_db"] < 23 and row["stored"] is False, "accuracy of the sample's projection")
        check(0.9 < row["pj_per_mac"] / sum(row[f"{p}_pj_per_mac"] for p in ("switching", "internal", "clock", "leakage")) < 1.1, "the energy is its parts")
        check(not [f for f in os.listdir(cache) if f.startswith(("beats_", "spec_"))], "no intermediate files are left")
        with open(os.path.join(work, "page.html"), encoding="utf-8") as f:
            page = f.read()
        check("<svg" in page and f"{row['nand2']:,.0f}" in page and row["tools"]["yosys"] in page, "the page has the figures, a plot and the tools")

        kept, bare = os.path.join(work, "kept.json"), only(os.path.join(work, "no_tools"), "python3")
        with open(kept, "w", encoding="utf-8") as f:
            json.dump(rows, f)
        taken = run(*design, "--rows", kept, path=bare)
        check(taken.returncode == 0 and json.loads(taken.stdout) == rows, f"the row of an earlier report again, without a tool {taken.stderr}")
        other = run(*design, "--rows", kept, "--wire", "4")
        check("nvfp4 default: the earlier row is of another --wire or --period; it is measured instead" in other.stderr and "wire_pj_per_mac" in json.loads(other.stdout)[0], "but not with other wires")
        run.refused(3, "page.html: no JSON", *design, "--rows", os.path.join(work, "page.html"))
        run.refused(3, "none.json", *design, "--rows", os.path.join(work, "none.json"))

        made = os.path.join(cache, next(d for d in os.listdir(cache) if d.startswith("exact_nvfp4_default")))
        library, netlist = Library(LIBERTY), Netlist(os.path.join(made, "netlist.v"))
        area = sum(library.area(kind) for kind, _ in netlist.cells.values())
        with open(os.path.join(made, "stat.txt"), encoding="utf-8") as f:
            stat = float(re.search(r"Chip area for .*: ([\d.]+)", f.read()).group(1))
        check(abs(area - row["area_um2"]) < 0.5 and abs(stat - row["area_um2"]) < 0.5, f"area {area} um2: the netlist's cells, yosys's stat, the row")
        check(sum(bool(library.cells[kind].all("ff")) for kind, _ in netlist.cells.values()) == row["flip_flops"], "flip-flops of the netlist")
        check(abs(row["nand2"] * library.area("NAND2X1") - area) < 3, "NAND2 equivalents")
        delay, watts = asked_anew(made, netlist.top)
        check(abs(1000 / delay - row["fmax_mhz"]) < 0.05 * row["fmax_mhz"] / 100, f"OpenSTA asked anew: {1000 / delay:.2f} MHz")
        # report_power's activity is per cycle: power scales with the clock, 50 ns here.
        anew = watts * 50e-9 / 16 * 1e12
        check(1 / MARGIN < row["pj_per_mac"] / anew < MARGIN, f"energy {row['pj_per_mac']} pJ, OpenSTA {anew:.2f} pJ: within a factor of {MARGIN}")

        done = run(*design, "--clock", "1000")
        check(done.returncode == 1 and done.stderr.count("\n") == 1 and "exact nvfp4 default: does not meet timing at 1000 MHz" in done.stderr
              and json.loads(done.stdout)[0]["meets_timing"] is False, "a clock that is not reached: the row, one line and exit code 1")
        check(run(*design, "--clock", "20").returncode == 0, "a clock that is reached")

        with open(LIBERTY, encoding="utf-8") as f:
            text = f.read()
        for name, bad, words in (("truncated", text[:len(text) // 2], "truncated"), ("flip-flop", re.sub(r"\bff\s*\(", "fff (", text), "no flip-flop"),
                                 ("timing", re.sub(r"\btiming\s*\(", "tuning (", text), "timing")):
            path = os.path.join(work, name + ".lib")
            with open(path, "w", encoding="utf-8") as f:
                f.write(bad)
            run.refused(3, words, *design, "--liberty", path)
        run.refused(3, "none.lib", *design, "--liberty", os.path.join(work, "none.lib"))
        run.refused(2, "--recipes: no recipe smallest", *design[:4], "--recipes", "smallest")
        run.refused(2, "no format if5", "--formats", "if5")
        run.refused(2, "one beat of 16 lanes of nvfp4 takes 48; give 48 to 120", *design, "--acc-width", "47")
        run.refused(2, "a block of nvfp4 has 16 elements", *design, "--lanes", "32")
        run.refused(2, "gst", "--units", "gst", "--formats", "nvfp4", "--pipeline", "1")
        run.refused(2, "only one may go to standard output", *design, "--json", "--csv")
        run.refused(2, "no unit has any of these formats", "--units", "gst", "--formats", "if4")
        run.refused(5, "yosys not found", *design, path=only(os.path.join(work, "bare"), "python3"))
        run.refused(5, "iverilog not found", *design, "--simulator", "icarus",
                    path=only(os.path.join(work, "unsimulated"), "python3", "yosys", "sta", "berkeley-abc"))

        # The event simulator against Icarus, settled values and glitches.
        ours, icarus = (json.loads(run(*design, "--glitches", *s).stdout)[0] for s in ((), ("--simulator", "icarus")))
        check("gate_sim" in ours["tools"]["simulator"] and "Icarus" in icarus["tools"]["simulator"], "both simulators ran")
        with open(os.path.join(HERE, "..", "..", "sim", "src", "mac", "gate_sim.cpp"), "rb") as f:
            check(ours["tools"]["simulator"] == f"lowbit_gate_sim {hashlib.sha256(f.read()).hexdigest()[:8]}", "the simulator's version is the hash of its source: a build elsewhere finds the results")
        check(ours["pj_per_mac"] == icarus["pj_per_mac"], f"without delays the counts are Icarus': {ours['pj_per_mac']} pJ")
        check(abs(ours["glitch_pj_per_mac"] / icarus["glitch_pj_per_mac"] - 1) < 0.0005 and ours["glitch_pj_per_mac"] > 1.1 * ours["pj_per_mac"],
              f"with delays: {ours['glitch_pj_per_mac']} pJ, Icarus {icarus['glitch_pj_per_mac']}")
        idle = os.path.join(work, "idle")
        with open(idle, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\nread -r _ nets _ < \"$1\"\nyes 0 | head -n \"$nets\"\n")
        os.chmod(idle, 0o755)
        run.refused(3, "the simulation ended after 0 of 184 cycles", *design, "--simulator", idle)
    return 0


if __name__ == "__main__":
    sys.exit(main())
