#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Energy by hand: a netlist of three cells, a Liberty file with round numbers, a trace of a few
changes. No tool is needed."""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.normpath(os.path.join(HERE, "..", "..", "scripts", "synth")))
sys.dont_write_bytecode = True
import energy  # noqa: E402
from library import Library  # noqa: E402
from netlist import Netlist  # noqa: E402
from synth import FlowError  # noqa: E402

# 2 V; capacitances in pF, energies in pJ. The inverter's internal energy is its load plus 1 (rise)
# and plus 3 (fall), that is load + 2 on average; the flip-flop's clock pin takes 0.25 a change.
LIBERTY = """
library (round) {
  nom_voltage : 2.0; capacitive_load_unit (1, pf); leakage_power_unit : "1nW";
  power_lut_template (energy) { variable_1 : total_output_net_capacitance; variable_2 : input_transition_time;
    index_1 ("0, 10"); index_2 ("0, 1"); }
  power_lut_template (pin) { variable_1 : input_transition_time; index_1 ("0, 1"); }
  cell (NAND) { area : 1; pin (A) { direction : input; capacitance : 1; } pin (B) { direction : input; capacitance : 1; }
    pin (Y) { direction : output; function : "(A B)'"; timing () { related_pin : "A"; cell_rise (t) { values ("1"); } } } }
  cell (INV) { area : 1; cell_leakage_power : 5; pin (A) { direction : input; capacitance : 3; }
    pin (Y) { direction : output; function : "A'"; timing () { related_pin : "A"; cell_rise (t) { values ("1"); } }
      internal_power () { related_pin : "A";
        rise_power (energy) { index_1 ("0, 10"); index_2 ("0, 1"); values ("1, 1", "11, 11"); }
        fall_power (energy) { index_1 ("0, 10"); index_2 ("0, 1"); values ("3, 3", "13, 13"); } } } }
  cell (FLOP) { area : 4; ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin (D) { direction : input; capacitance : 2; }
    pin (CK) { direction : input; capacitance : 0.5; clock : true;
      internal_power () { rise_power (pin) { index_1 ("0, 1"); values ("0.2, 0.2"); } fall_power (pin) { index_1 ("0, 1"); values ("0.3, 0.3"); } } }
    pin (Q) { direction : output; function : "IQ"; } }
}
"""
NETLIST = """
module top(clk_i, d_i, q_o);
  input clk_i;  wire clk_i;
  input [1:0] d_i;  wire [1:0] d_i;
  output q_o;  wire q_o;
  wire n;
  wire \\odd.name ;
  INV u1 ( .A(d_i[0]), .Y(n) );
  INV u2 ( .A(d_i[1]), .Y(\\odd.name ) );
  FLOP r ( .CK(clk_i), .D(n), .Q(q_o) );
endmodule
"""
VCD = """$timescale 10ps $end
$scope module tb $end
$var wire 1 ! clk_i $end
$var wire 2 " d_i [1:0] $end
$var wire 1 # n $end
$var wire 1 % odd.name $end
$var wire 1 & q_o $end
$enddefinitions $end
$dumpvars
x!
bx0 "
1#
0%
x&
$end
#0
0!
#5
1!
b01 "
0#
0&
#10
0!
b11 "
#15
1!
b10 "
1#
1%
1&
"""


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


def near(a, b):
    return abs(a - b) < 1e-9 * max(1.0, abs(b))


def main():
    with tempfile.TemporaryDirectory() as work:
        lib, net = os.path.join(work, "round.lib"), os.path.join(work, "netlist.v")
        for path, text in ((lib, LIBERTY), (net, NETLIST)):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        model, netlist = energy.Model(Library(lib)), Netlist(net)
    counts = energy.toggles(VCD.splitlines(keepends=True))
    # d_i[0]: 0 1 1 0; d_i[1]: x 0 1 1, where leaving x is no toggle; a clock of four phases.
    check([counts[n] for n in ("d_i[0]", "d_i[1]", "n", "odd.name", "q_o")] == [2, 1, 2, 1, 1], f"toggles by bit, x left out: {counts}")
    cycles, period = 2, 20.0
    total = energy.energy(netlist, model, counts, cycles, period)
    half = 0.5 * 2.0 ** 2
    # Nets and their load: d_i[0] and d_i[1] 3, n 2, q_o the load of an output, four NAND inputs; odd.name has no reader.
    check(near(total["switching"], half * (2 * 3 + 1 * 3 + 2 * 2 + 1 * 4)), f"switching: 0.5 C V^2 a toggle, {total['switching']}")
    # n: 2 toggles at load 2, each 2 + 2; odd.name: 1 at load 0.
    check(near(total["internal"], 2 * (2 + 2) + 1 * 2), f"internal: the tables at the net's load, {total['internal']}")
    check(near(total["clock"], 2 * cycles * (half * 0.5 + 0.25)), f"clock: two changes a cycle whatever the trace says, {total['clock']}")
    # Two inverters of 5 nW for 40 ns, in pJ.
    check(near(total["leakage"], 2 * 5e-9 * cycles * period * 1e-9 * 1e12), f"leakage: {total['leakage']}")
    wired = energy.energy(netlist, model, counts, cycles, period, 0.1)
    # One reader on each of d_i[0], d_i[1] and n, none on q_o; the clock's net has its own line.
    check(near(wired["wire"], half * 0.1 * (2 + 1 + 2)) and near(wired["switching"], total["switching"]) and total["wire"] == 0,
          f"wire: its own line, a pin at a time, {wired['wire']}")
    try:
        energy.energy(netlist, model, {k: v for k, v in counts.items() if k != "n"}, cycles, period)
        check(False, "a net that the trace lacks is an error")
    except FlowError as e:
        check("net n " in str(e) and e.code == 4, "a net that the trace lacks is an error")
    check(near(energy._line([0, 10], [1, 11], 4), 5) and near(energy._line([0, 10], [1, 11], 99), 11), "tables are interpolated, and clamped at their ends")
    with tempfile.TemporaryDirectory() as work:
        source, target = os.path.join(work, "a.sdf"), os.path.join(work, "b.sdf")
        with open(source, "w", encoding="utf-8") as f:
            f.write("(INTERCONNECT a b (0.1::0.1))\n(IOPATH A Y (0.12::0.34) (-0.1::0.2))\n")
        energy.fix_sdf(source, target)
        with open(target, encoding="utf-8") as f:
            check(f.read() == "(IOPATH A Y (0.34:0.34:0.34) (0.2:0.2:0.2))\n", "SDF triplets get a typical value")
    return 0


if __name__ == "__main__":
    sys.exit(main())
