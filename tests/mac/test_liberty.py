#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Libraries of several files, other units and other cells than OSU's, on two small Liberty files (tests/data/liberty).
No tool is needed; with Icarus the models made from Liberty are simulated too."""
import gzip
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "scripts", "synth"))
sys.dont_write_bytecode = True
import energy  # noqa: E402
import events  # noqa: E402
import models  # noqa: E402
import resize  # noqa: E402
import synth  # noqa: E402
from liberty import LibertyError, parse  # noqa: E402
from library import Library  # noqa: E402
from netlist import Netlist, cell_types, exchange  # noqa: E402
from sequential import FlipFlop  # noqa: E402

LOGIC, STATE = (os.path.join(ROOT, "tests", "data", "liberty", f"small_{n}.lib") for n in ("logic", "state"))
NETLIST = """
module top(clk_i, rst_ni, valid_i, first_i, last_i, a_scale_i, w_scale_i, a_codes_i, w_codes_i, q_o, r_o);
  input clk_i;  input rst_ni;  input valid_i;  input first_i;  input last_i;
  input a_scale_i;  input w_scale_i;  input a_codes_i;  input w_codes_i;
  output q_o;  output r_o;
  wire n;
  INVx1 u1 (
    .A(a_codes_i),
    .Y(n)
  );
  DFFQN \\r[0] (
    .CLK(clk_i),
    .D(n),
    .QN(q_o)
  );
  DFFR r2 (
    .CLK(clk_i),
    .D(n),
    .Q(r_o),
    .RN(1'h1)
  );
endmodule
"""


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


def refused(what, words, *arguments):
    try:
        Library(*arguments)
    except LibertyError as e:
        check(all(w in str(e) for w in words) and "\n" not in str(e), f"{what}: {e}")
    else:
        check(False, f"{what} is refused")


def written(work, name, text):
    path = os.path.join(work, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def test_files(work):
    library = Library([LOGIC, STATE], folder=work)
    joined = parse(library.path)
    check({c.args[0] for c in joined.all("cell")} == set(library.cells) and len(library.cells) == 10, "two files make one library of all cells")
    check([t.args[0] for t in joined.all("lu_table_template")] == ["delay", "setup"], "a template that both files have is written once")
    check(library.name == "small", f"the name is what the files' names share: {library.name}")
    check(Library([STATE, LOGIC], folder=work).path != library.path, "another order is another file")
    compressed = os.path.join(work, "state.lib.gz")
    with gzip.open(compressed, "wt", encoding="utf-8") as f:
        f.write(text_of(STATE))
    check(set(Library([LOGIC, compressed], folder=work).cells) == set(library.cells), ".gz is read")
    with open(compressed, "rb") as f:
        half = f.read()[:200]
    with open(compressed, "wb") as f:
        f.write(half)
    refused("a truncated .gz", ["state.lib.gz", "truncated"], [LOGIC, compressed], (), work)
    refused("a .gz that is none", ["not a gzip file"], [written(work, "plain.lib.gz", "library")], (), work)
    refused("the same cell twice", ["cell NAND2x1 is already in", "leave one of the files out"], [LOGIC, STATE, written(work, "again.lib", text_of(LOGIC))], (), work)
    refused("files of other units", ["time_unit is 1ns", "1ps"], [LOGIC, written(work, "ns.lib", text_of(STATE).replace("1ps", "1ns"))], (), work)
    refused("files of other voltages", ["nom_voltage"], [LOGIC, written(work, "volt.lib", text_of(STATE).replace("0.5", "0.6"))], (), work)
    refused("no flip-flop", ["no flip-flop"], LOGIC)
    refused("no timing", ["no cell has timing"], STATE)
    refused("no NAND2", ["no two-input NAND"], [written(work, "no_nand.lib", text_of(LOGIC).replace("(!A) + (!B)", "A B")), STATE], (), work)
    refused("all flip-flops forbidden", ["no flip-flop"], [LOGIC, STATE], ["DFF*"], work)
    refused("a pattern of no cell", ["no cell is named XYZ*"], [LOGIC, STATE], ["XYZ*"], work)
    kept = Library([LOGIC, STATE], ["NAND2x1", "*DFFN"], work)
    check({c.args[0] for c in parse(kept.path).all("cell")} == set(library.cells) - {"NAND2x1", "DFFN"}, "cells not to use are not written")
    check(kept.nand2 == "NAND2x1", "the unit of area does not depend on the cells not to use")


def test_units(work):
    library = Library([LOGIC, STATE], folder=work)
    check((library.time_ns, library.cap_pf, library.leakage_pw) == (1e-3, 1e-3, 1.0), "ps, fF and pW are read")
    check(library.load_pf == 0.004, f"load: four inputs of the NAND2, {library.load_pf}")
    check(library.corner == {"voltage": 0.5, "temperature": 100.0, "slew_thresholds_pct": [10.0, 90.0], "delay_threshold_pct": 50.0}, "corner and thresholds")
    check(library.full_adder == ("FAx1", ["A", "B", "CI"], ("SN", True), ("CON", True)), f"a full adder with inverted outputs: {library.full_adder}")
    check(library.buffer == "BUFx2", f"the driver is no clock buffer: {library.buffer}")
    commands = synth.constraints("top", library, work, 2.5)
    check("-period 2500 " in commands and "set_load 4 " in commands and "set_input_transition 10 " in commands, "OpenSTA's numbers are in the library's units")
    synth.adder_maps(library, work)
    check(".SN(s), .CON(c)" in text_of(os.path.join(work, "adders.v")) and "s_o = ~s;" in text_of(os.path.join(work, "adders.v")), "inverted sum and carry are inverted back")
    model = energy.Model(library)
    # VDD: (4 + 2) / 2 at load 0, plus 1 fF * 1 a step of 10; VSS: 1. In fJ.
    check(abs(model.internal("INVx1", "Y", 0.005) - (3 + 5 + 1) * 1e-3) < 1e-12, f"internal energy: fJ, summed over the supplies, {model.internal('INVx1', 'Y', 0.005)}")
    alike = resize.families(library)
    check(alike["NAND2x1"] == ["NAND2x1", "NAND2x2"] and alike["INVx1"] == ["INVx1"] and "DFFN" not in alike["DFFQN"], "cells of one function and flip-flop are alike")


def test_state(work):
    library = Library([LOGIC, STATE], folder=work)
    flops = {n: FlipFlop(library.cells[n]) for n in ("DFFQN", "DFFR", "DFFN")}
    check(flops["DFFQN"].table("IQN") == [1, 0] and flops["DFFQN"].table("IQNN") == [0, 1], "an inverting flip-flop")
    check(flops["DFFR"].table("IQ") == [0, 1] and flops["DFFR"].table("IQN") == [1, 0] and flops["DFFR"].quiet == {"RN": 1}, "a flip-flop with reset, held inactive at 1")
    check("rising edge" in flops["DFFN"].why, f"the falling edge is refused: {flops['DFFN'].why}")
    path = written(work, "netlist.v", NETLIST)
    netlist = Netlist(path)
    gates = events.Model(netlist, library, None).gates
    check(len(gates) == 4 and [g[0] for g in gates] == ["c", "c", "f", "f"], f"an inverting flip-flop is a gate and a flip-flop: {gates}")
    used = Netlist(written(work, "used.v", NETLIST.replace("1'h1", "rst_ni")))
    try:
        events.Model(used, library, None)
        check(False, "a reset in use is refused")
    except synth.FlowError as e:
        check("r2: its RN is used" in str(e), f"a reset in use is refused: {e}")
    sdf = written(work, "a.sdf", '(TIMESCALE 1ps)\n(CELL (INSTANCE u1)\n(IOPATH A Y (12.3::12.3) (7::7))\n')
    check(events.delays(sdf, events.units_per_ns(library)) == {("u1", "A", "Y"): (123, 70)}, "SDF in ps")
    check(cell_types(path) == {"u1": "INVx1", "r[0]": "DFFQN", "r2": "DFFR"}, "instances and their types")
    exchange(path, {"r[0]": "DFFX"})
    check(cell_types(path) == {"u1": "INVx1", "r[0]": "DFFX", "r2": "DFFR"} and text_of(path).count("DFFQN") == 0, "an instance is exchanged")
    if not shutil.which("iverilog"):
        print("iverilog not found: the models are not simulated")
        return
    cells = os.path.join(work, "cells.v")
    models.write(library, ["INVx1", "DFFQN", "DFFR", "FAx1"], cells)
    bench = written(work, "bench.v", """module bench; reg c = 0; reg [2:0] i; wire q, n, r, s, k;
  DFFQN a(.CLK(c), .D(i[0]), .QN(q)); DFFR b(.CLK(c), .D(i[0]), .RN(1'b1), .Q(r), .QN(n)); FAx1 f(.A(i[0]), .B(i[1]), .CI(i[2]), .SN(s), .CON(k));
  integer v; initial for (v = 0; v < 8; v = v + 1) begin i = v; #1 c = 1; #1 $display("%b%b%b%b%b", q, r, n, s, k); c = 0; #1; end
endmodule
""")
    subprocess.run(["iverilog", "-g2012", "-o", bench + "vp", bench, cells], check=True)
    lines = subprocess.run(["vvp", "-n", bench + "vp"], check=True, capture_output=True, text=True).stdout.split()
    want = [f"{1 - (v & 1)}{v & 1}{1 - (v & 1)}{1 - bin(v).count('1') % 2}{1 - bin(v).count('1') // 2}" for v in range(8)]
    check(lines == want, f"models made from Liberty in Icarus: {lines}")


def main():
    for test in (test_files, test_units, test_state):
        with tempfile.TemporaryDirectory() as work:
            test(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
